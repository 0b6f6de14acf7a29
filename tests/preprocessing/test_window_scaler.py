"""WindowScaler against plain loops."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktransfer import BaselineScaler, DataQualityWarning, Windows, WindowScaler


def windows(n=6, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3, 50)) * rng.uniform(0.1, 100, (n, 3, 1)) + rng.normal(size=(n, 3, 1)) * 1000
    return X.astype(dtype)


@pytest.mark.parametrize("method", ["standard", "robust", "center"])
def test_each_window_and_channel_is_scaled_by_itself(method):
    X = windows()
    found = WindowScaler(method).fit_transform(X)
    for i in range(6):
        for j in range(3):
            x = X[i, j]
            low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
            centre, scale = {
                "standard": (x.mean(), x.std()), "robust": (middle, (high - low) / 1.349), "center": (x.mean(), 1.0),
            }[method]  # fmt: skip
            np.testing.assert_allclose(found[i, j], (x - centre) / scale, rtol=2e-5, atol=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    arrays(np.float64, (2, 1, 12), elements=st.floats(-100, 100)),
    st.floats(0.01, 100),
    st.floats(-1000, 1000),
    st.sampled_from(["standard", "robust"]),
)
def test_gain_and_offset_of_a_recording_do_not_matter(X, gain, offset, method):
    X = np.round(X, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        first, second = (WindowScaler(method).fit_transform(Y) for Y in (X, X * gain + offset))
    spread = X.std(axis=2, keepdims=True) > 1e-2
    np.testing.assert_allclose(second, np.where(spread, first, second), atol=1e-3, rtol=1e-3)


def test_nothing_is_learned_from_other_windows():
    X = windows()
    scaler = WindowScaler().fit(X[:1])
    np.testing.assert_array_equal(scaler.transform(X)[4:], WindowScaler().fit_transform(X[4:]))


def test_a_flat_channel_gives_zeros_and_a_warning_that_counts():
    X = windows()
    X[2, 1] = 0.1 + 0.2
    X[4] = 7.0
    with pytest.warns(DataQualityWarning, match=r"channels \[0, 1, 2\] do not change within 2 of 6 windows"):
        found = WindowScaler().fit_transform(X)
    assert (found[2, 1] == 0).all()
    assert (found[4] == 0).all()
    assert np.isfinite(found).all()


def test_robust_falls_back_where_most_samples_are_equal():
    X = np.zeros((1, 1, 100))
    X[0, 0, 5] = 1.0
    np.testing.assert_allclose(WindowScaler("robust").fit_transform(X), X / X.std())


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_types_and_fields_are_kept(dtype):
    X = Windows.of(windows(dtype=dtype), sampling_rate=50, rpm=np.arange(6))
    found = WindowScaler().fit_transform(X)
    assert found.dtype == (np.float64 if dtype is np.float64 else np.float32)
    assert (found.sampling_rate, found[[3]].rpm.tolist()) == (50, [3])
    assert type(WindowScaler().fit_transform(np.asarray(X))) is np.ndarray
    wide = np.asarray(X, dtype=np.float64)
    expected = (wide - wide.mean(axis=2, keepdims=True)) / wide.std(axis=2, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_large_offset_keeps_its_digits():
    X = np.random.default_rng(0).normal(size=(2, 1, 64)) + 1e9
    expected = (X - X.mean(axis=2, keepdims=True)) / X.std(axis=2, keepdims=True)
    np.testing.assert_allclose(WindowScaler().fit_transform(X), expected, rtol=1e-6)


def test_a_row_is_a_window_of_one_channel():
    X = windows()[:, 0]
    np.testing.assert_array_equal(WindowScaler().fit_transform(X), WindowScaler().fit_transform(X[:, None])[:, 0])


@pytest.mark.parametrize("scaler", [WindowScaler(), BaselineScaler()])
def test_what_cannot_be_used_is_an_error_in_terms_of_windows_and_channels(scaler):
    X = windows()
    fitted = scaler.fit(X)
    with pytest.raises(ValueError, match="got windows of 2 channels, but was fitted to windows of 3"):
        fitted.transform(X[:, :2])
    holes = X.copy()
    holes[3:5, 1, 7] = np.nan
    with pytest.raises(ValueError, match=r"Input X contains NaN in channel 1 \(2 windows\). Drop these windows, fill"):
        fitted.transform(holes)
    holes[3:5, 1, 7] = -np.inf
    with pytest.raises(ValueError, match=r"Input X contains infinity in channel 1 \(2 windows\)"):
        scaler.fit(holes)
    with pytest.raises(ValueError, match="window_length"):
        scaler.fit(X[:, :, :0])
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        scaler.fit(X[:0])


def test_the_method_is_checked_at_fit():
    with pytest.raises(ValueError, match="method"):
        WindowScaler("minmax").fit(windows())
