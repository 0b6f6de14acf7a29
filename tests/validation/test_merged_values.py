"""Values that differ in float64 and are one in float32, said where a network would not see the difference."""

import warnings

import numpy as np
import pytest

from sktransfer import (
    BaselineScaler,
    FeatureExtractor,
    FromScratch,
    TransferClassifier,
    TransferRegressor,
    make_pipeline,
)

SMALL = FromScratch(arguments={"hidden_layer_sizes": (8,)})
rng = np.random.default_rng(0)
y = np.arange(60) % 2


def counter(n=60):
    """Three columns; the second is a counter of a billion that grows by ones."""
    X = rng.normal(size=(n, 3))
    X[:, 1] = 1e9 + rng.permutation(n)
    return X


def said_in(call, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*arguments)
    return [str(w.message) for w in caught if "values become one in float32" in str(w.message)]


@pytest.mark.parametrize("kind", [TransferClassifier, TransferRegressor])
def test_a_counter_of_a_billion_is_said_before_a_network_and_not_before_a_scaler(kind):
    X = counter()
    assert len(np.unique(X[:, 1].astype(np.float32))) < 3  # what the network would see
    assert len(np.unique(X[:, 1])) == 60
    found = said_in(kind(SMALL, max_epochs=1).fit, X, y)
    assert len(found) == 1
    assert "the columns ['x1'] lie so far from zero" in found[0]
    assert said_in(make_pipeline(BaselineScaler(), kind(SMALL, max_epochs=1)).fit, X, y) == []


def test_an_extractor_says_it_for_every_call():
    X = counter()
    extractor = FeatureExtractor(SMALL).fit(X)
    assert len(said_in(extractor.transform, X)) == 1
    assert said_in(extractor.transform, X - [0, 1e9, 0]) == []


def test_channels_of_windows_are_numbers():
    windows = rng.normal(size=(20, 2, 32))
    windows[:, 0] = 1e9 + np.arange(20 * 32).reshape(20, 32)
    found = said_in(TransferClassifier(max_epochs=1).fit, windows, y[:20])
    assert len(found) == 1
    assert "the channels [0]" in found[0]
    assert said_in(TransferClassifier(max_epochs=1).fit, windows - 1e9 * np.array([1, 0])[:, None], y[:20]) == []


@pytest.mark.parametrize("kind", ["constant", "offset", "float32", "integers"])
def test_ordinary_numbers_are_not_remarked_on(kind):
    X = rng.normal(size=(60, 3))
    if kind == "constant":
        X[:, 1] = 1e9 + 0.1
    elif kind == "offset":
        X[:, 1] = 101_325 + 300 * X[:, 1]  # Pa
    elif kind == "float32":
        X = X.astype(np.float32)
    else:
        X[:, 1] = np.arange(60) + 1000
    assert said_in(TransferClassifier(SMALL, max_epochs=1).fit, X, y) == []
