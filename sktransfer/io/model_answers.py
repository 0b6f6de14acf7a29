"""ModelAnswers: what a fitted model says of rows, as named columns.

::

    classifier ------------> label, confidence
    detector --------------> label, score
    regressor, clusterer --> value, or value_0, value_1, ...
    several outputs -------> label_<name>, confidence_<name>, value_<name>

The label is that of ``predict``: a tuned threshold, or a class "unknown", may differ from the most probable class.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from sktransfer.io.model_machines import ModelMachines
from sktransfer.utils.counted_warnings import collect_warnings


class ModelAnswers:
    """A fitted model, and the columns of its answers.

    Parameters
    ----------
    model : fitted estimator or OnnxModel

    Attributes
    ----------
    machines : ModelMachines
    columns : list of str
        In their order. Those of text begin with "label". A regressor of several values says how many when it is asked:
        its column is "value" till then.
    """

    def __init__(self, model: Any):
        self.machines = ModelMachines(model)
        self._has_proba = hasattr(model, "predict_proba") and bool(
            getattr(model, "manifest_", {}).get("has_probabilities", True)
        )
        self._classes = getattr(model, "classes_", None)
        self._outputs = _outputs(model, self._classes)
        if self._outputs is not None:
            self.columns = [
                column for name, classes in self._outputs.items() for column in self._of_output(name, classes)
            ]
        elif self._classes is not None:
            self.columns = ["label", "confidence"] if self._has_proba else ["label"]
        else:
            self.columns = ["label", "score"] if _is_detector(model) else ["value"]

    def of(self, X: Any, names: np.ndarray | None) -> dict[str, np.ndarray]:
        """Answers for rows that can be judged, by column; `names` are their machines."""
        if self._outputs is not None:
            return self._of_outputs(X, names)
        values = np.asarray(self.machines.ask("predict", X, names))
        if self._classes is not None:
            if not self._has_proba:
                return {"label": values.astype(str)}
            return _confident(values, self._ask_again("predict_proba", X, names), self._classes)
        if self.columns == ["label", "score"]:
            score = self._ask_again("score_samples", X, names)
            return {"label": np.where(values == 1, "normal", "unusual"), "score": np.asarray(score)}
        values = values.reshape(len(values), -1)
        if values.shape[1] == 1:
            return {"value": values[:, 0]}
        return {f"value_{j}": values[:, j] for j in range(values.shape[1])}

    def of_none(self, X: Any) -> list[str]:
        """Columns of the answers to rows of which none can be judged; `X` shows the columns of the table."""
        if self.columns == ["value"]:
            row = np.zeros((1, X.shape[1]))
            row = type(X)(row, columns=X.columns) if hasattr(X, "columns") else row
            known = self.machines.known
            with unsaid(), suppress(ValueError):  # a model that refuses such a row has one value, or says it later
                self.columns = list(self.of(row, None if known is None else known[:1]))
        return self.columns

    def _ask_again(self, method: str, X: Any, names: np.ndarray | None) -> Any:
        """What else the model says of rows that `predict` has warned of."""
        with unsaid():
            return self.machines.ask(method, X, names)

    def _of_output(self, name: Any, classes: Any) -> list[str]:
        if classes is None:
            return [f"value_{name}"]
        return [f"label_{name}", f"confidence_{name}"] if self._has_proba else [f"label_{name}"]

    def _of_outputs(self, X: Any, names: np.ndarray | None) -> dict[str, np.ndarray]:
        outputs = self._outputs or {}
        values, found = _by_name(self.machines.ask("predict", X, names), list(outputs)), {}
        with_classes = [name for name, classes in outputs.items() if classes is not None]
        proba = {}
        if self._has_proba and with_classes:
            proba = _by_name(self._ask_again("predict_proba", X, names), with_classes)
        for name, classes in outputs.items():
            if classes is None:
                found[f"value_{name}"] = np.asarray(values[name], dtype=np.float64)
            elif name in proba:
                answers = _confident(values[name], proba[name], classes)
                found |= {f"{column}_{name}": answer for column, answer in answers.items()}
            else:
                found[f"label_{name}"] = values[name].astype(str)
        return found


@contextmanager
def unsaid() -> Iterator[None]:
    """Without warnings, those that are counted over all chunks among them."""
    with collect_warnings() as forget, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            forget()


def _outputs(model: Any, classes: Any) -> dict[Any, Any] | None:
    """Classes by output, None for one of values; None where the model has one kind of answer."""
    tasks = getattr(model[-1] if hasattr(model, "steps") else model, "task_names_", None)
    if tasks is not None and (classes is None or isinstance(classes, dict)):
        return {name: (classes or {}).get(name) for name in tasks}
    if isinstance(classes, list) and len(classes) and isinstance(classes[0], np.ndarray):
        return dict(enumerate(classes))
    return None


def _by_name(answers: Any, names: list[Any]) -> dict[Any, np.ndarray]:
    """Answers of several outputs, however the model holds them."""
    if hasattr(answers, "keys"):  # a dict or a frame
        return {name: np.asarray(answers[name]) for name in names}
    if isinstance(answers, list):
        return {name: np.asarray(one) for name, one in zip(names, answers, strict=True)}
    answers = np.asarray(answers)
    if len(names) == 1:
        return {names[0]: answers}
    return {name: answers[:, j] for j, name in enumerate(names)}


def _confident(labels: np.ndarray, proba: Any, classes: Any) -> dict[str, np.ndarray]:
    """Labels, and the probability of each; NaN of a label that is none of the classes, such as "unknown"."""
    proba, classes = np.asarray(proba, dtype=np.float64), np.asarray(classes)
    confidence = np.full(len(labels), np.nan)
    for j, one in enumerate(classes.tolist()):
        is_one = np.asarray(labels == one)
        confidence[is_one] = proba[is_one, j]
    return {"label": labels.astype(str), "confidence": confidence}


def _is_detector(model: Any) -> bool:
    """Whether `predict` says 1 and -1, which a mixture's `predict` does not."""
    if hasattr(model, "manifest_") or not (hasattr(model, "score_samples") and hasattr(model, "predict")):
        return False
    from sklearn.base import is_outlier_detector

    return bool(is_outlier_detector(model))
