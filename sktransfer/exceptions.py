"""The warnings and errors that a caller may want to catch.

Nothing here needs scikit-learn, so that a process which scores with an ONNX file starts without it.
"""


class ModelFileError(ValueError):
    """A model or backbone file cannot be used: damaged, truncated, foreign, or written by a newer protocol."""


class TableError(ValueError):
    """A file of rows cannot be read as it was declared; the message is one line that names the file and the remedy.

    Parameters
    ----------
    message : str
    path : str, optional
        The file.
    line : int, optional
        Line of the file, counted from 1; of a Parquet file its row, counted from 1.
    column : str, optional
        Name of the column.
    """

    def __init__(self, message: str, path: str | None = None, line: int | None = None, column: str | None = None):
        super().__init__(message)
        self.path, self.line, self.column = path, line, column

    def __reduce__(self):
        return type(self), (str(self), self.path, self.line, self.column)


class EmptyTableError(TableError):
    """A file of rows is as it was declared, and holds no row."""


class DataQualityWarning(UserWarning):
    """The data can be used, but something in it looks wrong: a sentinel value, a stuck or empty column."""


class OutOfRangeWarning(DataQualityWarning):
    """Rows lie far outside everything the network has seen, so their confidence is reported as lower."""


class SourceClassWarning(UserWarning):
    """Classes of `y` and classes of the source head seem to be mistaken for each other."""


class LabelShiftWarning(DataQualityWarning):
    """The target's classes seem to have other shares than the source's, and the method assumes that they have not."""
