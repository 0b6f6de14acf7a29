"""Acceptance, section D: what comes to predict and transform. The name of a test begins with its id."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.exceptions import NotFittedError

from sktransfer import (
    BaselineScaler,
    DataQualityWarning,
    FeatureExtractor,
    OutOfRangeWarning,
    TransferClassifier,
    TransferRegressor,
    WindowScaler,
)
from sktransfer.validation.unusable import LARGEST_INPUT
from tests.acceptance.cases import X, quick, scaled, with_cell, with_column, y
from tests.helpers import moons

NAMES = ["flow [m3/h]", "pressure [bar]", "speed [rpm]", "load"]
FRAME = pd.DataFrame(X, columns=NAMES)


@pytest.fixture(scope="module")
def of_frame():
    """Estimators fitted on a frame, by name of their method."""
    return {
        "predict": quick().fit(FRAME, y),
        "predict_proba": scaled().fit(FRAME, y),
        "transform": BaselineScaler().fit(FRAME),
    }


@pytest.fixture(scope="module")
def model():
    return scaled(quick(max_epochs=40)).fit(X, y)


METHODS = ["predict", "predict_proba", "transform"]


@pytest.mark.parametrize(
    "estimator", [TransferClassifier(), TransferRegressor(), FeatureExtractor(), BaselineScaler(), WindowScaler()]
)
def test_D1_every_method_of_an_unfitted_estimator_says_so(estimator):
    methods = ["predict", "predict_proba", "predict_log_proba", "transform", "score", "get_feature_names_out"]
    found = [name for name in methods if hasattr(estimator, name)]
    assert len(found) >= 2
    for name in found:
        arguments = {"score": (X, y), "get_feature_names_out": ()}.get(name, (X,))
        with pytest.raises(NotFittedError, match=f"This {type(estimator).__name__} instance is not fitted yet"):
            getattr(estimator, name)(*arguments)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("rows", "difference"),
    [
        (FRAME[NAMES[::-1]], "the same, in another order"),
        (FRAME.drop(columns="load"), r"Missing: \['load'\]"),
        (FRAME.assign(noise=1.0), r"Not seen in fit: \['noise'\]"),
        (
            FRAME.rename(columns={"pressure [bar]": "pressure [kPa]"}),
            r"Missing: \['pressure \[bar\]'\]. Not seen in fit: \['pressure \[kPa\]'\]",
        ),
    ],
    ids=["order", "missing", "extra", "unit"],
)
def test_D2_other_columns_are_an_error_that_lists_the_differences(of_frame, method, rows, difference):
    with pytest.raises(ValueError, match=rf"feature names.*{difference}.*Select them by name"):
        getattr(of_frame[method], method)(rows)


@pytest.mark.parametrize("method", METHODS)
def test_D2_selecting_by_name_mends_it(of_frame, method):
    estimator = of_frame[method]
    mixed = FRAME.assign(noise=1.0)[["noise", *NAMES[::-1]]]
    found = getattr(estimator, method)(mixed[list(estimator.feature_names_in_)])
    np.testing.assert_array_equal(found, getattr(estimator, method)(FRAME))


@pytest.mark.parametrize("method", METHODS)
def test_D3_array_after_a_frame_warns(of_frame, method):
    expected = getattr(of_frame[method], method)(FRAME)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = getattr(of_frame[method], method)(X)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", METHODS)
def test_D4_no_rows_are_an_error(of_frame, method):
    with pytest.raises(ValueError, match=r"0 sample\(s\).*minimum of 1 is required"):
        getattr(of_frame[method], method)(FRAME.iloc[:0])


@pytest.mark.parametrize("method", METHODS)
def test_D5_nan_is_an_error_that_names_the_column(of_frame, method):
    rows = FRAME.copy()
    rows.iloc[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"NaN in column 'speed \[rpm\]' \(1 row\). Drop or fill these rows"):
        getattr(of_frame[method], method)(rows)


@pytest.mark.parametrize(
    ("options", "strength"),
    [
        *(({}, sigma) for sigma in (0.0, 30.0, 1000.0)),
        *(({"method": "robust"}, sigma) for sigma in (0.0, 1000.0)),
        *(({"clip": None}, sigma) for sigma in (0.0, 1000.0)),
        ({"compress": False, "clip": None}, 1000.0),
        ({"compress": False}, 0.0),  # trained beyond its clip, it can only warn: all that is clipped looks the same
    ],
    ids=lambda value: f"trained up to {value:g} sigma" if isinstance(value, float) else str(value),
)
def test_D6_row_a_million_sigma_away_is_flagged_and_not_certain(options, strength):
    rows, labels = moons(200, seed=2)
    rows[labels == "leak", 0] += strength
    model = scaled(quick(max_epochs=60), **options).fit(rows, np.where(labels == "wear", "normal", labels))
    for sign in (1, -1):
        for column in range(4):
            far = rows[:1].copy()
            far[0, column] += sign * 1e6 * model[0].scale_[0, column]
            with pytest.warns(DataQualityWarning, match=r"1 of 1 rows lie f.*Check units"):
                result = model.predict_proba(far)
            # never certain that all is well; certain that something is wrong where the fault lies far out, too
            assert result[0, model.classes_ == "normal"] < 0.9
            assert result.max() < 0.9 or strength > 0


def test_D6_only_the_far_row_loses_its_confidence(model):
    far = with_cell(1e6)
    with pytest.warns(OutOfRangeWarning, match="1 of 80 rows lie far outside the range"):
        result = model.predict_proba(far)
    expected = model.predict_proba(X)
    np.testing.assert_allclose(np.delete(result, 3, axis=0), np.delete(expected, 3, axis=0), atol=1e-6)
    # the column that is wrong is named by the scaler, which knows it in physical units
    with pytest.warns(DataQualityWarning, match=r"in the columns \['x2'\]. Check units and sensors"):
        model[0].transform(far)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict_proba(X)


def test_D7_one_row_chunks_and_order_make_no_difference(model):
    rows = moons(2100, seed=3)[0]  # three internal chunks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfRangeWarning)
        expected = model.predict_proba(rows)
        alone = np.vstack([model.predict_proba(rows[i : i + 1]) for i in range(1000, 1050)])
        np.testing.assert_allclose(alone, expected[1000:1050], atol=1e-6, rtol=0)
        for size in (7, 64, 1023, 1025):
            chunks = np.vstack([model.predict_proba(rows[i : i + size]) for i in range(0, len(rows), size)])
            np.testing.assert_allclose(chunks, expected, atol=1e-6, rtol=0)
        order = np.random.default_rng(0).permutation(len(rows))
        np.testing.assert_allclose(model.predict_proba(rows[order]), expected[order], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["pipeline", "classifier"])
def test_D8_probabilities_are_finite_sum_to_one_and_agree_with_predict(model, kind):
    # the scaler takes every finite number; a network alone takes what its arithmetic can hold
    largest = np.finfo(np.float64).max if kind == "pipeline" else LARGEST_INPUT
    estimator = model if kind == "pipeline" else model[-1]
    cells = st.one_of(st.floats(-10, 10), st.floats(-largest, largest), st.sampled_from([0.0, -0.0, largest, 1e-300]))

    @settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(arrays(np.float64, st.tuples(st.integers(1, 6), st.just(4)), elements=cells))
    def check(rows):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", DataQualityWarning)
            result, logarithms = estimator.predict_proba(rows), estimator.predict_log_proba(rows)
            labels = estimator.predict(rows)
        assert np.isfinite(result).all()
        assert np.isfinite(logarithms).all()
        assert ((result >= 0) & (result <= 1)).all()
        np.testing.assert_allclose(result.sum(axis=1), 1.0, atol=1e-9)
        np.testing.assert_array_equal(labels, estimator.classes_[result.argmax(axis=1)])

    check()


@pytest.fixture(scope="module")
def two_machines():
    domain = np.r_[np.full(80, 1), np.full(80, -2)]
    return BaselineScaler().fit(np.vstack([X, X + 5]), sample_domain=domain)


def test_D9_unknown_machine_is_an_error_that_lists_the_known(two_machines):
    with pytest.raises(
        ValueError, match=r"no baseline for sample_domain \[3\]; it was fitted on \[-2, 1\].*Fit it again"
    ):
        two_machines.transform(X, sample_domain=np.full(80, 3))


def test_D9_machine_left_out_is_an_error_that_lists_the_known():
    two_sources = BaselineScaler().fit(np.r_[X, X + 5], sample_domain=np.repeat([1, 2], 80))
    with pytest.raises(ValueError, match=r"fitted on the domains \[1, 2\], .*Pass sample_domain"):
        two_sources.transform(X)


def test_D9_machine_left_out_is_the_target_where_there_is_one(two_machines):
    expected = two_machines.transform(X, sample_domain=np.full(80, -2))
    np.testing.assert_array_equal(two_machines.transform(X), expected)


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (["pump"] * 80, r"no baseline for sample_domain \['pump'\]"),
        (np.full(80, 1.5), "sample_domain takes whole numbers"),
        (np.zeros(80, dtype=int), "sample_domain takes whole numbers other than zero"),
    ],
)
def test_D9_machine_that_is_no_number_or_name_is_an_error(two_machines, domain, words):
    with pytest.raises(ValueError, match=words):
        two_machines.transform(X, sample_domain=domain)


def test_D9_known_machines_are_scaled_each_by_its_own_rows(two_machines):
    first = two_machines.transform(X, sample_domain=np.full(80, 1))
    np.testing.assert_allclose(two_machines.transform(X + 5, sample_domain=np.full(80, -2)), first, atol=1e-12)
    alone = BaselineScaler().fit(X).transform(X)
    np.testing.assert_allclose(first, alone, atol=1e-12)


STUCK = r"columns \['x2'\] do not change over {} rows although they varied while healthy"


@pytest.mark.parametrize(("start", "length"), [(0, 80), (40, 40), (31, 20)])
def test_D10_stuck_sensor_is_flagged(start, length):
    stuck = with_column(np.r_[X[:start, 2], np.full(length, 1.3), X[start + length :, 2]])
    with pytest.warns(DataQualityWarning, match=STUCK.format(length)):
        BaselineScaler().fit(X).transform(stuck)
    with pytest.warns(DataQualityWarning, match=STUCK.format(length)):
        scaled().fit(X, y).predict(stuck)


def test_D10_a_short_run_or_a_slow_or_constant_signal_is_not_flagged():
    rng = np.random.default_rng(0)
    valve = np.repeat(rng.integers(0, 2, 16), 25)  # holds for 25 rows while healthy, too
    slow = np.repeat(rng.normal(size=40), 10)
    healthy = np.column_stack([valve, slow, np.full(400, 7.0), rng.integers(0, 3, 400)]).astype(float)
    scaler = BaselineScaler().fit(healthy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaler.transform(healthy)
        scaler.transform(healthy[:60])
        BaselineScaler().fit(X).transform(with_column(np.r_[np.full(19, 1.3), X[19:, 2]]))
    stuck = healthy.copy()
    stuck[:, 1] = slow[0]
    with pytest.warns(DataQualityWarning, match=r"columns \['x1'\] do not change over 400 rows"):
        scaler.transform(stuck)


def flat_windows(start, length, n_windows=30):
    """Windows of 100 samples, one channel of three of which is stuck in windows 4 and 5."""
    windows = np.random.default_rng(0).normal(size=(n_windows, 2, 100))
    stuck = windows.copy()
    stuck[4:6, 1, start : start + length] = 1.3
    return windows, stuck


@pytest.mark.parametrize(("start", "length"), [(0, 100), (0, 20), (55, 45), (41, 20)])
def test_D10_stuck_channel_is_flagged_in_windows(start, length):
    healthy, stuck = flat_windows(start, length)
    scaler = BaselineScaler().fit(healthy)
    says = r"the channels \[1\] are stuck in 2 of 30 windows: they do not change although they varied while healthy"
    with pytest.warns(DataQualityWarning, match=says):
        scaler.transform(stuck)
    if length == 100:
        with pytest.warns(DataQualityWarning, match=says):  # also where the healthy windows were stuck, too
            BaselineScaler().fit(stuck).transform(stuck)
        with pytest.warns(DataQualityWarning, match=r"channels \[1\] do not change within 2 of 30 windows"):
            WindowScaler().fit(healthy).transform(stuck)


def test_D10_a_flat_window_is_flagged_however_short_unless_healthy_ones_are_flat_too():
    rng = np.random.default_rng(0)
    valve = np.repeat(rng.integers(0, 2, 40), 4).reshape(40, 1, 4).astype(float)  # each window is flat
    tag = rng.normal(size=(40, 1, 4))
    windows = np.concatenate([valve, tag], axis=1)
    scaler = BaselineScaler().fit(windows)
    stuck = windows.copy()
    stuck[7, 1] = 0.4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaler.transform(windows)
    with pytest.warns(DataQualityWarning, match=r"the channels \[1\] are stuck in 1 of 40 windows"):
        scaler.transform(stuck)


def test_D10_a_short_run_in_a_window_is_not_flagged():
    healthy, stuck = flat_windows(40, 19)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BaselineScaler().fit(healthy).transform(stuck)
