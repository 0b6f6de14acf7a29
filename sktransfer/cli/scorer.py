"""Scorer: a model file and how its tables are written, and from there to the lines of a CSV."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sktransfer.exceptions import EmptyTableError, ModelFileError, TableError
from sktransfer.io.score_rows import NO_DATA, score_rows
from sktransfer.io.table_format import TableFormat
from sktransfer.io.write_table import table_bytes

WINDOWS = "takes windows, and gets rows here. Fit a ConditionMonitor(windows=...) around it, which cuts them itself."


@dataclass
class Counts:
    """What was scored.

    Parameters
    ----------
    n, n_no_data, n_alarms : int
        Rows or windows, those without data, and those in alarm.
    """

    n: int = 0
    n_no_data: int = 0
    n_alarms: int = 0

    def add(self, other: Counts) -> None:
        """Count those, too."""
        self.n, self.n_no_data = self.n + other.n, self.n_no_data + other.n_no_data
        self.n_alarms += other.n_alarms

    @property
    def share(self) -> float:
        """Share without data; 0 where nothing was scored."""
        return self.n_no_data / self.n if self.n else 0.0


class Scorer:
    """A fitted model, and the format of its tables.

    Parameters
    ----------
    model : ConditionMonitor, OnnxModel or estimator
    table_format : TableFormat or None
        Of the tables of all but a monitor.
    """

    def __init__(self, model: Any, table_format: TableFormat | None):
        self.model, self.table_format = model, table_format
        self.is_monitor = hasattr(model, "alarms_")  # its class would bring scikit-learn along
        self.noun = "sample" if self.is_monitor else "row"

    @classmethod
    def of_file(cls, path: Path, *, sha256: str | None, config: Path | None, joblib: bool) -> Scorer:
        """Read model and configuration.

        Raises
        ------
        ModelFileError
            If the model cannot be used, whatever the reason.
        ConfigError
            If the configuration cannot, or is given beside a monitor, which knows how its tables are written.
        """
        from sktransfer.cli.table_config import ConfigError, read_table_format

        form = None if config is None else read_table_format(config)
        if path.suffix.lower() == ".onnx":
            return cls(_onnx_model(path, sha256), form)
        model = _joblib_model(path, sha256) if joblib else load_model(path, sha256)
        scorer = cls(model, form)
        if scorer.is_monitor and config is not None:
            raise ConfigError(f"{path} holds a monitor, which knows how its tables are written: leave --config out.")
        if not hasattr(model, "predict"):
            raise ModelFileError(f"{path} holds a {type(model).__name__}, which predicts nothing.")
        if not scorer.is_monitor:
            _refuse_unusable(path, model)
        return scorer

    def pieces(self, paths: list[Path], counts: Counts) -> Iterator[bytes]:
        """Lines of a CSV in UTF-8 with one header, counted as they come."""
        header = True
        for frame in self._frames(paths):
            counts.add(
                Counts(
                    len(frame),
                    int((frame["state"] == NO_DATA).sum()),
                    int(frame["alarm"].sum()) if self.is_monitor else 0,
                )
            )
            yield table_bytes(frame, header=header)
            header = False

    def _frames(self, paths: list[Path]) -> Iterator[Any]:
        if self.is_monitor:
            yield _of_monitor(self.model, paths)
            return
        from sktransfer.utils.counted_warnings import collect_warnings

        with collect_warnings():  # one sentence for all chunks
            for path in paths:
                for frame in self._of_table(path):
                    if len(paths) > 1:
                        frame.insert(0, "file", str(path))
                    yield frame

    def _of_table(self, path: Path) -> Iterator[Any]:
        """Frames of one table; what the model refuses in it is an error that names it."""
        try:
            yield from score_rows(self.model, path, self.table_format)
        except TableError:
            raise
        except ValueError as error:
            raise TableError(f"{path}: {error}", str(path)) from error


def _of_monitor(monitor: Any, paths: list[Path]) -> Any:
    """Answers of a monitor; none, and no error, of tables without a row."""
    from sktransfer.monitoring.plant_frame import no_rows

    try:
        return monitor.predict(paths)
    except EmptyTableError:
        _, found = monitor.judge(no_rows(monitor.sensors_, monitor.known_format()), may_be_empty=True)
        return found.assign(alarm=False, sensors="")


def load_model(path: Path, sha256: str | None) -> Any:
    """What a file of `save` holds.

    Raises
    ------
    ModelFileError
        If it cannot be read, whatever the reason.
    """
    from sktransfer.io.model_file import load

    try:
        return load(path, expect_sha256=sha256)
    except OSError as error:
        raise ModelFileError(f"{path}: the model file cannot be read ({error.strerror or error}).") from None


def loaded_monitor(path: Path, sha256: str | None) -> Any:
    """The ConditionMonitor of a file.

    Raises
    ------
    ModelFileError
        If there is none, whatever the reason.
    """
    from sktransfer.monitoring.condition_monitor import ConditionMonitor

    loaded = load_model(path, sha256)
    if not isinstance(loaded, ConditionMonitor):
        raise ModelFileError(
            f"{path} holds a {type(loaded).__name__}; this command takes a ConditionMonitor, as `sktransfer fit` "
            "writes it. `sktransfer score` takes others, too."
        )
    return loaded


def _refuse_unusable(path: Path, model: Any) -> None:
    """Refuse what cannot answer rows of any table."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils import get_tags
    from sklearn.utils.validation import check_is_fitted

    steps = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    try:
        check_is_fitted(model)
        takes_rows = get_tags(steps[0]).input_tags.two_d_array
    except NotFittedError:
        raise ModelFileError(
            f"{path} holds a {type(model).__name__} that is not fitted. Fit it before saving."
        ) from None
    except (AttributeError, TypeError):  # no estimator of scikit-learn, which knows no tags
        return
    networks = [step.backbone_.inputs for step in steps if hasattr(step, "backbone_")]
    if not takes_rows or any(len(inputs.shape or ()) > 1 for inputs in networks):
        raise ModelFileError(f"{path} {WINDOWS}")


def read_content(path: Path, sha256: str | None) -> tuple[bytes, float]:
    """The bytes of a model file, and when they were written, in s since 1970.

    Raises
    ------
    ModelFileError
        If it cannot be read, or its SHA-256 is another one.
    """
    try:
        with path.open("rb") as stream:
            content, written = stream.read(), os.fstat(stream.fileno()).st_mtime
    except OSError as error:
        raise ModelFileError(f"{path}: the model file cannot be read ({error.strerror or error}).") from None
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is not None and digest != sha256.lower():
        raise ModelFileError(f"{path} is another file than expected: its SHA-256 is {digest}, and not {sha256}.")
    return content, written


def _onnx_model(path: Path, sha256: str | None) -> Any:
    from sktransfer.io.onnx_model import OnnxModel

    try:
        model = OnnxModel.from_bytes(read_content(path, sha256)[0], str(path))
    except ValueError as error:
        raise ModelFileError(str(error)) from None
    if model.manifest_["kind"] == "transformer":
        raise ModelFileError(f"{path} holds a transformer, which predicts nothing.")
    if model.takes_windows:
        raise ModelFileError(f"{path} {WINDOWS}")
    return model


def _joblib_model(path: Path, sha256: str | None) -> Any:
    import io

    import joblib

    content, _ = read_content(path, sha256)
    try:
        return joblib.load(io.BytesIO(content))
    except Exception as error:  # a damaged pickle raises anything
        raise ModelFileError(
            f"{path}: it is no file of joblib.dump, or a damaged one ({type(error).__name__}: {error})."
        ) from error
