"""One fit on the labelled rows of a draw, and what it predicts for the scored ones.

::

    draw, method --> [source rows, unlabelled rows of the pool] + labelled rows --> fit --> predicted, seconds, warnings
                                                          kept by joblib.Memory, if there is one
"""

from __future__ import annotations

import inspect
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from sktransfer.evaluation.last_step import last_step


@dataclass
class Rows:
    """What all fits are made of.

    Parameters
    ----------
    X : rows or windows of the target
    y : ndarray
        As the caller gave it.
    codes : ndarray
        Numbers of classes, or values.
    classes : ndarray or None
    X_source, y_source, source_domain : rows of the source, their labels, and numbers of their machines; or None
    groups : ndarray of int or None
        Number of the group of each row of the target, for estimators whose ``fit`` takes ``groups``.
    """

    X: Any
    y: np.ndarray
    codes: np.ndarray
    classes: np.ndarray | None
    X_source: Any = None
    y_source: np.ndarray | None = None
    source_domain: np.ndarray | None = None
    groups: np.ndarray | None = None


@dataclass
class Outcome:
    """What a fit has left behind.

    Parameters
    ----------
    predicted : ndarray or float or None
        Numbers of classes or values of the scored rows; a score, if a scorer asked for it; None if the fit failed.
    seconds : float
        Of the fit.
    warnings : list of pairs of category and text
    error : str
        Empty, or of the fit that failed.
    """

    predicted: Any
    seconds: float
    warnings: list[tuple[type[Warning], str]]
    error: str = ""


def fit_and_predict(
    key: str, labelled: Any, pool: Any, scored: Any, seed: int, estimator: Any, scorer: Any, data: Rows
) -> Outcome:
    """Fit a clone of `estimator` on the labelled rows, and predict the scored ones.

    Parameters
    ----------
    key : str
        Stands for estimator, scorer, data and versions where outcomes are kept: with the numbers after it, it says
        which outcome this is.
    labelled, pool, scored : ndarray of int
        Rows of the target. Those of `pool` that are not labelled go to estimators that take unlabelled rows.
    seed : int
        For every ``random_state`` of the estimator that is None.
    estimator : estimator
    scorer : callable or None
        What scores the fitted estimator; None: predictions are returned.
    data : Rows

    Returns
    -------
    Outcome

    Raises
    ------
    Exception
        What the estimator raises.
    """
    estimator = _seeded(clone(estimator), seed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        began = time.perf_counter()
        fitted, steps = _fit(estimator, labelled, pool, data)
        seconds = time.perf_counter() - began
        X = _as_target(_safe_indexing(data.X, scored), steps)
        predicted: Any = (
            _coded(fitted.predict(X), data.classes) if scorer is None else float(scorer(fitted, X, data.y[scored]))
        )
    return Outcome(predicted, seconds, list(dict.fromkeys((one.category, str(one.message)) for one in said)))


def attempt(fit: Any, *arguments: Any) -> Outcome:
    """Call `fit`; what any estimator raises for any reason is told in the outcome, and is not kept by a memory."""
    try:
        return fit(*arguments)
    except Exception as failure:
        return Outcome(None, float("nan"), [], f"{type(failure).__name__}: {failure}")


def _seeded(estimator: Any, seed: int) -> Any:
    """`estimator` with `seed` wherever it has a ``random_state`` that is None."""
    parameters = estimator.get_params(deep=True)
    names = [name for name in parameters if name == "random_state" or name.endswith("__random_state")]
    return estimator.set_params(**{name: seed for name in names if parameters[name] is None})


def _coded(predicted: Any, classes: np.ndarray | None) -> np.ndarray:
    """Numbers of classes, -1 for another one; values as they are."""
    if classes is None:
        return np.asarray(predicted, dtype=np.float64)
    numbers = {label: number for number, label in enumerate(classes.tolist())}
    return np.array([numbers.get(label, -1) for label in np.asarray(predicted).tolist()], dtype=np.int64)


# ---- source rows


def takes_domains(estimator: Any) -> bool:
    """Whether the last step is fitted on source and target rows together."""
    return has_fit_parameter(last_step(estimator), "sample_domain")


def takes_groups(estimator: Any) -> bool:
    """Whether the last step is fitted with ``groups``: it asks for them, or is a search whose splitter does."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    if isinstance(estimator, BaseSearchCV):
        return bool(get_routing_for_object(estimator.cv).consumes("split", ["groups"]))
    return has_fit_parameter(estimator, "groups")


def _fit(estimator: Any, labelled: np.ndarray, pool: np.ndarray, data: Rows) -> tuple[Any, list[Any]]:
    """What predicts, fitted, and the fitted steps that rows of the target go through before it."""
    X, y = _safe_indexing(data.X, labelled), data.y[labelled]
    grouped = data.groups is not None and takes_groups(estimator)
    if data.X_source is None or data.source_domain is None or not takes_domains(estimator):
        params = {"groups": data.groups[labelled]} if data.groups is not None and grouped else {}
        if params or any(knows_machines(step) for step in front_steps(estimator)):
            return _fit_by_steps(estimator, X, y, np.full(len(y), -1), params)
        return estimator.fit(X, y), []
    rest = np.setdiff1d(pool, labelled)
    marked = _unlabelled(len(rest), y, getattr(last_step(estimator), "unlabelled_label", -1))
    parts = [data.X_source, X, _safe_indexing(data.X, rest)]
    domain = np.concatenate([data.source_domain, np.full(len(y) + len(rest), -1)])
    params = {"sample_domain": domain}
    if data.groups is not None and grouped:
        # a source machine is a group of its own
        params["groups"] = np.concatenate([-data.source_domain, data.groups[labelled], data.groups[rest]])
    return _fit_by_steps(estimator, _stacked(parts), _joined([data.y_source, y, marked]), domain, params)


def _unlabelled(n: int, y: np.ndarray, unlabelled_label: Any) -> np.ndarray:
    """Labels of rows without one, of the kind of `y`."""
    if y.dtype.kind == "f" and (y.ndim > 1 or not np.isin(unlabelled_label, y)):
        return np.full((n, *y.shape[1:]), np.nan if unlabelled_label == -1 else unlabelled_label)
    texts = y.dtype.kind in "OUS" and not isinstance(unlabelled_label, str)
    return np.full((n, *y.shape[1:]), None if texts else unlabelled_label, dtype=object if texts else None)


def _joined(parts: list[Any]) -> np.ndarray:
    kinds = {part.dtype.kind for part in parts if len(part)}
    return np.concatenate([part.astype(object) for part in parts] if kinds & set("OUS") else parts)


def _stacked(parts: list[Any]) -> Any:
    """Rows of several tables below each other, as the kind of table that they are."""
    parts = [part for part in parts if len(part)]
    if all(hasattr(part, "columns") for part in parts):
        module = type(parts[0]).__module__.partition(".")[0]
        if module == "polars":
            import polars

            return polars.concat(parts)
        if module == "pandas":
            import pandas

            return pandas.concat(parts, ignore_index=True)
    return np.concatenate(parts)


def front_steps(estimator: Any) -> list[Any]:
    """The steps before the last one, those of a pipeline at the end, too."""
    if not isinstance(estimator, Pipeline):
        return []
    steps = [step for _, step in estimator.steps[:-1] if step is not None and step != "passthrough"]
    return [*steps, *front_steps(estimator.steps[-1][1])]


def knows_machines(step: Any) -> bool:
    """Whether a step was fitted before, on several machines, each of which it scales by its own rows."""
    return isinstance(step, FrozenEstimator) and len(getattr(step.estimator, "domains_", [])) > 1


def _fit_by_steps(
    estimator: Any, X: Any, y: np.ndarray, sample_domain: np.ndarray, params: dict[str, Any]
) -> tuple[Any, list[Any]]:
    """Fit step by step: steps that take ``sample_domain`` get it, the last one gets `params`."""
    steps, last, domain = front_steps(estimator), estimator, {"sample_domain": sample_domain}
    while isinstance(last, Pipeline):
        last = last.steps[-1][1]
    for step in steps:
        step.fit(X, y, **(domain if _takes(step, "fit") else {}))
        X = step.transform(X, **(domain if _takes(step, "transform") else {}))
    return last.fit(X, y, **params), steps


def _as_target(X: Any, steps: list[Any]) -> Any:
    """Rows of the target behind fitted steps, which may know several machines."""
    for step in steps:
        X = step.transform(X, **({"sample_domain": np.full(X.shape[0], -1)} if _takes(step, "transform") else {}))
    return X


def _takes(step: Any, method: str) -> bool:
    if isinstance(step, FrozenEstimator):
        return method == "transform" and knows_machines(step)
    return "sample_domain" in inspect.signature(getattr(step, method)).parameters
