"""What the windows' methods are compared with: hand features with a forest or a logistic regression, MiniRocket.

MiniRocket is aeon's (BSD-3; `pip install aeon`, a dependency of this benchmark only).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks.windows.features import hand_features
from benchmarks.windows.few_labels import Method, pooled
from benchmarks.windows.loaders import standardize
from benchmarks.windows.process import skab_clock, skab_rows, tep_statistics, tep_target_only


def forest(random_state: int) -> RandomForestClassifier:
    """100 trees, one job."""
    return RandomForestClassifier(100, random_state=random_state, n_jobs=1)


def logistic(random_state: int) -> Pipeline:
    """Standardised rows, C = 1."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def ridge(random_state: int) -> Pipeline:
    """The head of MiniRocket's authors: standardised rows, ridge with its strength by leave-one-out."""
    return make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))


def on_hand_features(make: Callable[[int], object], level: bool = False) -> Callable[[int], Pipeline]:
    """A factory of classifiers of rows -> a factory of classifiers of windows."""
    features = FunctionTransformer(partial(hand_features, level=level))
    return lambda random_state: make_pipeline(features, make(random_state))


def mini_rocket(random_state: int = 0):
    """The MiniRocket transform of aeon: 9,996 features, one job.

    Raises
    ------
    ImportError
        If aeon is not there.
    """
    from aeon.transformations.collection.convolution_based import MiniRocket

    return MiniRocket(random_state=random_state, n_jobs=1)


def has_mini_rocket() -> bool:
    """Whether aeon can be imported."""
    try:
        mini_rocket()
    except ImportError:
        return False
    return True


class RocketRidge(ClassifierMixin, BaseEstimator):
    """MiniRocket + ridge on windows."""

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X, y):
        """Fit both on labelled windows."""
        self.rocket_, self.head_ = mini_rocket(self.random_state), ridge(self.random_state)
        self.head_.fit(self.rocket_.fit_transform(_float32(X)), y)
        self.classes_ = self.head_.classes_
        return self

    def predict(self, X):
        """Class of each window."""
        return self.head_.predict(self.rocket_.transform(_float32(X)))


def _float32(X) -> np.ndarray:
    return np.ascontiguousarray(X, dtype=np.float32)


def hand_rows(source: np.ndarray) -> Callable:
    """For `few_labels.Method.prepare`: hand features, with the level of each channel unless windows are standardised.

    With 5 labels a class the level brings the forest and the logistic regression 2 to 4 points on fan and motors; of
    standardised windows it is rounding noise.
    """
    level = bool(np.abs(np.asarray(source).mean(axis=2)).max() > 1e-4)
    return partial(hand_features, level=level)


def rocket_rows(source: np.ndarray) -> Callable:
    """For `few_labels.Method.prepare`: MiniRocket whose biases come from the source's windows, without labels."""
    rocket = mini_rocket().fit(_float32(source))
    return lambda X: rocket.transform(_float32(X))


def few_label_peers(with_source: bool = False) -> dict[str, Method]:
    """Peers of `few_labels`; with_source=True adds each one fitted on the labelled source and target together.

    Pooled, both are far worse than on the target's labels alone (5 a class, fan: forest 0.74 against 0.89, logistic
    regression 0.55 against 0.90; motors 0.41 against 0.48, 0.32 against 0.50), so the table does without.
    """
    rows = {"random forest": (forest, hand_rows), "logistic regression": (logistic, hand_rows)}
    if has_mini_rocket():
        rows["MiniRocket + ridge"] = (ridge, rocket_rows)
    peers = {name: Method(make, prepare) for name, (make, prepare) in rows.items()}
    if with_source:
        peers |= {f"{name}, source too": Method(make, p, pooled(make)) for name, (make, p) in rows.items()}
    return peers


def end_to_end_peers() -> dict[str, Callable]:
    """Hand features and MiniRocket on windows as they are and standardised one by one."""
    found = {"random forest": on_hand_features(forest), "logistic regression": on_hand_features(logistic)}
    if has_mini_rocket():
        found["MiniRocket + ridge"] = RocketRidge
    return found | {f"{name}, windows standardised": standardized(make) for name, make in found.items()}


def standardized(make: Callable[[int], object]) -> Callable[[int], Pipeline]:
    """A factory of classifiers of windows -> the same on windows of mean 0 and deviation 1."""
    return lambda random_state: make_pipeline(FunctionTransformer(standardize), make(random_state))


def feature_peers() -> dict[str, Callable]:
    """Multi-label classifiers of the 20 features."""
    return {
        "random forest": forest,
        "logistic regression": lambda random_state: OneVsRestClassifier(logistic(random_state)),
    }


def window_peers() -> dict[str, Callable]:
    """Multi-label classifiers of windows."""
    return {"random forest, hand features": on_hand_features(forest)}


def tep_peers() -> dict[str, Callable]:
    """Logistic regression on window statistics."""
    return {
        "logistic regression, sources and labels": tep_statistics(),
        "logistic regression, labels only": tep_target_only(),
    }


def skab_peers() -> dict[str, Callable]:
    """Forest on rows, as they are and scaled by each recording's healthy start; the row's number."""
    return {
        "random forest, rows": skab_rows(),
        "random forest, rows scaled by the healthy start": skab_rows(scaled=True),
        "row number": skab_clock,
    }


def mini_rocket_version() -> str:
    """Version of aeon."""
    import aeon

    return f"aeon {aeon.__version__}"
