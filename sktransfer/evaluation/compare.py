"""compare: does transfer pay on these data?

::

    X, y, groups --> draws --> one fit for each method, number of labels and draw --> Comparison
                               (in processes, with a bar, kept by joblib.Memory)
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import joblib
import numpy as np
import sklearn
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import check_scoring
from sklearn.utils.validation import check_memory

from sktransfer import __version__
from sktransfer.evaluation.baselines import SOURCE, make_methods, with_loaded_backbone
from sktransfer.evaluation.draws import make_draws
from sktransfer.evaluation.fits import Outcome, Rows, attempt, fit_and_predict, front_steps
from sktransfer.evaluation.intervals import units_of
from sktransfer.evaluation.metrics import metric_of
from sktransfer.evaluation.outcomes import Outcomes
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.parameters import invalid_parameter, is_whole
from sktransfer.validation.domains import check_domains
from sktransfer.validation.labels import check_labels, check_values

_NAME = "compare"
_DEFAULT_N_LABELS = (1, 2, 5, 10, 20)
_DEFAULT_N_ROWS = (5, 10, 20, 50, 100)  # of a regression


def compare(
    estimator,
    X,
    y,
    *,
    X_source=None,
    y_source=None,
    source_domain=None,
    groups=None,
    cv=None,
    n_labels=_DEFAULT_N_LABELS,
    n_draws=10,
    label_by="row",
    baselines="default",
    scoring=None,
    n_jobs=None,
    memory=None,
    random_state=0,
    verbose=0,
):
    """Compare an estimator that transfers with what one would do without it, on the same labelled rows.

    Every draw splits the target's rows into a pool and scored rows, and labels a few rows of the pool. All methods are
    fitted to the same labelled rows and scored on the same rows, none of which any of them has seen.

    Parameters
    ----------
    estimator : estimator
        A :class:`TransferClassifier`, :class:`TransferRegressor`, or another estimator; alone, or as the last step of a
        :class:`~sklearn.pipeline.Pipeline`. The steps before the last one stand before the default baselines, too, so
        that all see the same preprocessing: what is compared is what comes after it.
    X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
        Labelled rows or windows of the target machine.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Classes, or values for a regressor.
    X_source, y_source : array-like, optional
        Rows of source machines with their labels. They are stacked on the labelled rows for every method whose ``fit``
        takes ``sample_domain``, and for the pooled baselines; such methods get the pool's other rows without labels.
        Steps before the last one get ``sample_domain``, too, so that :class:`BaselineScaler` scales each machine by
        itself; a frozen one must have been fitted on all of them.
    source_domain : array-like of shape (n_source_rows,), optional
        Number of the machine of each source row, above zero; None: all are of one machine.
    groups : array-like of shape (n_samples,), optional
        Run, recording or machine of each row. Rows of a group lie on one side of every split and are resampled
        together; estimators whose ``fit`` takes groups get them. Without groups rows are taken as independent, which
        rows of one run are not.
    cv : int, splitter, iterable or None, default=None
        How the target's rows are split into pool and scored rows. None: halves, with the classes in their shares, drawn
        anew for every second draw; a number: so many folds. A splitter is given `groups`; its splits are used in turn.
        For rows in order of time, :class:`~sklearn.model_selection.TimeSeriesSplit`.
    n_labels : sequence of int, default=(1, 2, 5, 10, 20)
        Numbers of labelled rows of each class; of a regressor, of labelled rows in all, with the default
        (5, 10, 20, 50, 100). Where there are fewer, all are drawn.
    n_draws : int, default=10
        Number of draws. Fewer than 5 give no verdict.
    label_by : {"row", "group"}, default="row"
        What `n_labels` counts: rows, or whole groups, all rows of which then have labels.
    baselines : "default", dict or None, default="default"
        ``"default"``: the same network from scratch, the source network as it is, logistic regression (ridge
        regression), random forest, gradient boosting, and with source rows pooled logistic regression and pooled extra
        trees. A dict of names and estimators adds to these; an estimator is taken as it is, without the steps of
        `estimator`, and None in its place leaves a default one out. None: the networks alone.
    scoring : str, callable or None, default=None
        None: balanced accuracy, or the mean absolute error. ``"accuracy"``, ``"r2"`` and
        ``"neg_root_mean_squared_error"`` are resampled by groups, too; of other scores draws alone are resampled.
    n_jobs : int or None, default=None
        Processes in which fits run; None: this one.
    memory : str, path, joblib.Memory or None, default=None
        Where fits are kept. An interrupted comparison that is started again makes only those that are missing.
    random_state : int, default=0
        Of splits, draws and fits. It is a number, so that the same call finds its fits in `memory`.
    verbose : int, default=0
        1 shows a progress bar over the fits.

    Returns
    -------
    Comparison
        With ``frame`` (one row a fit), ``table()``, ``gains``, ``best`` and ``verdict``.

    Raises
    ------
    ValueError
        For parameters, rows or labels that cannot be used; if no split is possible; and if all fits of `estimator`
        fail, with the first of their errors.

    See Also
    --------
    TransferGainDisplay : Draws the scores.

    Notes
    -----
    The gain over the best alternative is the least of the gains over each. Its 95 % interval allows for that the best
    one is read off the same scores: the lower end is the least of the lower ends over all alternatives, the upper end
    holds for all of them together. Draws and groups of scored rows are resampled, crossed and paired (Owen 2007,
    doi:10.1214/07-AOAS122). Intervals are for each number of labels by itself.

    Windows go to the plain baselines as statistics of each channel: moments, extremes, and power in 16 bands.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sktransfer import BaselineScaler, TransferClassifier, compare, load_tep_mode4, make_pipeline
    >>> plant = load_tep_mode4()
    >>> few = plant.target.isin(["normal", "idv04-reactor-cooling-water-inlet-temperature", "idv06-a-feed-loss"])
    >>> X, y, runs = plant.data[few], plant.target[few], plant.groups[few]
    >>> scaler = FrozenEstimator(BaselineScaler().fit(X[y == "normal"].iloc[::2]))
    >>> model = make_pipeline(scaler, TransferClassifier("tep-process"))
    >>> results = compare(model, X, y, groups=runs, n_labels=(1,), n_draws=5, baselines=None)
    >>> results.methods
    ['transfer', 'from scratch', 'source as it is']
    """
    if not hasattr(estimator, "fit") or not (is_classifier(estimator) or is_regressor(estimator)):
        raise invalid_parameter(_NAME, "estimator", "be a classifier or a regressor", estimator)
    estimator = with_loaded_backbone(estimator)
    n_labels = _check_parameters(estimator, n_labels, n_draws, label_by, groups, random_state)
    data, groups = _rows(estimator, X, y, X_source, y_source, source_domain, groups)
    methods = make_methods(estimator, baselines, data)
    if len(methods) < 2:
        raise ValueError(
            f"{_NAME} has nothing to compare {next(iter(methods))!r} with: baselines={baselines!r} leaves no other "
            "method. Pass baselines='default', or a dict of estimators."
        )
    _warn_of_scaling_as_target(estimator, data)
    metric = metric_of(scoring, 0 if data.classes is None else len(data.classes))
    rng = np.random.default_rng(random_state)
    draws = make_draws(
        data.X, data.codes, data.classes, groups=groups, cv=cv, n_labels=n_labels, n_draws=n_draws,
        by_group=label_by == "group", rng=rng,
    )  # fmt: skip
    scorer = None if metric.by_rows else check_scoring(estimator, scoring)
    jobs = [
        (name, n, draw)
        for draw in draws
        for n in n_labels
        for name in methods
        if name != SOURCE or n == n_labels[0]  # it learns nothing from labels
    ]
    memory = check_memory(os.fspath(memory) if isinstance(memory, os.PathLike) else memory)
    keys = dict.fromkeys(methods, "") if memory.location is None else _keys(methods, scorer, data)
    fit = memory.cache(fit_and_predict, ignore=["estimator", "scorer", "data"])
    calls = [
        (keys[name], draw.labelled[n], draw.pool, draw.scored, draw.seed, methods[name], scorer, data)
        for name, n, draw in jobs
    ]
    outcomes = _run(fit, calls, n_jobs, verbose)
    unit, n_units = units_of(len(data.codes), groups, rng)
    results = Outcomes(data, metric, list(methods), n_labels, draws, unit, n_units)
    for number, outcome in outcomes:
        results.add(*jobs[number], outcome)
    return results.comparison(_unit_words(data.classes is not None, label_by), random_state)


def _check_parameters(
    estimator: Any, n_labels: Any, n_draws: Any, label_by: Any, groups: Any, random_state: Any
) -> tuple[int, ...]:
    """The numbers of labels, ascending."""
    if n_labels is _DEFAULT_N_LABELS and is_regressor(estimator) and label_by == "row":
        n_labels = _DEFAULT_N_ROWS
    least = 2 if is_regressor(estimator) and label_by == "row" else 1
    numbers = [n_labels] if is_whole(n_labels) else list(n_labels)
    if not numbers or not all(is_whole(n) and n >= least for n in numbers):
        raise invalid_parameter(_NAME, "n_labels", f"hold whole numbers of at least {least}", n_labels)
    if not is_whole(n_draws) or n_draws < 1:
        raise invalid_parameter(_NAME, "n_draws", "be a whole number of at least 1", n_draws)
    if label_by not in ("row", "group"):
        raise invalid_parameter(_NAME, "label_by", "be 'row' or 'group'", label_by)
    if label_by == "group" and groups is None:
        raise ValueError(f"{_NAME}(label_by='group') needs groups, the run or machine of each row; got groups=None.")
    if not is_whole(random_state) or random_state < 0:
        raise invalid_parameter(_NAME, "random_state", "be a whole number of at least 0", random_state)
    return tuple(sorted({int(n) for n in numbers}))


def _rows(
    estimator: Any, X: Any, y: Any, X_source: Any, y_source: Any, source_domain: Any, groups: Any
) -> tuple[Rows, np.ndarray | None]:
    """Checked rows and groups."""
    X = X if hasattr(X, "shape") else np.asarray(X)
    n = X.shape[0]
    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != (n,):
            raise ValueError(f"{_NAME} got groups of shape {groups.shape}; expected ({n},), one a row of X.")
    if (X_source is None) != (y_source is None):
        given, other = ("X_source", "y_source") if y_source is None else ("y_source", "X_source")
        raise ValueError(f"{_NAME} got {given} without {other}. Pass rows of the source with their labels, or neither.")
    check = check_labels if is_classifier(estimator) else check_values
    y = check(_NAME, y, n)
    classes, codes = np.unique(y, return_inverse=True) if is_classifier(estimator) else (None, y)
    if classes is not None and len(classes) < 2:
        raise ValueError(f"{_NAME} needs rows of at least two classes; y holds {classes.tolist()} alone.")
    numbers = None if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    data = Rows(X, y, codes, classes, groups=numbers)
    if X_source is not None:
        data.X_source = X_source if hasattr(X_source, "shape") else np.asarray(X_source)
        n_source = data.X_source.shape[0]
        if data.X_source.shape[1:] != X.shape[1:]:
            raise ValueError(
                f"{_NAME} got X_source of shape {data.X_source.shape} and X of shape {X.shape}; rows of source and "
                "target have the same columns in the same order."
            )
        if len(y_source) != n_source:
            raise ValueError(
                f"{_NAME} got {counted(len(y_source), 'label')} in y_source for {counted(n_source, 'row')} of X_source."
            )
        data.y_source = check(f"{_NAME} (y_source)", y_source, n_source)
        ones = np.ones(n_source, dtype=np.int64)
        data.source_domain = ones if source_domain is None else check_domains(source_domain, n_source)
        if (data.source_domain < 0).any():
            raise ValueError(f"{_NAME} got a source_domain below zero, which is a target. Number machines from 1 up.")
    return data, groups


def _warn_of_scaling_as_target(estimator: Any, data: Rows) -> None:
    """Warn where a scaler that was fitted on the target alone would scale the source's rows, too."""
    frozen = [step.estimator for step in front_steps(estimator) if isinstance(step, FrozenEstimator)]
    blind = [type(one).__name__ for one in frozen if len(getattr(one, "domains_", [0, 0])) < 2]
    if blind and data.X_source is not None:
        warn_caller(
            f"{_NAME}: the frozen {blind[0]} knows the baseline of one machine and scales the rows of X_source by it. "
            "Fit it on healthy rows of all machines, with sample_domain above zero for sources and -1 for the target."
        )


def _keys(methods: dict[str, Any], scorer: Any, data: Rows) -> dict[str, str]:
    """Of each method the key under which its fits are kept: the estimator, the data and the versions."""
    keys = {}
    common = joblib.hash([data, __version__, sklearn.__version__])
    for name, method in methods.items():
        try:
            keys[name] = joblib.hash([common, method, scorer])
        except pickle.PicklingError as error:
            raise ValueError(
                f"{_NAME}(memory=...) keeps fits under the pickled estimator, and {name!r} cannot be pickled. Define "
                "its classes and functions in a module, or leave memory out."
            ) from error
    return keys


def _run(fit: Any, calls: Sequence[Any], n_jobs: Any, verbose: int) -> Iterator[tuple[int, Outcome]]:
    """Numbers and outcomes of the calls, as they come."""
    from tqdm.auto import tqdm

    if effective_n_jobs(n_jobs) == 1:
        found: Any = (_numbered(number, fit, call) for number, call in enumerate(calls))
    else:
        runner = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
        found = runner(delayed(_numbered)(number, fit, call) for number, call in enumerate(calls))
    return iter(tqdm(found, total=len(calls), unit="fit", disable=not verbose))


def _numbered(number: int, fit: Any, call: Any) -> tuple[int, Outcome]:
    return number, attempt(fit, *call)


def _unit_words(classifies: bool, label_by: str) -> str:
    what = "labels" if label_by == "row" else "labelled groups"
    if classifies:
        return f"{what} a class"
    return "labelled rows" if label_by == "row" else what
