r"""score_rows: rows of a file to the answers of a model, in memory that does not grow with the file.

::

    file --iter_tables--> columns of the model --> complete? --> model.predict_proba / predict --> one line a row
                                                      \------> NO_DATA, and which cells are missing

The model may be an :class:`~sktransfer.OnnxModel`: then neither scikit-learn nor torch is imported.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.exceptions import EmptyTableError, TableError
from sktransfer.io.read_table import iter_tables
from sktransfer.io.table import Table
from sktransfer.io.table_format import TableFormat, check_format, sensor_units

NO_DATA = "NO_DATA"
_CHUNK_ROWS = 65_536
_FEW = 3  # missing sensors that are named


def score_rows(
    model: Any, path: Any, table_format: TableFormat | None = None, *, chunk_rows: int = _CHUNK_ROWS, now: Any = None
) -> Iterator[pd.DataFrame]:
    """Answers of a fitted model for each row of a file, a chunk of rows at a time.

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
        ``value`` of a regressor, and ``quality``: which cells are missing. A row with a missing cell is not judged,
        unless the model takes missing cells. Of a file without rows, one frame without rows.

    Raises
    ------
    TableError
        If the file cannot be read, or lacks a column of the model.
    ValueError
        If the model refuses a row, or the format declares columns that are not the model's.
    """
    form = with_columns(model, check_format(table_format))
    try:
        for table in iter_tables(path, form, chunk_rows=chunk_rows, now=now):
            yield _scored(model, table, form)
    except EmptyTableError:
        empty = pd.DataFrame(columns=list(form.sensors or [f"x{j}" for j in range(model.n_features_in_)]), dtype=float)
        for name in (form.machine, None if form.time is None else form.time.name):
            if name is not None:
                empty[name] = pd.Series(dtype=object)
        yield _lines(model, empty, form, np.zeros(0, bool), [])


def with_columns(model: Any, form: TableFormat) -> TableFormat:
    """The format with the columns of the model, and their units where the format or the model tells them."""
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return form
    names = [str(name) for name in names]
    if form.sensors is not None and (lacking := [name for name in names if name not in form.sensors]):
        raise ValueError(
            f"The table format declares the sensors {list(form.sensors)}, and the model was fitted on {names}. "
            f"Missing: {lacking}. Name the columns as in fit."
        )
    units = {**_units(model, names), **sensor_units(form)}
    sensors = {name: units.get(name) for name in names}
    return TableFormat(**{**form.get_params(deep=False), "sensors": sensors})


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


def _scored(model: Any, table: Table, form: TableFormat) -> pd.DataFrame:
    X = table.X
    n_expected = getattr(model, "n_features_in_", X.shape[1])
    if X.shape[1] != n_expected:
        raise TableError(
            f"The table has {X.shape[1]} columns of numbers, {list(X.columns)[:8]} ..., and the model takes "
            f"{n_expected}, whose names it does not know. Fit it on a frame, or declare the sensors in [table]."
        )
    missing = X.isna().to_numpy()
    usable, some = ~missing.any(axis=1), missing.any(axis=1) & ~missing.all(axis=1)
    if some.any() and _takes_missing(model, X[some].iloc[:1]):
        usable |= some
    return _lines(model, table.frame, form, usable, _qualities(missing, list(X.columns)), X)


def _lines(
    model: Any, frame: pd.DataFrame, form: TableFormat, usable: np.ndarray, quality: list[str], X: Any = None
) -> pd.DataFrame:
    found: dict[str, Any] = {"line": np.asarray(frame.index, dtype=np.int64)}
    for name in (None if form.time is None else form.time.name, form.machine):
        if name is not None:
            found[name] = frame[name].to_numpy() if frame[name].dtype == object else frame[name].array
    found["state"] = np.where(usable, "SCORED", NO_DATA).astype(object)
    if not hasattr(model, "feature_names_in_") and X is not None:
        X = X.to_numpy()
    answers = _answers(model, X[usable]) if usable.any() else dict.fromkeys(_columns(model))
    for name, values in answers.items():
        is_text = name == "label"
        column: np.ndarray = np.full(len(frame), "" if is_text else np.nan, dtype=object if is_text else np.float64)
        if values is not None:
            column[usable] = values
        found[name] = column
    return pd.DataFrame(found | {"quality": np.array(quality, dtype=object)})


def _answers(model: Any, X: Any) -> dict[str, np.ndarray]:
    """Columns of answers for complete rows."""
    names = _columns(model)
    if names == ["label", "confidence"]:
        proba = model.predict_proba(X)
        return {"label": np.asarray(model.classes_)[proba.argmax(axis=1)].astype(str), "confidence": proba.max(axis=1)}
    if names == ["label", "score"]:
        return {"label": np.where(model.predict(X) == 1, "normal", "unusual"), "score": model.score_samples(X)}
    values = np.asarray(model.predict(X))
    if names == ["label"]:
        return {"label": values.astype(str)}
    values = values.reshape(len(values), -1)
    if values.shape[1] == 1:
        return {"value": values[:, 0]}
    return {f"value_{j}": values[:, j] for j in range(values.shape[1])}


def _columns(model: Any) -> list[str]:
    """Which answers a model has."""
    if hasattr(model, "classes_"):
        return ["label", "confidence"] if hasattr(model, "predict_proba") and _has_proba(model) else ["label"]
    return ["label", "score"] if hasattr(model, "score_samples") and hasattr(model, "predict") else ["value"]


def _has_proba(model: Any) -> bool:
    return bool(getattr(model, "manifest_", {}).get("has_probabilities", True))


def _takes_missing(model: Any, rows: Any) -> bool:
    """Whether a model answers rows with NaN: tags of pipelines do not tell, so it is asked about one."""
    if hasattr(model, "manifest_"):
        return bool(model.manifest_["takes_nan"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.predict(rows if hasattr(model, "feature_names_in_") else rows.to_numpy())
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
