"""What is explained of a fitted estimator: one number a sample, and how it is computed again for changed samples.

::

    detector   --> distance from the healthy rows
    classifier --> log-odds of the explained class against the others
    regressor  --> value
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin, is_classifier, is_regressor
from sklearn.utils.validation import check_is_fitted

from sktransfer.estimators.domain_steps import takes_domain
from sktransfer.preprocessing.baseline_scaler import BaselineScaler

_SMOOTHED = 1e-4  # of probabilities: a forest's 0 is no certainty


def steps_of(estimator: Any) -> list[Any]:
    """The fitted steps, those of pipelines inside one another in one line; what only wraps a step is taken off."""
    for inside in ("best_estimator_", "steps"):  # of a search; of a pipeline
        if hasattr(estimator, inside):
            break
    else:
        frozen = type(estimator).__name__ == "FrozenEstimator"
        return steps_of(estimator.estimator) if frozen else [estimator]
    if inside == "best_estimator_":
        return steps_of(estimator.best_estimator_)
    parts = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    return [one for step in parts for one in steps_of(step)]


def transformed(steps: list[Any], X: Any, sample_domain: Any) -> Any:
    """What the step behind `steps` gets."""
    for step in steps:
        X = step.transform(X, **({"sample_domain": sample_domain} if takes_domain(step, "transform") else {}))
    return X


def keeps_columns(step: Any) -> bool:
    """Whether each column or channel that a step returns is one of its input, in its place, changed by itself."""
    return isinstance(step, OneToOneFeatureMixin) and not getattr(step, "whiten", False)


class Evidence:
    """One number a sample that a sensor adds to or takes from.

    Parameters
    ----------
    estimator : estimator
        Fitted: a detector with ``score_samples``, a classifier with ``predict_proba``, a regressor, or a pipeline that
        ends in one.
    output : object
        Class, or number of the value of a regressor; None: the predicted class, the only value.
    normal_label : object
        Class that is not explained; ``"auto"``: that of the :class:`sktransfer.BaselineScaler`.

    Attributes
    ----------
    steps : list of estimators
    last : estimator
    scaler : BaselineScaler or None
        The first step.
    kind : {"detector", "classifier", "regressor"}

    Raises
    ------
    TypeError
        For an estimator of another kind.
    ValueError
        For an `output` or a `normal_label` that there is not.
    """

    def __init__(self, estimator: Any, output: Any = None, normal_label: Any = "auto"):
        self.steps = steps_of(estimator)
        self.last = self.steps[-1]
        self.scaler = self.steps[0] if isinstance(self.steps[0], BaselineScaler) else None
        self.output = output
        self.kind = _kind(self.last)
        for step in self.steps:
            if hasattr(step, "fit") and getattr(step.__sklearn_tags__(), "requires_fit", True):
                check_is_fitted(step)
        if self.kind == "classifier":
            self.classes = np.asarray(self.last.classes_)
            self.normal = self._number_of_normal(normal_label)
            if output is not None and output not in self.classes.tolist():
                raise ValueError(
                    f"explain_sensors: output={output!r} is no class of {type(self.last).__name__}. It has "
                    f"{self.classes.tolist()}."
                )

    def _number_of_normal(self, normal_label: Any) -> int | None:
        classes, asked = self.classes.tolist(), normal_label
        if isinstance(asked, str) and asked == "auto":
            known = None if self.scaler is None else self.scaler.normal_label
            return classes.index(known) if known is not None and known in classes else None
        if asked is None:
            return None
        if asked not in classes:
            raise ValueError(
                f"explain_sensors: normal_label={asked!r} is no class of {type(self.last).__name__}. It has {classes}."
            )
        return classes.index(asked)

    def chosen(self, X: Any, sample_domain: Any) -> np.ndarray:
        """Number of the class, or of the value, that is explained of each sample, shape (n_samples,)."""
        found = self._outputs(transformed(self.steps[:-1], X, sample_domain))
        if self.kind == "detector":
            return np.zeros(len(found), dtype=np.intp)
        if self.kind == "regressor":
            return np.full(len(found), self._number_of_value(found.shape[1]), dtype=np.intp)
        if self.output is not None:
            return np.full(len(found), self.classes.tolist().index(self.output), dtype=np.intp)
        if self.normal is not None:
            found = found.copy()
            found[:, self.normal] = -1.0  # being normal needs no reason: what speaks most for a fault is explained
        return found.argmax(axis=1)

    def _number_of_value(self, n_values: int) -> int:
        if self.output is None and n_values == 1:
            return 0
        if self.output is None or self.output not in range(n_values):
            raise ValueError(
                f"explain_sensors: {type(self.last).__name__} predicts {n_values} values a sample; expected output to "
                f"be the number of one, 0 to {n_values - 1}, got {self.output!r}."
            )
        return int(self.output)

    def of(self, X: Any, chosen: np.ndarray, sample_domain: Any = None, n_done: int = 0) -> np.ndarray:
        """The number of each sample, shape (n_samples,); the first `n_done` steps have been done already."""
        return self.of_outputs(self._outputs(transformed(self.steps[n_done:-1], X, sample_domain)), chosen)

    def of_outputs(self, outputs: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """The same of distances, probabilities or values, shape (n_samples, n_outputs)."""
        own = outputs[np.arange(len(outputs)), chosen]
        if self.kind != "classifier":
            return own
        return np.asarray(np.log(own + _SMOOTHED) - np.log1p(_SMOOTHED - own))

    def _outputs(self, Z: Any) -> np.ndarray:
        """Distance, probabilities or values of what the last step gets, shape (n_samples, n_outputs)."""
        if self.kind == "detector":
            return -np.asarray(self.last.score_samples(Z), dtype=np.float64)[:, None]
        found = self.last.predict_proba(Z) if self.kind == "classifier" else self.last.predict(Z)
        if isinstance(found, list):
            raise TypeError(
                f"explain_sensors: this {type(self.last).__name__} answers {len(found)} questions at once, each with "
                "classes of its own. Fit and explain a classifier for each."
            )
        found = np.asarray(found, dtype=np.float64)
        return found.reshape(len(found), -1)


def _kind(last: Any) -> str:
    """Which of the three an estimator is."""
    if not hasattr(last, "__sklearn_tags__"):
        raise _unknown(last, "it is no estimator of scikit-learn")
    if is_classifier(last):
        if not hasattr(last, "predict_proba"):
            raise _unknown(last, "it has no predict_proba; wrap it in CalibratedClassifierCV")
        return "classifier"
    if is_regressor(last):
        return "regressor"
    if hasattr(last, "score_samples") and last.__sklearn_tags__().estimator_type == "outlier_detector":
        return "detector"
    raise _unknown(last, "it is none of these")


def _unknown(last: Any, why: str) -> TypeError:
    return TypeError(
        "explain_sensors takes a TransferDetector or another detector with score_samples, a classifier with "
        f"predict_proba, a regressor, or a pipeline that ends in one; got {type(last).__name__}: {why}."
    )
