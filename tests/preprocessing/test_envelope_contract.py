"""EnvelopeSpectra in scikit-learn's hands: scikit-learn's battery knows no windows, so its laws are written here."""

import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags

from sktransfer import BearingGeometry, EnvelopeSpectra, Windows
from sktransfer.exceptions import DataQualityWarning

ORDERS = BearingGeometry(9, 7.94, 39.04).orders


def windows(n=6, n_channels=2, length=256, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, n_channels, length))
    return Windows.of(X, sampling_rate=12_000, rpm=np.linspace(1000, 3000, n), orders=ORDERS)


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_valid_tag_types",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_mixin_order",
    ],
)
def test_checks_of_scikit_learn_that_pass_no_data(check):
    found = getattr(estimator_checks, check, None)
    if found is None:
        pytest.skip("this version of scikit-learn has no such check")
    found("EnvelopeSpectra", EnvelopeSpectra())


def test_tags_say_that_it_takes_windows_and_no_rows():
    tags = get_tags(EnvelopeSpectra())
    assert (tags.input_tags.three_d_array, tags.input_tags.two_d_array) == (True, False)
    assert tags.transformer_tags is not None


def test_it_returns_the_front_ends_numbers_side_by_side_and_changes_nothing():
    X = windows()
    before, rpm = X.copy(), X.rpm.copy()
    spectra = EnvelopeSpectra()
    assert spectra.fit(X) is spectra
    found = spectra.transform(X)
    assert (found.shape, found.dtype, type(found)) == ((6, 2 * 1667), np.float32, np.ndarray)
    np.testing.assert_array_equal(found.reshape(6, 2, 1667), spectra(X))
    np.testing.assert_array_equal(found, EnvelopeSpectra().fit_transform(X))
    np.testing.assert_array_equal(found, clone(spectra).fit(windows(seed=1)).transform(X))  # nothing is learned
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(X.rpm, rpm)
    assert spectra.n_features_in_ == 2
    assert vars(EnvelopeSpectra()) == {}


def test_speed_and_orders_reach_the_numbers_through_transform():
    X = windows()
    lines = EnvelopeSpectra().fit_transform(X)[:, :600]
    assert (np.count_nonzero(lines, axis=1) > 300).all()
    assert not EnvelopeSpectra().fit_transform(np.asarray(X))[:, :600].any()


@pytest.mark.parametrize("change", [lambda X: X.tolist(), list, np.asfortranarray, lambda X: X.astype(np.float32)])
def test_the_kind_of_array_does_not_matter(change):
    X = np.asarray(windows()).astype(np.float32).astype(np.float64)
    expected = EnvelopeSpectra().fit_transform(X)
    np.testing.assert_allclose(EnvelopeSpectra().fit_transform(change(X)), expected, atol=1e-6)


def test_one_window_and_the_order_of_windows():
    X = windows()
    spectra = EnvelopeSpectra().fit(X)
    found = spectra.transform(X)
    np.testing.assert_allclose(spectra.transform(X[3:4]), found[3:4], atol=1e-5)
    np.testing.assert_allclose(spectra.transform(X[::-1]), found[::-1], atol=1e-5)
    assert EnvelopeSpectra().fit_transform(X[:1]).shape == (1, 3334)
    assert spectra.transform(windows(length=500)).shape == found.shape


def test_names_are_as_many_as_numbers_and_all_different():
    spectra = EnvelopeSpectra().fit(windows(n_channels=3))
    names = spectra.get_feature_names_out()
    assert len(set(names)) == len(names) == 3 * 1667
    assert {"ch0_band3_bpfo_2x", "ch2_whitened_bpfi_1x-2shaft", "ch1_spectrum_axis127", "ch0_bsf_1x"} - set(names) == {
        "ch0_bsf_1x"
    }
    assert names[1667] == "ch1_" + names[0].removeprefix("ch0_")
    assert spectra.get_feature_names_out(["drive", "fan", "base"])[1667].startswith("fan_band0_bpfo_1x")
    with pytest.raises(ValueError, match="got 2 names of channels, but was fitted to windows of 3"):
        spectra.get_feature_names_out(["drive", "fan"])


def test_frames_come_out_where_they_are_asked_for():
    X = windows()
    frame = EnvelopeSpectra().set_output(transform="pandas").fit(X).transform(X)
    np.testing.assert_array_equal(frame["ch1_crest"], EnvelopeSpectra().fit_transform(X)[:, 1667 + 1662])


def test_it_works_in_pipelines_and_splits_keep_what_windows_know():
    X = windows(24)
    t = np.arange(256) / 12_000
    y = np.arange(24) % 2
    X[y == 1] += 2 * np.sin(2 * np.pi * 3000 * t)
    model = make_pipeline(EnvelopeSpectra(), StandardScaler(), LogisticRegression())
    assert cross_val_score(model, X, y, groups=np.arange(24) // 4, cv=GroupKFold(3)).mean() > 0.9


def test_stored_it_gives_the_same_numbers():
    X = windows()
    spectra = EnvelopeSpectra().fit(X)
    file = io.BytesIO()
    joblib.dump(spectra, file)
    file.seek(0)
    for loaded in (pickle.loads(pickle.dumps(spectra)), joblib.load(file)):
        np.testing.assert_array_equal(loaded.transform(X), spectra.transform(X))


def test_it_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        EnvelopeSpectra().transform(windows())
    with pytest.raises(NotFittedError):
        EnvelopeSpectra().get_feature_names_out()


def test_windows_that_are_too_short_are_refused_everywhere():
    short, says = windows(length=31), "EnvelopeSpectra got windows of 31 samples, but needs at least 32"
    fitted = EnvelopeSpectra().fit(windows())
    for refuses in (EnvelopeSpectra().fit, fitted.transform, EnvelopeSpectra()):
        with pytest.raises(ValueError, match=says):
            refuses(short)
    assert np.isfinite(EnvelopeSpectra().fit_transform(windows(length=64))).all()


@pytest.mark.parametrize(
    ("X", "says"),
    [
        (np.zeros((6, 256)), "got X of 2 dimensions, but takes windows .*cut the recordings with SlidingWindows"),
        (np.zeros((6, 1, 64, 64)), "got X of 4 dimensions"),
        (np.zeros(256), "got X of 1 dimensions"),
        (np.full((6, 2, 256), np.nan), r"contains NaN in channel 0 \(6 windows\), 1 \(6 windows\)"),
        (np.full((6, 2, 256), np.inf), "contains infinity in channel 0"),
        (np.full((6, 2, 256), 1e16), "contains values beyond 1e"),
        (np.zeros((0, 2, 256)), "minimum of 1 is required"),
        (np.zeros((6, 0, 256)), "at least one channel"),
        (np.full((6, 2, 256), "a"), "windows of text"),
        ([np.zeros((1, 64)), np.zeros((1, 65))], "do not make one array"),
    ],
)
def test_what_cannot_be_used_is_refused(X, says):
    fitted = EnvelopeSpectra().fit(windows())
    for refuses in (EnvelopeSpectra().fit, fitted.transform):
        if "channel" in says and np.shape(X)[1:2] != (2,) and refuses == fitted.transform:
            continue  # another sentence
        with pytest.raises(ValueError, match=says):
            refuses(X)


def test_another_number_of_channels_is_refused():
    fitted = EnvelopeSpectra().fit(windows())
    with pytest.raises(ValueError, match="got windows of 3 channels, but was fitted to windows of 2"):
        fitted.transform(windows(n_channels=3))


def test_a_channel_without_any_change_is_warned_of_and_its_numbers_are_finite():
    X = windows()
    X[:, 1] = 2.5
    with pytest.warns(DataQualityWarning, match=r"EnvelopeSpectra: the channels \[1\] do not change in any window"):
        fitted = EnvelopeSpectra().fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(fitted.transform(X)).all()
