"""BaselineScaler where X is windows: each channel by the samples of its healthy windows, against numpy."""

import numpy as np
import pytest

from sktransfer import BaselineScaler, DataQualityWarning, Windows


def windows(n_windows=40, seed=0, dtype=np.float64):
    """Two machines with offsets of their own; a third of the windows is faulty: level of channel 0 up, 1 louder."""
    rng = np.random.default_rng(seed)
    domain = np.resize([1, -2], n_windows)
    y = np.where(rng.random(n_windows) < 0.67, "normal", "leak")
    X = rng.normal(size=(n_windows, 3, 64)) * np.abs(domain)[:, None, None] + 50.0 * domain[:, None, None]
    X[y == "leak", 0] += 5.0
    X[y == "leak", 1] *= 3.0
    return X.astype(dtype), y, domain


@pytest.mark.parametrize("method", ["standard", "robust"])
def test_each_channel_of_windows_is_scaled_by_the_samples_of_its_healthy_windows(method):
    X, y, domain = windows()
    scaler = BaselineScaler("normal", method=method, compress=False, clip=None).fit(X, y, sample_domain=domain)
    z = scaler.transform(X, sample_domain=domain)
    for place, number in enumerate((-2, 1)):
        for channel in range(3):
            samples = np.concatenate([X[i, channel] for i in range(40) if y[i] == "normal" and domain[i] == number])
            low, middle, high = np.quantile(samples, [0.25, 0.5, 0.75])
            robust = middle, (high - low) / 1.3489795003921634
            centre, scale = (samples.mean(), samples.std()) if method == "standard" else robust
            assert scaler.center_[place, channel] == pytest.approx(centre)
            assert scaler.scale_[place, channel] == pytest.approx(scale)
            np.testing.assert_allclose(z[domain == number, channel], (X[domain == number, channel] - centre) / scale)
        assert scaler.n_normal_[place] == ((domain == number) & (y == "normal")).sum()
    assert scaler.n_features_in_ == 3
    # the level that a fault shifts survives, which scaling each window by itself would take away
    assert z[(y == "leak") & (domain == 1), 0].mean() == pytest.approx(5.0, abs=0.3)
    assert abs(z[y == "normal", 0].mean()) < 0.1


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_windows_are_scaled_as_their_samples_are_as_rows():
    X, y, _ = windows()
    rows = X.transpose(0, 2, 1).reshape(-1, 3)
    for parameters in ({}, {"compress": False, "clip": 3.0}, {"clip": None}):
        of_windows = BaselineScaler("normal", **parameters).fit(X, y)
        of_rows = BaselineScaler("normal", **parameters).fit(rows, np.repeat(y, 64))
        expected = of_rows.transform(rows).reshape(40, 64, 3).transpose(0, 2, 1)
        np.testing.assert_allclose(of_windows.transform(X), expected)
        np.testing.assert_allclose(of_rows.transform(X), expected)
        np.testing.assert_allclose(of_windows.transform(rows), of_rows.transform(rows))


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_windows_keep_their_fields_and_type(dtype):
    X, _, _ = windows(dtype=dtype)
    X = Windows.of(X, sampling_rate=100, rpm=np.arange(40))
    before = X.copy()
    z = BaselineScaler(compress=False).fit_transform(X)
    assert z.dtype == (np.float64 if dtype is np.float64 else np.float32)
    assert (z.sampling_rate, z[[7]].rpm.tolist()) == (100, [7])
    np.testing.assert_array_equal(X, before)
    assert type(BaselineScaler().fit_transform(np.asarray(X))) is np.ndarray
    wide = np.asarray(X, dtype=np.float64)
    centre, scale = wide.mean(axis=(0, 2)), wide.std(axis=(0, 2))
    np.testing.assert_allclose(z, (wide - centre[:, None]) / scale[:, None], rtol=1e-5, atol=1e-5)


def test_many_windows_are_scaled_in_parts_of_any_size(monkeypatch):
    X, _, domain = windows()
    scaler = BaselineScaler().fit(X, sample_domain=domain)
    whole = scaler.transform(X, sample_domain=domain)
    monkeypatch.setattr("sktransfer.utils.chunks._PART", 3 * 64 * 7)
    np.testing.assert_array_equal(scaler.transform(X, sample_domain=domain), whole)
    np.testing.assert_allclose(BaselineScaler().fit(X, sample_domain=domain).center_, scaler.center_, rtol=1e-12)


def test_missing_samples_of_windows_are_the_healthy_centre_and_empty_channels_are_counted():
    X, _, _ = windows()
    holes = X.copy()
    holes[::7, 2, :5] = np.nan
    scaler = BaselineScaler(missing="impute", compress=False).fit(holes)
    np.testing.assert_allclose(scaler.center_[0], np.nanmean(holes, axis=(0, 2)))
    assert (scaler.transform(holes)[::7, 2, :5] == 0.0).all()
    holes[3:6, 1] = np.nan
    with pytest.warns(DataQualityWarning, match=r"channels \[1\] hold no number in 3 of 40 windows"):
        assert (scaler.transform(holes)[3:6, 1] == 0.0).all()
    holes[:, 1] = np.nan
    with pytest.warns(DataQualityWarning, match=r"channels \[1\] hold no value in the healthy windows"):
        BaselineScaler(missing="impute").fit(holes)


def test_what_looks_wrong_in_windows_is_said_in_terms_of_channels():
    X, _, _ = windows()
    zeros = X.copy()
    zeros[:, 1] = 0.0
    with pytest.warns(DataQualityWarning, match=r"the channels \[1\] do not change in any window"):
        scaler = BaselineScaler().fit(zeros)
    assert (scaler.transform(zeros)[:, 1] == 0.0).all()
    with pytest.warns(DataQualityWarning, match="every channel of X is constant"):
        BaselineScaler().fit(np.ones((4, 2, 8)))
    sentinel = X.copy()
    sentinel[:, 2, ::10] = -9999.0
    with pytest.warns(DataQualityWarning, match=r"channels \['2 \(-9999 in 11%\)'\] hold one value"):
        BaselineScaler().fit(sentinel)
    far, scaler = X.copy(), BaselineScaler().fit(X)
    far[4, 0, 3] = 1e9
    with pytest.warns(DataQualityWarning, match=r"1 of 40 windows lie further.*channels \[0\]"):
        scaler.transform(far)
    with pytest.raises(ValueError, match=r"1e\+31 in channel 0"):
        BaselineScaler().fit(np.where(X == X[4, 0, 3], 1e31, X))


def test_a_single_sample_that_is_most_of_the_spread_of_a_channel_is_said():
    X, _, _ = windows()
    X[4, 0, 3] = 1e9
    says = r"a single healthy value makes up 99 % of the spread in the channels \['0 \(1e[+]09\)'\]"
    with pytest.warns(DataQualityWarning, match=says):
        scaler = BaselineScaler().fit(X)
    assert scaler.scale_[0, 0] == pytest.approx(X[:, 0].std())


def test_errors_of_windows_and_domains_are_those_of_rows():
    X, y, domain = windows()
    with pytest.raises(ValueError, match="no row with y == 'Normal'"):
        BaselineScaler("Normal").fit(X, y)
    scaler = BaselineScaler("normal").fit(X, y, sample_domain=domain)
    with pytest.raises(ValueError, match=r"no baseline for sample_domain \[9\]"):
        scaler.transform(X[:2], sample_domain=[1, 9])
    sources = BaselineScaler("normal").fit(X, y, sample_domain=np.where(domain < 0, 2, 1))
    with pytest.raises(ValueError, match="Pass sample_domain"):
        sources.transform(X)
