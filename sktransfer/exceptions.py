"""The warnings and errors that a caller may want to catch."""

from sklearn.exceptions import InconsistentVersionWarning


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


class ModelVersionWarning(InconsistentVersionWarning):
    """A fitted estimator was saved with other versions of the packages than those installed now.

    It is a subclass of scikit-learn's ``InconsistentVersionWarning``, so a filter on that one also stops here.

    Parameters
    ----------
    estimator_name : str
        Class of the estimator in the file.
    saved_with, running : dict of str to str
        Package name to version, at saving and now.
    """

    def __init__(self, *, estimator_name: str, saved_with: dict[str, str], running: dict[str, str]):
        self.saved_with, self.running = saved_with, running
        super().__init__(
            estimator_name=estimator_name,
            current_sklearn_version=running["scikit-learn"],
            original_sklearn_version=saved_with["scikit-learn"],
        )

    def __str__(self) -> str:
        changed = [
            f"{package} {saved} -> {self.running[package]}"
            for package, saved in self.saved_with.items()
            if self.running.get(package) not in (None, saved)
        ]
        return (
            f"{self.estimator_name} was saved with other versions than those running now ({', '.join(changed)}). "
            "Its predictions should agree to about 1e-5; save it again to silence this warning."
        )
