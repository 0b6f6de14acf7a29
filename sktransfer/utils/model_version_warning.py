"""The warning of other versions, in the class of scikit-learn's own."""

from sklearn.exceptions import InconsistentVersionWarning


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
