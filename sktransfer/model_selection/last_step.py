"""The last step of a searched pipeline, and the memory of the steps before it.

::

    GridSearchCV: clone, set_params --> SearchedPipeline --> the user's pipeline, whose last step has another `fit`
                                                                 |
                  fit --> steps before the last one: FoldMemory -+--> first pass: note what the last step is fitted to
                                                                 +--> second pass: take what was trained together

After the second pass the pipeline is an ordinary fitted pipeline, and every scorer may do with it what it likes.
"""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import sklearn.pipeline
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_memory

from sktransfer.estimators.domain_adaptation_classifier import DomainAdaptationClassifier
from sktransfer.estimators.domain_adaptation_regressor import DomainAdaptationRegressor
from sktransfer.estimators.pipeline import Pipeline
from sktransfer.estimators.transfer_classifier import TransferClassifier
from sktransfer.estimators.transfer_regressor import TransferRegressor

JOINT = (DomainAdaptationClassifier, DomainAdaptationRegressor)
OURS = (TransferClassifier, TransferRegressor, *JOINT)  # whose fits a search may train
# A subclass of somebody else's may fit its last step in a way of its own.
_PIPELINES = (sklearn.pipeline.Pipeline, Pipeline)
# Parameters of these types are compared by their values, all others by identity.
_VALUES = (str, bytes, int, float, bool, type(None), np.generic)
# What copying the attributes of a fitted transformer may raise.
_CANNOT_COPY = (TypeError, RuntimeError, AttributeError, copy.Error, pickle.PicklingError)


class SearchedPipeline(BaseEstimator):
    """The estimator of a search before it has the parameters of a candidate.

    scikit-learn's search clones it, calls :meth:`set_params` and goes on with the object that this returns: a real
    pipeline with the parameters of a candidate.

    Parameters
    ----------
    estimator : estimator
        As given to the search.
    opened : callable
        Returns the pipeline of the next fit, given its parameters.
    """

    def __init__(self, estimator: Any, opened: Callable[[dict[str, Any]], Any]):
        self.estimator = estimator
        self.opened = opened

    def set_params(self, **parameters: Any) -> Any:
        """The pipeline of the next fit, with these parameters."""
        return self.opened(parameters)

    def fit(self, X: Any, y: Any = None) -> SearchedPipeline:
        """Part of scikit-learn's contract of an estimator; a search fits what :meth:`set_params` returns."""
        return self

    def get_metadata_routing(self) -> Any:
        """As of the estimator."""
        return get_routing_for_object(self.estimator)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def __sklearn_clone__(self) -> SearchedPipeline:
        return self


class LastStep:
    """Replaces the method ``fit`` of the last step of a pipeline for one call.

    It is stored in the step's own ``__dict__``, where Python finds it before the method of the class, and removed when
    it is called. In all other respects the step is the user's estimator: its class, its parameters, its metadata.

    Parameters
    ----------
    pipeline : estimator
        A pipeline, or an estimator that is its own last step.
    fit : callable
        Called with the step, ``X``, ``y`` and the other arguments of ``fit``, a dict.
    memory : FoldMemory
        Memory of the pipeline until the last step is fitted.
    """

    def __init__(self, pipeline: Any, fit: Callable[[Any, Any, Any, dict[str, Any]], None], memory: FoldMemory):
        self.pipeline, self.fit, self.step = pipeline, fit, last_step(pipeline)
        self.memory = None
        if self.step is not pipeline:
            self.memory, pipeline.memory = pipeline.memory, memory
        vars(self.step)["fit"] = self

    def __call__(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit the step, and give the step and the pipeline back what they had."""
        del vars(self.step)["fit"]
        if self.step is not self.pipeline:
            self.pipeline.memory = self.memory
        self.fit(self.step, X, y, params)
        return self.step


def last_step(estimator: Any) -> Any:
    """The last step of a pipeline, or the estimator itself."""
    return estimator.steps[-1][1] if isinstance(estimator, sklearn.pipeline.Pipeline) else estimator


def open_pipeline(estimator: Any) -> Any:
    """An unfitted pipeline with a last step of its own; a :class:`FoldMemory` clones the steps before it, if needed."""
    if not isinstance(estimator, sklearn.pipeline.Pipeline):
        return copy_step(estimator)
    pipeline = copy.copy(estimator)
    name, last = estimator.steps[-1]
    pipeline.steps = [*estimator.steps[:-1], (name, copy_step(last))]
    return pipeline


def copy_step(step: Any) -> Any:
    """A clone of an unfitted step. Our estimators are asked for no signatures, which takes a hundred times as long."""
    return _copied(step) if type(step) in OURS else clone(step)


def _copied(value: Any) -> Any:
    if not isinstance(value, BaseEstimator):
        return copy.deepcopy(value)  # a backbone is its own copy
    other = object.__new__(type(value))
    vars(other).update({name: _copied(one) for name, one in vars(value).items()})
    return other


def has_last_step(estimator: Any) -> bool:
    """Whether fitting `estimator` means fitting the steps before the last one, and then the last one by ``fit``."""
    known = type(estimator) in _PIPELINES or not isinstance(estimator, sklearn.pipeline.Pipeline)
    return known and hasattr(last_step(estimator), "fit")


class _Kept(NamedTuple):
    """A transformer as it was fitted, the rows that it returned, and the seconds that this took."""

    transformer: Any
    Xt: Any
    seconds: float


class FittedSteps(dict):
    """The steps that a search has fitted, by key."""

    complete = True  # whether each of them could be copied

    def forget_rows(self) -> None:
        """Keep the steps and not the rows that they returned, which only fitting a later step needs."""
        if self.complete:
            for key, kept in self.items():
                self[key] = kept._replace(Xt=None)


@dataclass
class Note:
    """One fit of a last step as the pipeline asked for it.

    Parameters
    ----------
    estimator : estimator
        The last step with its parameters, shared by the folds of a candidate and not to be fitted.
    X, y, params
        The arguments of ``fit``.
    fold : hashable
        Equal for fits on the same rows: same split, same steps before the last one.
    seconds : float
        Time that the steps before took.
    """

    estimator: Any
    X: Any
    y: Any
    params: dict[str, Any]
    fold: Hashable
    seconds: float = 0.0


class FoldMemory:
    """The ``memory`` of one pipeline in a search: equal steps are fitted to the rows of one split once.

    The key of a step is the split and the parameters of the candidate that concern this step or one before it. Which
    rows the first step gets is known from the split, so that no row is hashed.

    Parameters
    ----------
    pipeline : estimator
        Whose memory this is.
    split : int
    parameters : dict
        Of the candidate.
    kept : FittedSteps
        Shared by all memories of a search.
    lend : bool
        Whether a fitted step is handed out as it is. Else a copy is: a scorer may fit its pipeline again.
    """

    # scikit-learn clones a step before it fits it, unless this is None; the step is recognised as an object
    location = None

    def __init__(self, pipeline: Any, split: int, parameters: dict[str, Any], kept: FittedSteps, *, lend: bool):
        self.kept, self.lend, self.seconds = kept, lend, 0.0
        names = [name for name, _ in getattr(pipeline, "steps", [("", None)])]
        self._memory = check_memory(getattr(pipeline, "memory", None))
        self._steps = list(getattr(pipeline, "steps", []))
        self._keys = {
            name: (split, number, values_before(parameters, names[number + 1 :])) for number, name in enumerate(names)
        }
        # an estimator without steps takes the rows of the split as they are
        self.fold: Hashable = (split, values_before(parameters, names[-1:])) if names[0] else (split, ())

    def cache(self, function: Callable[..., tuple[Any, Any]], **options: Any) -> Callable[..., tuple[Any, Any]]:
        """`function`, which fits a step and transforms its rows, called once for each key."""
        call = self._memory.cache(function, **options)
        # a pipeline fits its steps in this order; one object may be two of them
        pending = iter([self._keys[name] for name, step in self._steps[:-1] if step not in (None, "passthrough")])

        def fitted_once(transformer: Any, X: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            key = next(pending)
            if key not in self.kept:
                began = time.perf_counter()
                if any(kept.Xt is X for kept in self.kept.values()):
                    X = copy.deepcopy(X)  # a step that works in place must not change what others are fitted to
                Xt, transformer = call(clone(transformer), X, *args, **kwargs)
                kept = _Kept(transformer, Xt, time.perf_counter() - began)
                self.seconds += kept.seconds
                try:
                    self.kept[key] = kept._replace(transformer=copy.deepcopy(transformer))
                except _CANNOT_COPY:
                    self.kept.complete = False
                    return Xt, transformer  # each candidate fits its own
                return Xt, transformer
            kept = self.kept[key]
            self.seconds += kept.seconds
            return kept.Xt, kept.transformer if self.lend else copy.deepcopy(kept.transformer)

        return fitted_once


def values_before(parameters: dict[str, Any], later: list[str]) -> Hashable:
    """Names and values of the parameters that do not belong to the steps `later`."""
    before = {name: value for name, value in parameters.items() if name.partition("__")[0] not in later}
    return tuple(
        (name, type(value), value if isinstance(value, _VALUES) else id(value))
        for name, value in sorted(before.items())
    )
