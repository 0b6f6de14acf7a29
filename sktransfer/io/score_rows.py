r"""score_rows: rows of a file to the answers of a model, in memory that does not grow with the file.

::

    file --iter_tables--> columns of the model --> complete? --> model.predict_proba / predict --> one line a row
                                                      \------> NO_DATA, and which cells are missing

The model may be an :class:`~sktransfer.OnnxModel`: then neither scikit-learn nor torch is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.exceptions import DataQualityWarning, EmptyTableError
from sktransfer.io.model_answers import ModelAnswers, unsaid
from sktransfer.io.model_machines import ModelMachines
from sktransfer.io.read_table import iter_tables
from sktransfer.io.table import Table
from sktransfer.io.table_format import TableFormat, check_format, sensor_units
from sktransfer.utils.counted_warnings import CountedWarning, warn_caller, warn_of

NO_DATA = "NO_DATA"
_CHUNK_ROWS = 65_536
_FEW = 3  # missing sensors that are named


def score_rows(
    model: Any, path: Any, table_format: TableFormat | None = None, *, chunk_rows: int = _CHUNK_ROWS, now: Any = None
) -> Iterator[pd.DataFrame]:
    """Answers of a fitted model for each row of a file, a chunk of rows at a time.

    A model that tells machines apart is asked about each row with its machine, where the format names the column.

    Parameters
    ----------
    model : classifier, regressor or detector of rows, or OnnxModel
        Fitted; its ``feature_names_in_`` are the columns that are read, in whatever order the file has them.
    path : str or path
        CSV or Parquet, as for :func:`read_table`.
    table_format : TableFormat or None, default=None
        What the file is; None: plain CSV with the model's columns, and others that are left out.
    chunk_rows : int
        Rows that are read and scored at once.
    now : datetime-like or None
        Time of reading.

    Yields
    ------
    DataFrame
        ``line`` of the file, time and machine where the format names them, ``state`` ("SCORED" or "NO_DATA"), then
        ``label`` and ``confidence`` of a classifier, ``label`` ("normal" or "unusual") and ``score`` of a detector, or
        ``value`` of a regressor, and ``quality``: which cells are missing. Several outputs have columns with their
        names behind. A column of the table that is called as one of these gets ``_`` behind its name. A row with a
        missing cell is not judged, unless the model takes missing cells, nor is one of a machine whose baseline the
        model lacks. Of a file without rows, one frame without rows.

    Raises
    ------
    TableError
        If the file cannot be read, or lacks a column of the model.
    ValueError
        If the model refuses a row, the format declares columns that are not the model's, or the model needs to know
        machines that the format does not name.
    """
    answers = ModelAnswers(model)
    form = _with_machine(answers.machines, with_columns(model, check_format(table_format)))
    try:
        for table in iter_tables(path, form, chunk_rows=chunk_rows, now=now):
            yield _scored(model, answers, table, form)
    except EmptyTableError:
        columns = list(form.sensors or [f"x{j}" for j in range(getattr(model, "n_features_in_", 0))])
        empty = pd.DataFrame(columns=columns, dtype=float)
        X = empty[columns] if columns_of_fit(model) is not None else empty[columns].to_numpy()
        for name in (form.machine, None if form.time is None else form.time.name):
            if name is not None:
                empty[name] = pd.Series(dtype=object)
        yield _lines(answers, empty, form, np.zeros(0, bool), [], X)


def with_columns(model: Any, form: TableFormat) -> TableFormat:
    """The format with the columns of the model, and their units where the format or the model tells them."""
    names = columns_of_fit(model)
    if names is None:
        return form
    if form.sensors is not None and (lacking := [name for name in names if name not in form.sensors]):
        raise ValueError(
            f"The table format declares the sensors {list(form.sensors)}, and the model was fitted on {names}. "
            f"Missing: {lacking}. Name the columns as in fit."
        )
    units = {**_units(model, names), **sensor_units(form)}
    sensors = {name: units.get(name) for name in names}
    return TableFormat(**{**form.get_params(deep=False), "sensors": sensors})


def columns_of_fit(model: Any) -> list[str] | None:
    """Names of the columns that a model was fitted on, also where what it is made of knows them; None without names."""
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    inside = model.steps[0][1] if hasattr(model, "steps") else None
    inside = next((getattr(model, name) for name in ("estimator_", "baseline_") if hasattr(model, name)), inside)
    return None if inside is None else columns_of_fit(inside)


def _units(model: Any, names: list[str]) -> dict[str, str]:
    """Units of the model's columns, where it was fitted on a network that knows them."""
    if hasattr(model, "manifest_"):
        units = model.manifest_["units"]
    else:
        backbone = getattr(model[-1] if hasattr(model, "steps") else model, "backbone_", None)
        units = None if backbone is None else backbone.inputs.units
    if units is None or len(units) != len(names):
        return {}
    return {name: unit for name, unit in zip(names, units, strict=True) if unit}


def _with_machine(machines: ModelMachines, form: TableFormat) -> TableFormat:
    """The format with the column that the model reads machines from; an error where a table must name them."""
    known: list[Any] = [] if machines.known is None else machines.known[:5].tolist()
    if machines.column is not None and form.machine not in (None, machines.column):
        raise ValueError(
            f"The model reads the machines from the column {machines.column!r}, and the table format says "
            f"machine={form.machine!r}. Leave it out, or name that column."
        )
    if machines.column is not None:
        return TableFormat(**{**form.get_params(deep=False), "machine": machines.column})
    if machines.is_needed and form.machine is None:
        raise ValueError(
            f"The model tells machines apart, {known}, and the table format names no column of machines. Declare it: "
            'machine = "..." in [table] of a file for --config.'
        )
    return form


def _scored(model: Any, answers: ModelAnswers, table: Table, form: TableFormat) -> pd.DataFrame:
    X = table.X
    n_expected = getattr(model, "n_features_in_", X.shape[1])
    if X.shape[1] != n_expected:
        raise ValueError(
            f"The table has {X.shape[1]} columns of numbers, {list(X.columns)[:8]} ..., and the model takes "
            f"{n_expected}, whose names it does not know. Fit it on a frame, or declare the sensors in [table]."
        )
    missing = X.isna().to_numpy()
    usable, some = ~missing.any(axis=1), missing.any(axis=1) & ~missing.all(axis=1)
    quality = _qualities(missing, list(X.columns))
    if columns_of_fit(model) is None:
        _warn_of_order(form, list(X.columns))
        X = X.to_numpy()
    names = None
    if form.machine is not None and answers.machines.known is not None:
        names, is_known = answers.machines.named(table.frame[form.machine])
        _leave_out(names, is_known, quality)
        usable, some = usable & is_known, some & is_known
    if some.any() and _takes_missing(model, answers, *_rows(X, names, np.flatnonzero(some)[:1])):
        usable |= some
    return _lines(answers, table.frame, form, usable, quality, X, names)


def _rows(X: Any, names: np.ndarray | None, which: np.ndarray) -> tuple[Any, np.ndarray | None]:
    return X.iloc[which] if hasattr(X, "iloc") else X[which], None if names is None else names[which]


def _warn_of_order(form: TableFormat, columns: list[str]) -> None:
    if form.sensors is None:
        warn_caller(
            f"The model was fitted without names of columns, so that those of the table count in their order: "
            f"{columns}. Name them in the order of fit: sensors = [...] in [table] of a file for --config.",
        )


def _leave_out(names: np.ndarray, is_known: np.ndarray, quality: list[str]) -> None:
    """Rows of machines that the model knows nothing of are not judged."""
    for i in np.flatnonzero(~is_known):
        quality[i] = "; ".join(one for one in (quality[i], "a machine without a baseline") if one)
    text = "{count} of {total} rows are of machines without a baseline, {names}: their state is NO_DATA. Fit the model "
    new = np.unique(names[~is_known]).tolist()
    warn_of(
        CountedWarning(f"{text}to healthy rows of theirs.", DataQualityWarning, int((~is_known).sum()), len(names), new)
    )


def _lines(
    answers: ModelAnswers,
    frame: pd.DataFrame,
    form: TableFormat,
    usable: np.ndarray,
    quality: list[str],
    X: Any,
    names: np.ndarray | None = None,
) -> pd.DataFrame:
    found: dict[str, Any] = {"line": np.asarray(frame.index, dtype=np.int64)}
    taken = {"file", "line", "state", "quality", *answers.columns}
    for name in (None if form.time is None else form.time.name, form.machine):
        if name is not None:
            values = frame[name].to_numpy() if frame[name].dtype == object else frame[name].array
            while name in taken:  # the table may call a column as the answers do
                name += "_"
            found[name] = values
            taken.add(name)
    found["state"] = np.where(usable, "SCORED", NO_DATA).astype(object)
    judged = np.flatnonzero(usable)
    said = answers.of(*_rows(X, names, judged)) if len(judged) else dict.fromkeys(answers.of_none(X))
    for name, values in said.items():
        is_text = name.startswith("label")
        column: np.ndarray = np.full(len(frame), "" if is_text else np.nan, dtype=object if is_text else np.float64)
        if values is not None:
            column[usable] = values
        found[name] = column
    return pd.DataFrame(found | {"quality": np.array(quality, dtype=object)})


def _takes_missing(model: Any, answers: ModelAnswers, row: Any, name: np.ndarray | None) -> bool:
    """Whether a model answers rows with NaN: tags of pipelines do not tell, so it is asked about one."""
    if hasattr(model, "manifest_"):
        return bool(model.manifest_["takes_nan"])
    with unsaid():
        try:
            answers.machines.ask("predict", row, name)
        except ValueError:
            return False
    return True


def _qualities(missing: np.ndarray, names: list[str]) -> list[str]:
    """What each row lacks, in words."""
    found = [""] * len(missing)
    for i in np.flatnonzero(missing.any(axis=1)):
        lacking = np.flatnonzero(missing[i])
        more = f" and {len(lacking) - _FEW} more" if len(lacking) > _FEW else ""
        found[i] = f"missing: {', '.join(names[j] for j in lacking[:_FEW])}{more}"
    return found
