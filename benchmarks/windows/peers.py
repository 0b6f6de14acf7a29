"""What the windows' methods are compared with: hand features with a forest or a logistic regression, MiniRocket.

MiniRocket is aeon's (BSD-3; `pip install aeon`, a dependency of this benchmark only).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks.windows.features import hand_features


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
    """aeon's MiniRocket transform: 9,996 features, one job.

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


class RocketRidge:
    """MiniRocket + ridge on windows."""

    def __init__(self, random_state: int) -> None:
        self.rocket, self.head = mini_rocket(random_state), ridge(random_state)

    def fit(self, X, y):
        self.head.fit(self.rocket.fit_transform(np.ascontiguousarray(X, dtype=np.float32)), y)
        return self

    def predict(self, X):
        return self.head.predict(self.rocket.transform(np.ascontiguousarray(X, dtype=np.float32)))
