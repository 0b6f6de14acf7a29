"""The estimator that hands the results of a search to scikit-learn's own loop.

::

    GridSearchCV: clone, set_params, fit(X_train) --> the next result
                  scorer(estimator, X_test, y_test) --> its outputs for these rows, or the fitted pipeline
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.metaestimators import available_if

from sktransfer.inference.out_of_range import count_out_of_range, warn_of_range
from sktransfer.model_selection.candidates import Bench
from sktransfer.model_selection.folds import same_rows


def _has(method: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(self.bench.estimator, method)


class StandIn(BaseEstimator):
    """One candidate in scikit-learn's loop: it is fitted by taking the next result, and answers from it.

    What it has no answer for, the fitted pipeline answers. It says that it is one, and a copy of it is one.
    """

    def __init__(self, bench: Bench, parameters: dict[str, Any] | None = None):
        self.bench = bench
        self.parameters = parameters or {}

    def __sklearn_clone__(self) -> Any:
        if self._taken:  # by a scorer
            return clone(self._fitted or self.bench.configured(self.parameters))
        return StandIn(self.bench, self.parameters)

    @property
    def _taken(self) -> bool:
        """Whether it stands for one fit already."""
        return "_data" in self.__dict__

    # isinstance(estimator, Pipeline) in a scorer
    __class__ = property(lambda self: type(self.bench.estimator))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.fitted().__reduce_ex__(protocol)

    def __getitem__(self, key: Any) -> Any:
        return self.fitted()[key]

    def __len__(self) -> int:
        return len(self.fitted())

    def __bool__(self) -> bool:
        return True

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """As of the pipeline that this stands for."""
        return (self.fitted() if self._taken else self.bench.estimator).get_params(deep)

    def set_params(self, **parameters: Any) -> StandIn:
        """As of the pipeline that this stands for."""
        if self._taken:
            self.fitted().set_params(**parameters)
        else:
            self.parameters = parameters
        return self

    def get_metadata_routing(self) -> Any:
        """As of the pipeline that this stands for."""
        return self.bench.estimator.get_metadata_routing()

    def __sklearn_tags__(self) -> Any:
        return self.bench.estimator.__sklearn_tags__()

    def fit(self, X: Any, y: Any = None, **params: Any) -> StandIn:
        """As of the pipeline that this stands for."""
        if self._taken:  # a scorer fits it again
            self.fitted().fit(X, y, **params)
            return self
        began = time.perf_counter()
        self._data, self._fitted, self._result, self._fold = (X, y, params), None, None, None
        if not self.bench.order:  # all folds are done: the best one is fitted to all rows
            self.fitted()
            return self
        self._key, result = self.bench.next_result()
        self._fold, self._result = self.bench.folds[self._key], result
        try:
            if result is None:
                self.fitted()
            elif result.error is not None:
                raise result.error
        finally:
            self.bench.seconds[self._key] = time.perf_counter() - began if result is None else result.seconds
        return self

    def fitted(self) -> Any:
        """The fitted pipeline; trained again, alone, if a scorer asks for more than the outputs it was trained for."""
        if self._fitted is None:
            result, fold = self._result, self._fold
            if result is not None and not len(result.outputs):
                before = [] if fold is None or fold.before is None else fold.before.steps
                name = self.bench.steps[self._key[0]][0]
                self._fitted = result.estimator
                if name:
                    pipeline = self.bench.configured(self.parameters)
                    pipeline.steps = [*before, (name, result.estimator)]
                    self._fitted = pipeline
            else:
                X, y, params = self._data
                self._fitted = self.bench.configured(self.parameters).fit(X, y, **params)
        return self._fitted

    def _known(self, X: Any) -> tuple[np.ndarray, np.ndarray] | None:
        """Outputs and trust for these rows, if they are those that were expected."""
        result = self._result
        if result is None or self._fitted is not None or self._fold is None:
            return None
        for (seen, _), outputs, trust in zip(self._fold.seen, result.outputs, result.trusts, strict=False):
            if same_rows(seen, X):
                return outputs, trust
        return None

    def _answer(self, X: Any, params: dict[str, Any]) -> tuple[Any, np.ndarray, np.ndarray] | None:
        """The last step, outputs that may be changed, and trust; None if the fitted pipeline has to answer."""
        known = None if params else self._known(X)
        if known is None or self._result is None:
            return None
        outputs, trust = known
        warn_of_range(type(self._result.estimator).__name__, count_out_of_range(trust), len(trust))
        return self._result.estimator, outputs.copy(), trust

    @available_if(_has("predict"))
    def predict(self, X: Any, **params: Any) -> np.ndarray:
        """As of the pipeline that this stands for."""
        answer = self._answer(X, params)
        if answer is None:
            return self.fitted().predict(X, **params)
        last, outputs, trust = answer
        return last._labels(last._probabilities(outputs, trust)) if hasattr(last, "_labels") else last._values(outputs)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any, **params: Any) -> np.ndarray:
        """As of the pipeline that this stands for."""
        answer = self._answer(X, params)
        if answer is None:
            return self.fitted().predict_proba(X, **params)
        last, outputs, trust = answer
        return last._probabilities(outputs, trust)

    @available_if(_has("predict_log_proba"))
    def predict_log_proba(self, X: Any, **params: Any) -> np.ndarray:
        """As of the pipeline that this stands for."""
        if params or self._known(X) is None:
            return self.fitted().predict_log_proba(X, **params)
        return np.log(np.maximum(self.predict_proba(X), np.finfo(np.float64).tiny))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, **params: Any) -> float:
        """As of the pipeline that this stands for."""
        if params or self._known(X) is None:
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            return self.fitted().score(X, y, **weights, **params)
        kind = ClassifierMixin if hasattr(self._result.estimator, "_labels") else RegressorMixin  # type: ignore[union-attr]
        return kind.score(self, X, y, sample_weight=sample_weight)

    def __getattr__(self, name: str) -> Any:
        # what scorers read off an estimator: classes_, named_steps, decision_function, ...
        if name.startswith("__") or name in ("bench", "_result", "_fitted", "_data", "_fold", "_key"):
            raise AttributeError(name)
        result = self.__dict__.get("_result")
        if name == "classes_" and result is not None and result.estimator is not None:
            return result.estimator.classes_
        if not self._taken:
            return getattr(self.bench.estimator, name)
        return getattr(self.fitted(), name)


class Evaluation(GridSearchCV):
    """scikit-learn's loop over given candidates."""

    def __init__(
        self, estimator, candidates, *, more, scoring, refit, cv, verbose, error_score, return_train_score, n_jobs=1
    ):
        self.candidates = candidates
        self.more = more
        super().__init__(
            estimator,
            {},
            scoring=scoring,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
            n_jobs=n_jobs,
        )

    def _run_search(self, evaluate_candidates: Any) -> None:
        evaluate_candidates(self.candidates, more_results=self.more)
