"""Searches whose fits train together.

::

    candidates x folds --> preprocessing once a fold --> frozen features once a fold --> heads stacked, trained as one
                                                                                              |
    cv_results_, best_estimator_, ... <-- scikit-learn's own loop of scoring <----------------+
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sklearn.pipeline
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, RandomizedSearchCV, check_cv
from sklearn.utils import get_tags
from sklearn.utils.validation import indexable

from sktransfer.estimators.pipeline import Pipeline
from sktransfer.model_selection.candidates import Bench
from sktransfer.model_selection.folds import RememberedSplits, catch_folds, share_rows
from sktransfer.model_selection.stand_in import Evaluation, StandIn

# Pipelines whose predictions are those of their last step on what the steps before return.
_PIPELINES = (sklearn.pipeline.Pipeline, Pipeline)


class _Together:
    """Mixin of the two searches: `fit` that trains first and lets scikit-learn score afterwards."""

    estimator: Any
    scoring: Any
    n_jobs: Any
    refit: Any
    cv: Any
    verbose: int
    pre_dispatch: Any
    error_score: Any
    return_train_score: bool
    multimetric_: bool
    cv_results_: dict[str, Any]
    best_estimator_: Any
    _validate_params: Any
    _candidates: Any

    def fit(self, X, y=None, **params):
        """Run the search.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows, or windows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels.
        **params : dict
            ``groups``, ``sample_weight`` and other metadata, as in :class:`sklearn.model_selection.GridSearchCV`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For parameters that the estimator does not have, and if every fit fails.
        """
        self._validate_params()
        for name in [key for key in vars(self) if key.endswith("_") and not key.startswith("_")]:
            delattr(self, name)  # an interrupted search must not look like a finished one
        candidates = list(self._candidates())
        bench = Bench(self.estimator, candidates)
        cv = RememberedSplits(check_cv(self.cv, y, classifier=is_classifier(self.estimator)))
        X, y = indexable(X, y)
        self._fold(bench, cv, X, y, params)
        with _progress(bench, self.verbose) as on_progress:
            bench.train(on_progress, self.n_jobs)
            bench.start_alone(self.n_jobs, self.pre_dispatch)
            bench.on_alone = on_progress
            evaluation = self._evaluation(bench, candidates, cv)
            try:
                evaluation.fit(X, y, **params)
            except Exception:
                if bench.broken is None:
                    raise
            if bench.broken is not None:
                raise bench.broken
        self._take(evaluation, bench)
        return self

    def _fold(self, bench: Bench, cv: RememberedSplits, X: Any, y: Any, params: dict[str, Any]) -> None:
        """Fit the preprocessing of every fold, and put the fits in scikit-learn's order."""
        options = {"cv": cv, "return_train_score": self.return_train_score}
        scorer, raw = check_scoring(self.estimator, self.scoring), dict[tuple[int, int], Any]()
        for group in bench.preprocessings():
            estimator = bench.configured(bench.candidates[group[0]])
            folds = catch_folds(estimator, options, X, y, scorer, params)
            share_rows(folds, raw)
            for split, fold in enumerate(folds):
                if type(estimator) not in _PIPELINES and isinstance(estimator, sklearn.pipeline.Pipeline):
                    fold = None  # a pipeline of somebody else's may predict and score as it likes
                if fold is not None:
                    fold.seconds /= len(group)
                bench.folds.update({(candidate, split): fold for candidate in group})
        bench.order.extend(sorted(bench.folds))

    def _evaluation(self, bench: Bench, candidates: list[dict[str, Any]], cv: RememberedSplits) -> Evaluation:
        refit = self.refit
        if callable(refit):  # it may look at times
            refit = lambda results: self.refit(_with_times(results, bench))  # noqa: E731
        # messages and progress bars name the search
        evaluation = type(type(self).__name__, (Evaluation,), {})(
            StandIn(bench),
            candidates,
            more={"how": bench.how()},
            scoring=self.scoring,
            refit=refit,
            cv=cv,
            verbose=max(0, self.verbose - 1),
            error_score=self.error_score,
            return_train_score=self.return_train_score,
        )
        callbacks = getattr(self, "_skl_callbacks", None)
        return evaluation.set_callbacks(*callbacks) if callbacks else evaluation

    def __sklearn_tags__(self):
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator).input_tags  # type: ignore[misc]
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = own.two_d_array, own.three_d_array
        return tags

    def _take(self, evaluation: Evaluation, bench: Bench) -> None:
        """The results, with the estimator in place of its stand-in and the times that the fits took."""
        for name, value in vars(evaluation).items():
            if name.endswith("_") and not name.startswith("_"):
                setattr(self, name, value)
        if "best_estimator_" in vars(self):
            self.best_estimator_ = self.best_estimator_.fitted()
        if not self.multimetric_:
            self.scorer_ = check_scoring(self.estimator, self.scoring)  # without the stand-in
        _with_times(self.cv_results_, bench)


def _with_times(results: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """The results with the times that the fits took in place of those of the stand-ins; changed in place."""
    seconds = np.array([bench.seconds[key] for key in sorted(bench.seconds)]).reshape(len(bench.candidates), -1)
    results["mean_fit_time"], results["std_fit_time"] = seconds.mean(axis=1), seconds.std(axis=1)
    return results


@contextmanager
def _progress(bench: Bench, verbose: int) -> Iterator[Any]:
    """A bar over candidates x folds if `verbose` asks for it."""
    if not verbose:
        yield lambda share: None
        return
    from tqdm.auto import tqdm

    bar_format = "{l_bar}{bar}| {n:.0f}/{total} fits [{elapsed}<{remaining}]"
    with tqdm(total=len(bench.order), bar_format=bar_format) as bar:
        # what had to be fitted a second time is not counted twice
        yield lambda share: bar.update(min(share, bar.total - bar.n))


class BatchedGridSearchCV(_Together, GridSearchCV):
    """A grid search that computes frozen features once a fold and trains its heads together.

    A drop-in for :class:`sklearn.model_selection.GridSearchCV`: the same parameters, attributes and scores, many times
    faster where the estimator is, or a :class:`~sklearn.pipeline.Pipeline` ends in, a
    :class:`TransferClassifier` or :class:`TransferRegressor`. In each fold the steps before it are fitted once, outputs
    of frozen blocks are computed once, and all candidates of one network shape train as one stacked network, with the
    initial weights, batches and dropout that each would have had alone. Learning rate, weight decay, dropout, class
    weights, strategy and L2-SP may differ from candidate to candidate; other network shapes, batch sizes and numbers
    of epochs make stacks of their own.

    Parameters
    ----------
    estimator : estimator
        Pipeline that ends in an estimator of this package, or that estimator. Others are searched as usual.
    param_grid : dict or list of dict
        As in :class:`~sklearn.model_selection.GridSearchCV`.
    scoring : str, callable, list, tuple, dict or None, default=None
        One score or several; None: ``estimator.score``.
    n_jobs : int or None, default=None
        Threads in which stacks train, and worker processes for the candidates that train alone; -1: all cores.
    refit : bool, str or callable, default=True
        Whether, and by which score or rule, the best candidate is fitted again to all rows.
    cv : int, splitter, iterable or None, default=None
        Splits; they are drawn once. None: five folds.
    verbose : int, default=0
        1 shows a progress bar over candidates x folds; more, what scikit-learn prints at one less.
    pre_dispatch : int or str, default="2*n_jobs"
        For the candidates that train alone.
    error_score : "raise" or float, default=nan
        Score of a fit that fails; "raise" ends the search with its error.
    return_train_score : bool, default=False
        Whether rows that were trained on are scored, too.

    Attributes
    ----------
    cv_results_ : dict
        As in :class:`~sklearn.model_selection.GridSearchCV`, and ``"how"``: of each candidate, ``"stacked"``,
        ``"solved"`` (a linear head on features that were computed once) or ``"alone"`` (networks that cannot be
        stacked, skorch callbacks, ``verbose`` estimators, other estimators). Fit times of stacked candidates are
        shares of the stack's time.
    best_estimator_, best_score_, best_params_, best_index_, refit_time_, scorer_, n_splits_, multimetric_
        As in :class:`~sklearn.model_selection.GridSearchCV`; the best candidate is fitted again on its own.

    Notes
    -----
    The arithmetic is that of fits on their own, in another order. In float64 the scores are the same as long as
    training does not amplify rounding itself (a rate of 0.3 for a hundred epochs makes 0.01 of 1e-13); in float32 they
    differ by no more than float32 differs from float64. Rows are checked once a fold, and warned of once a fold.

    Scores come from outputs that were computed while training. A scorer that asks the estimator for anything else
    than predictions for the rows it was given makes it train again, alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sktransfer import BatchedGridSearchCV, MLPHead, TransferClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(90, 4))
    >>> y = np.where(X[:, 0] > 0, "normal", "leak")
    >>> model = TransferClassifier(head=MLPHead((8,)), max_epochs=3, random_state=0)
    >>> grid = {"transferclassifier__lr": [0.001, 0.01, 0.1]}
    >>> search = BatchedGridSearchCV(make_pipeline(StandardScaler(), model), grid, cv=3).fit(X, y)
    >>> search.cv_results_["how"].tolist()
    ['stacked', 'stacked', 'stacked']
    """

    def _candidates(self) -> ParameterGrid:
        return ParameterGrid(self.param_grid)


class BatchedRandomizedSearchCV(_Together, RandomizedSearchCV):
    """A randomised search that computes frozen features once a fold and trains its heads together.

    To :class:`sklearn.model_selection.RandomizedSearchCV` what :class:`BatchedGridSearchCV` is to
    :class:`~sklearn.model_selection.GridSearchCV`; see there.

    Parameters
    ----------
    estimator : estimator
        As in :class:`BatchedGridSearchCV`.
    param_distributions : dict or list of dict
        As in :class:`~sklearn.model_selection.RandomizedSearchCV`.
    n_iter : int, default=10
        Number of candidates.
    scoring : str, callable, list, tuple, dict or None, default=None
        One score or several; None: ``estimator.score``.
    n_jobs : int or None, default=None
        Threads in which stacks train, and worker processes for the candidates that train alone; -1: all cores.
    refit : bool, str or callable, default=True
        Whether, and by which score or rule, the best candidate is fitted again to all rows.
    cv : int, splitter, iterable or None, default=None
        Splits; they are drawn once. None: five folds.
    verbose : int, default=0
        1 shows a progress bar over candidates x folds, more what scikit-learn prints at one less.
    pre_dispatch : int or str, default="2*n_jobs"
        For the candidates that train alone.
    random_state : int, RandomState or None, default=None
        Draws the candidates.
    error_score : "raise" or float, default=nan
        Score of a fit that fails; "raise" ends the search with its error.
    return_train_score : bool, default=False
        Whether rows that were trained on are scored, too.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, refit_time_, scorer_, n_splits_, multimetric_
        As in :class:`BatchedGridSearchCV`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import loguniform
    >>> from sktransfer import BatchedRandomizedSearchCV, TransferClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(90, 4))
    >>> y = np.where(X[:, 0] > 0, "normal", "leak")
    >>> model = TransferClassifier(max_epochs=3, random_state=0)
    >>> search = BatchedRandomizedSearchCV(model, {"lr": loguniform(1e-4, 1e-1)}, n_iter=4, cv=3, random_state=0)
    >>> len(search.fit(X, y).cv_results_["params"])
    4
    """

    def _candidates(self) -> ParameterSampler:
        return ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state)
