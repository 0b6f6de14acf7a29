"""What a search has in common: the splits, and the preprocessing of each split, fitted once.

::

    X, y --cv--> splits --> Pipeline(steps, catcher).fit --> what the last step would be fitted to
                               scikit-learn slices rows, weights and metadata as for any search
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline


@dataclass
class Fold:
    """One split as the last step of a pipeline sees it.

    Parameters
    ----------
    X, y, params
        What the last step would be fitted to.
    before : Pipeline or None
        The fitted steps before it.
    seen : list of (X, Xt)
        Rows that are scored, and the same after the steps before: test rows, then training rows if they are scored.
    seconds : float
        How long the steps before took to fit.
    """

    X: Any
    y: Any
    params: dict[str, Any]
    before: Any = None
    seen: list[tuple[Any, Any]] = field(default_factory=list)
    seconds: float = 0.0


class RememberedSplits:
    """A splitter whose splits are drawn once and are the same whenever they are asked for."""

    def __init__(self, cv: Any):
        self._cv = cv
        self._splits: list[Any] | None = None

    def split(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Training and test rows of each split."""
        if self._splits is None:
            self._splits = list(self._cv.split(*args, **kwargs))
        return iter(self._splits)

    def get_n_splits(self, *args: Any, **kwargs: Any) -> int:
        """Number of splits."""
        return self._cv.get_n_splits(*args, **kwargs) if self._splits is None else len(self._splits)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_cv":
            raise AttributeError(name)
        return getattr(self._cv, name)  # get_metadata_routing, where the splitter has it


class _Box:
    """Holds what was caught; clones share it."""

    def __init__(self) -> None:
        self.folds: list[Fold] = []

    def __sklearn_clone__(self) -> _Box:
        return self


class _Catcher(BaseEstimator):
    """Stands where the last step stands and keeps what it is fitted to."""

    def __init__(self, estimator: Any, box: _Box):
        self.estimator = estimator
        self.box = box

    def fit(self, X: Any, y: Any = None, **params: Any) -> _Catcher:
        self.box.folds.append(Fold(X, y, params))
        return self

    def get_metadata_routing(self) -> Any:
        return self.estimator.get_metadata_routing()

    def __sklearn_tags__(self) -> Any:
        return self.estimator.__sklearn_tags__()

    def __sklearn_is_fitted__(self) -> bool:
        return True


class _CatchingScorer:
    """Keeps the rows that are scored, after the steps before the last; asks for the metadata that `scorer` asks for."""

    def __init__(self, scorer: Any, box: _Box):
        self._scorer = scorer
        self.box = box

    def __call__(self, estimator: Any, X: Any, y: Any = None, **params: Any) -> float:
        fold = self.box.folds[-1]
        fold.before = estimator[:-1] if isinstance(estimator, Pipeline) and len(estimator) > 1 else None
        fold.seen.append((X, X if fold.before is None else fold.before.transform(X)))
        return 1.0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_scorer":
            raise AttributeError(name)
        return getattr(self._scorer, name)


def last_step(estimator: Any) -> tuple[str, Any]:
    """Name of the last step of a pipeline (empty if `estimator` is none), and the last step."""
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1]
    return "", estimator


def catch_folds(estimator: Any, search: Any, X: Any, y: Any, scorer: Any, params: dict[str, Any]) -> list[Fold | None]:
    """What the last step of `estimator` is fitted to and scored on in each split; None where the steps before fail.

    Parameters
    ----------
    estimator : estimator
        A pipeline, or the last step alone.
    search : dict
        ``cv`` (a `RememberedSplits`) and ``return_train_score``.
    X, y, params
        As passed to the search.
    scorer : scorer
        For its metadata.
    """
    box, (name, last) = _Box(), last_step(estimator)
    catcher = _Catcher(last, box)
    pipeline = clone(estimator).set_params(**{name: catcher}) if name else catcher
    caught = GridSearchCV(pipeline, {}, scoring=_CatchingScorer(scorer, box), refit=False, n_jobs=1, **search)
    with warnings.catch_warnings():
        # what fails here fails again, and is reported, where it is fitted as usual
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.filterwarnings("ignore", message="Scoring failed|One or more of the")
        try:
            caught.fit(X, y, **params)
        except ValueError as error:
            if "fits failed" not in str(error):
                raise
            return [None] * search["cv"].get_n_splits()
    kinds = ("test", "train") if search["return_train_score"] else ("test",)
    results, splits = caught.cv_results_, range(caught.n_splits_)
    went_well = [all(np.isfinite(results[f"split{s}_{kind}_score"][0]) for kind in kinds) for s in splits]
    rows = iter(fold for fold in box.folds if len(fold.seen) == len(kinds))
    folds = [next(rows) if well else None for well in went_well]
    for fold in folds:
        if fold is not None:
            fold.seconds = float(caught.cv_results_["mean_fit_time"][0])
    return folds


def share_rows(folds: list[Fold | None], raw: dict[tuple[int, int], Any]) -> None:
    """Keep rows that are scored once, however many preprocessings there are; `raw` collects them by split."""
    for split, fold in enumerate(folds):
        for place, (X, Xt) in enumerate([] if fold is None else fold.seen):
            kept = raw.setdefault((split, place), X)
            if fold is not None and same_rows(kept, X):
                fold.seen[place] = (kept, kept if Xt is X else Xt)


def same_rows(a: Any, b: Any) -> bool:
    """Whether two tables of one kind hold the same cells."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        same = np.asarray(a == b)
        return bool(same.all()) or bool((same | ((a != a) & (b != b))).all())
    if isinstance(a, pd.DataFrame) or hasattr(a, "equals"):
        return bool(a.equals(b))
    if issparse(a):
        return a.shape == b.shape and a.dtype == b.dtype and (a != b).nnz == 0
    try:
        return isinstance(a, list) and bool(a == b)
    except ValueError:  # a list of arrays
        return False
