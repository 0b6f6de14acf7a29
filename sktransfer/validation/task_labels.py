"""Labels of several tasks: a dict, a frame or a table of columns, in which any cell may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from sktransfer.utils.masks import refuse_mask


class TaskLabels(NamedTuple):
    """The labels of several tasks.

    Parameters
    ----------
    names : list
        Keys of the dict, columns of the frame, or the numbers of the columns.
    columns : list of ndarray of shape (n_samples,)
        Labels of each task with their own dtype; missing cells hold None or NaN.
    form : {"dict", "frame", "table", "vector"}
        What `y` was.
    """

    names: list[Any]
    columns: list[np.ndarray]
    form: str


def task_labels(name: str, y: Any, n_rows: int) -> TaskLabels:
    """Columns of labels.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    y : dict of name to array-like, frame, or array-like of shape (n_samples,) or (n_samples, n_tasks)
    n_rows : int
        Rows of `X`.

    Raises
    ------
    ValueError
        For no task, for columns of another length or with more than one dimension.
    """
    import pandas as pd

    refuse_mask(name, "y", y)
    if isinstance(y, Mapping):
        names, columns, form = list(y), list(y.values()), "dict"
    elif hasattr(y, "columns"):
        frame = y if isinstance(y, pd.DataFrame) else y.to_pandas()
        names, columns, form = list(frame.columns), [frame.iloc[:, k] for k in range(frame.shape[1])], "frame"
    else:
        table = np.asarray(y, dtype=_dtype_of(y) if isinstance(y, list | tuple) else None)
        if table.ndim not in (1, 2):
            raise ValueError(f"{name} got a y of shape {table.shape}; expected a column a task.")
        form = "vector" if table.ndim == 1 else "table"
        columns = [table] if table.ndim == 1 else list(table.T)
        names = list(range(len(columns)))
    if not columns:
        raise ValueError(f"{name} got a y without a single task. Pass a column a task, such as {{'fault': labels}}.")
    found = [_column(name, task, column, n_rows) for task, column in zip(names, columns, strict=True)]
    return TaskLabels(names, found, form)


def _dtype_of(y: Any) -> Any:
    """Object for mixed cells: numpy would make texts of the numbers beside them."""
    cells = {type(cell) for row in y for cell in (row if isinstance(row, list | tuple) else [row])}
    return None if len(cells) <= 1 else object


def _column(name: str, task: Any, column: Any, n_rows: int) -> np.ndarray:
    import pandas as pd

    refuse_mask(name, f"y[{task!r}]", column)
    values = pd.Series(column).to_numpy() if np.ndim(column) == 1 else np.asarray(column)
    if values.shape != (n_rows,):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {name} got labels of shape {values.shape} "
            f"for the task {task!r}; expected ({n_rows},), one a row of X."
        )
    if values.dtype == object:
        inferred = pd.Series(values).infer_objects().to_numpy()
        values = inferred if inferred.dtype.kind in "iufb" else values
    return values
