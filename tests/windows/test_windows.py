"""Windows: fields follow an index along the first axis, pickling, and nothing else."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GroupKFold
from sklearn.utils import _safe_indexing

from sktransfer import Windows


def windows(n=6):
    X = np.random.default_rng(0).normal(size=(n, 2, 16))
    return Windows.of(X, sampling_rate=100, time=np.arange(n) * 0.5, rpm=np.arange(n) * 60.0, orders=[3, 5, 2, 0.4])


@pytest.mark.parametrize("index", [[4, 1], slice(1, 5, 2), np.array([True, False] * 3), np.array([0, 0, 5])])
def test_fields_follow_an_index(index):
    X = windows()
    part = X[index]
    assert part.sampling_rate == 100
    np.testing.assert_array_equal(part.rpm, (np.arange(6) * 60.0)[index])
    np.testing.assert_array_equal(part.time, (np.arange(6) * 0.5)[index])
    assert part.orders.shape == (len(part), 4)
    np.testing.assert_array_equal(np.asarray(part), np.asarray(X)[index])


def test_scikit_learn_splits_keep_the_fields():
    X = windows()
    train, _ = next(GroupKFold(3).split(X, groups=[0, 0, 1, 1, 2, 2]))
    part = _safe_indexing(X, train)
    np.testing.assert_array_equal(part.rpm, train * 60.0)


@pytest.mark.parametrize("copy", [pickle.loads, None])
def test_fields_survive_pickling(copy, tmp_path):
    X = windows()[[5, 2]]
    if copy is None:
        joblib.dump(X, tmp_path / "x")
        Y = joblib.load(tmp_path / "x")
    else:
        Y = pickle.loads(pickle.dumps(X))
    assert Y.sampling_rate == 100
    np.testing.assert_array_equal(Y.rpm, [300, 120])
    np.testing.assert_array_equal(Y, X)


def test_arithmetic_keeps_them_and_an_array_has_none():
    X = windows()
    assert (X * 2).sampling_rate == 100
    np.testing.assert_array_equal((X - 1).rpm, X.rpm)
    assert type(np.asarray(X)) is np.ndarray


def test_channels_and_samples_may_be_sliced():
    X = windows()
    assert X[:, :1].rpm.tolist() == X.rpm.tolist()
    assert X[:, :, 4:12].sampling_rate == 100
    assert X[:, :, ::2].shape == (6, 2, 8)
    assert X[:, :, ::2].sampling_rate is None  # every second sample is another rate
    assert not isinstance(X[0], Windows)


def test_another_array_gets_the_same_fields():
    X = windows()
    assert X.like(np.zeros((6, 1, 4))).rpm is X.rpm
    with pytest.raises(ValueError, match=r"(rpm|time) has shape"):
        X.like(np.zeros((5, 1, 4)))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({"X": np.zeros((2, 3))}, "shape"), ({"sampling_rate": 0}, "positive"), ({"rpm": [1, 2]}, "rpm has shape")],
)
def test_what_cannot_be_windows_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        Windows.of(**{"X": np.zeros((3, 1, 4)), **arguments})
