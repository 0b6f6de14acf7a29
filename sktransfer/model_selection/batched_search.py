"""Searches whose fits train together.

::

    GridSearchCV.fit --> preprocessing once a fold --> what each last step is fitted to
                                                              |
                                    frozen features once a fold --> heads stacked, trained as one
                                                              |
    GridSearchCV.fit --> fitted pipelines, scored ------------+--> cv_results_, best_estimator_, ...
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, RandomizedSearchCV, check_cv
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import indexable

from sktransfer.model_selection.last_step import SearchedPipeline
from sktransfer.utils.callbacks import SearchTask
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.counted_warnings import warnings_once
from sktransfer.validation.neighbours import warn_of_neighbours

if TYPE_CHECKING:
    from sktransfer.model_selection.candidates import CandidateFits


class _Splits:
    """A splitter whose splits are drawn; it asks for the metadata that the user's splitter asks for."""

    def __init__(self, splits: list[Any], splitter: Any):
        self.splits, self.splitter = splits, splitter

    def split(self, X: Any = None, y: Any = None, **params: Any) -> Iterator[Any]:
        return iter(self.splits)

    def get_n_splits(self, X: Any = None, y: Any = None, **params: Any) -> int:
        """As the user's splitter counts them: scikit-learn's loop refuses a count that its splits do not have."""
        return self.splitter.get_n_splits(X, y, **params)

    def get_metadata_routing(self) -> Any:
        return get_routing_for_object(self.splitter)


class _NoScore:
    """A scorer that looks at nothing; it asks for the metadata that the user's scorer asks for."""

    def __init__(self, scorer: Any):
        self.scorer = scorer

    def __call__(self, estimator: Any, X: Any, y: Any = None, **params: Any) -> float:
        return 0.0

    def get_metadata_routing(self) -> Any:
        return get_routing_for_object(self.scorer)

    def _accept_sample_weight(self) -> bool:
        """scikit-learn asks it of scorers; the second pass asks the user's scorer."""
        return True


class _BatchedSearch(Checksummed):
    """Mixin of the two searches: ``fit`` goes through scikit-learn's loop twice and trains in between."""

    estimator: Any
    scoring: Any
    n_jobs: Any
    refit: Any
    cv: Any
    verbose: int
    pre_dispatch: Any
    error_score: Any
    multimetric_: bool
    get_params: Any
    n_splits_: int
    _validate_params: Any
    _get_scorers: Any
    _get_routed_params_for_fit: Any
    _candidates: Any
    _fits: CandidateFits | None
    _drawn: list[dict[str, Any]]

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
            For parameters that the estimator does not have, for a `refit` that names no score, and if every fit fails.
        """
        from sktransfer.model_selection.candidates import CandidateFits, in_this_process  # brings torch

        self._validate_params()
        self._forget()
        self._get_scorers()  # a `refit` that names no score is an error here, before anything is trained
        scorer = check_scoring(self.estimator, self.scoring)
        X, y = indexable(X, y)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(cv.split(X, y, **self._get_routed_params_for_fit(params).splitter.split))
        warn_of_neighbours(type(self).__name__, X, params.get("groups"), splits, "cv=GroupKFold()")
        fits = CandidateFits(self.estimator, list(self._candidates()), len(splits), self.n_jobs, self.pre_dispatch)
        fits.watched = bool(getattr(self, "_skl_callbacks", None))
        with warnings_once():
            if fits.watched and not fits.any_ours():
                # scikit-learn's callbacks follow each fit, into worker processes, too
                with self._in_place_of(fits, cv, cv=_Splits(splits, cv)):
                    super().fit(X, y, **params)  # type: ignore[misc]
            else:
                with in_this_process() as fits.workers:
                    self._fit_twice(fits, X, y, params, splits, cv, scorer)
        self.why_alone_ = [fits.why_alone.get(number) for number in range(len(fits.candidates))]
        return self

    def _fit_twice(self, fits: CandidateFits, X: Any, y: Any, params: dict, splits: list, cv: Any, scorer: Any) -> None:
        """Both passes; what they train is trained at the beginning of the second."""
        if fits.groups and splits:
            self._note(fits, X, y, params, _Splits([(train, np.arange(0)) for train, _ in splits], cv), scorer)
        with (
            _progress(fits, self.verbose) as fits.on_progress,
            self._in_place_of(
                fits,
                cv,
                estimator=SearchedPipeline(self.estimator, fits.open),
                n_jobs=1,
                cv=_Splits(splits, cv),
                # the scorer that None stands for asks its estimator what scikit-learn asks a fitted one
                scoring=scorer if self.scoring is None else self.scoring,
                verbose=self.verbose if self.verbose > 1 else 0,
            ),
        ):
            super().fit(X, y, **params)  # type: ignore[misc]

    @contextmanager
    def _in_place_of(self, fits: CandidateFits, splitter: Any, **parameters: Any) -> Iterator[None]:
        """Let scikit-learn's loop run over the drawn candidates and find `parameters` in place of the user's.

        The loop runs on this object, because callbacks are told which search they watch.
        """
        own = {name: getattr(self, name) for name in parameters}
        self._fits, self._drawn = fits, fits.candidates
        vars(self).update(parameters)
        try:
            yield
        except BaseException:
            self._forget()
            raise
        finally:
            vars(self).update(own)
            if "_checked_cv_orig" in vars(self):  # scikit-learn 1.9 keeps it
                self._checked_cv_orig = splitter
            del self._fits, self._drawn

    def _forget(self) -> None:
        """Leave nothing of a fit: an interrupted search must not look like a finished one."""
        fitted = {key for key in vars(self) if key.endswith("_") and not key.startswith("_")} | {"_checked_cv_orig"}
        for name in fitted & set(vars(self)):
            delattr(self, name)

    def _note(self, fits: CandidateFits, X: Any, y: Any, params: dict[str, Any], cv: _Splits, scorer: Any) -> None:
        """First pass: fit the preprocessing of every fold, and note what the last steps would be fitted to."""
        # a score of zero for what fails: the second pass fits it again and reports it
        options: dict[str, Any] = {"refit": False, "verbose": 0, "error_score": 0.0, "return_train_score": False}
        options |= {"estimator": SearchedPipeline(self.estimator, fits.note), "scoring": _NoScore(scorer), "cv": cv}
        # another object, which no callback watches
        search = type(self)(**{**self.get_params(deep=False), **options, "n_jobs": 1})
        search._fits, search._drawn = None, fits.representatives()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitFailedWarning)
            try:
                super(_BatchedSearch, search).fit(X, y, **params)  # type: ignore[misc]
            except ValueError:
                # scikit-learn raises after the last fit if all failed before their last step, and will do so again
                if not fits.all_failed():
                    raise
        fits.begin_second_pass()

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        """scikit-learn's loop over the drawn candidates; called by its ``fit``."""
        # before 1.9 scikit-learn has no callbacks, and counts its splits after this call
        fits, n_fits = self._fits, len(self._drawn) * getattr(self, "n_splits_", 0)
        with SearchTask(self, callback_ctx, n_fits, fits if fits is not None and fits.any_ours() else None) as options:
            evaluate_candidates(self._drawn, **options)

    def _format_results(self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None) -> Any:
        """As scikit-learn's, with the times of the fits in the stacks, and with how they ran."""
        if self._fits is not None:
            for number, one in enumerate(out):
                one["fit_time"] = self._fits.seconds.get(divmod(number, n_splits), one["fit_time"])
            more_results = {**(more_results or {}), "how": self._fits.ways()}
        return super()._format_results(candidate_params, n_splits, out, more_results)  # type: ignore[misc]

    def __sklearn_tags__(self):
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator).input_tags  # type: ignore[misc]
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = own.two_d_array, own.three_d_array
        return tags


@contextmanager
def _progress(fits: CandidateFits, verbose: int) -> Iterator[Any]:
    """A bar over candidates x folds if `verbose` asks for it."""
    if not verbose:
        yield lambda share: None
        return
    from tqdm.auto import tqdm

    bar_format = "{l_bar}{bar}| {n:.0f}/{total} fits [{elapsed}<{remaining}]"
    with tqdm(total=len(fits.candidates) * fits.n_splits, bar_format=bar_format) as bar:
        yield lambda share: bar.update(min(share, bar.total - bar.n))


class BatchedGridSearchCV(_BatchedSearch, GridSearchCV):
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
        1 shows a progress bar over candidates x folds; more, also what scikit-learn prints.
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
        stacked, skorch callbacks, ``verbose`` estimators, other estimators). The fit time of a stacked candidate is
        its share of the stack's time, and the time of the steps before the last one.
    why_alone_ : list of str or None
        Of each candidate that trained alone, the reason; None for the others.
    best_estimator_, best_score_, best_params_, best_index_, refit_time_, scorer_, n_splits_, multimetric_
        As in :class:`~sklearn.model_selection.GridSearchCV`; the best candidate is fitted again on its own.

    Notes
    -----
    The arithmetic is that of fits on their own, in another order. In float64 the scores are the same as long as
    training does not amplify rounding itself (a rate of 0.3 for a hundred epochs makes 0.01 of 1e-13); in float32 they
    differ by no more than float32 differs from float64. Rows are checked once a fold, and warned of once a fold.

    scikit-learn's loop runs twice. The first run fits the steps before the last one, once a fold, and notes what the
    last step would be fitted to. The second run gives each pipeline its trained last step and scores it. So a scorer
    gets a real fitted pipeline, which it may clone, store or fit again. A candidate whose fit raises an error is
    treated as ``error_score`` says; an error in the training of a stack ends the search.

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


class BatchedRandomizedSearchCV(_BatchedSearch, RandomizedSearchCV):
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
        1 shows a progress bar over candidates x folds; more, also what scikit-learn prints.
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
    why_alone_ : list of str or None
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
