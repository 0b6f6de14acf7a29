"""A pandas table in a model file: its columns as arrays.

::

    estimator.report_, a DataFrame --> StoredFrame(columns, index) --> file --> StoredFrame --> DataFrame

A DataFrame's own state is made of pandas's blocks and managers, which change from version to version.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class StoredFrame:
    """Names and arrays of the columns of a table, and its index.

    Parameters
    ----------
    frame : DataFrame
        Of plain columns: numbers, truth values, texts, moments in time.

    Raises
    ------
    TypeError
        If arrays would not give the same table.
    """

    def __init__(self, frame: Any):
        self.names = list(frame.columns)
        self.values = [frame.iloc[:, place].to_numpy() for place in range(frame.shape[1])]
        self.index, self.index_name = frame.index.to_numpy(), frame.index.name
        try:
            is_same = self.frame().equals(frame)
        except (TypeError, ValueError):
            is_same = False
        if not is_same:
            raise TypeError("save: a table with columns of categories, intervals or several levels cannot be stored.")

    def frame(self) -> Any:
        """The table again."""
        import pandas as pd

        index = pd.Index(np.asarray(self.index), name=self.index_name)
        columns = {place: pd.Series(values, index=index) for place, values in enumerate(self.values)}
        frame = pd.DataFrame(columns, index=index)
        frame.columns = pd.Index(self.names)
        return frame
