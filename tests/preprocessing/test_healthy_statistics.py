"""Centre and scale of healthy data: constants stay constants, and a start-up is told."""

import warnings

import numpy as np
import pytest

from sktransfer import BaselineScaler, DataQualityWarning, EnvelopeSpectra, WindowScaler


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in found if issubclass(warning.category, DataQualityWarning)]


CONSTANTS = np.round(np.random.default_rng(0).uniform(0.01, 2000, 300), 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["standard", "robust"])
@pytest.mark.parametrize("missing", ["error", "impute"])
@pytest.mark.parametrize("n_rows", [7, 999])
def test_constant_columns_have_the_scale_one_and_stay_zero(dtype, method, missing, n_rows):
    X = np.tile(CONSTANTS, (n_rows, 1)).astype(dtype)
    X[0, 0], X[1, 0] = 1.0, 2.0  # one column that moves
    if missing == "impute":
        X[2, ::2] = np.nan
    scaler = BaselineScaler(method=method, missing=missing).fit(X)
    assert (scaler.scale_[0, 1:] == 1.0).all()
    assert (scaler.transform(X)[:, 1:] == 0.0).all()


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["standard", "robust"])
def test_constant_channels_have_the_scale_one_and_stay_zero(dtype, method):
    X = np.tile(CONSTANTS[None, :, None], (9, 1, 111)).astype(dtype)
    X[:, 0] = np.random.default_rng(0).normal(size=(9, 111))
    scaler = BaselineScaler(method=method).fit(X)
    assert (scaler.scale_[0, 1:] == 1.0).all()
    assert (scaler.transform(X)[:, 1:] == 0.0).all()
    assert (WindowScaler(method=method).fit_transform(X)[:, 1:] == 0.0).all()


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_rounding_alone_moves_is_constant(dtype):
    """A constant that was resampled or summed differs in its last digit."""
    rng = np.random.default_rng(0)
    X = np.array(1234.5, dtype=dtype) + rng.integers(-1, 2, size=(40, 1, 64)) * np.spacing(dtype(1234.5))
    X = X.astype(dtype)
    assert len(np.unique(X)) == 3
    assert BaselineScaler().fit(X).scale_[0, 0] == 1.0
    assert BaselineScaler().fit(X[:, :, 0]).scale_[0, 0] == 1.0
    assert (WindowScaler().fit_transform(X) == 0.0).all()


@pytest.mark.parametrize("kind", ["rows", "windows"])
def test_a_small_spread_beside_a_large_level_keeps_its_scale(kind):
    noise = np.random.default_rng(0).normal(size=(400, 2))
    X = 1e9 + 1e-3 * noise
    expected = (X - 1e9).std(axis=0)  # exact: both are near each other
    if kind == "windows":
        X = X.T.reshape(2, 8, 50).transpose(1, 0, 2)
    np.testing.assert_allclose(BaselineScaler().fit(X).scale_[0], expected, rtol=1e-6)


def test_a_robust_scale_of_a_column_that_rests_half_of_the_time_is_its_deviation():
    valve = np.where(np.arange(100) % 10 < 2, 100.0, 0.0)[:, None]
    assert BaselineScaler(method="robust").fit(valve).scale_[0, 0] == pytest.approx(40.0)


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_the_spectra_of_a_constant_do_not_depend_on_its_level():
    low, high = (EnvelopeSpectra().fit_transform(np.full((2, 1, 128), level)) for level in (1.3, 1e9 + 0.1))
    names = EnvelopeSpectra().fit(np.ones((2, 1, 128))).get_feature_names_out()
    others = names != "ch0_level"
    np.testing.assert_array_equal(low[:, others], high[:, others])


def healthy(n_rows=300, n_columns=10, n_start=30, seed=0):
    """Healthy rows, of which the first are a start-up: all columns come from far away."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_columns)) + 100.0
    X[:n_start] += np.linspace(60, 5, n_start)[:, None] * rng.choice([-1, 1], n_columns)
    return X


def as_windows(X):
    return X.T.reshape(X.shape[1], -1, 10).transpose(1, 0, 2)


@pytest.mark.parametrize("form", [lambda X: X, as_windows], ids=["rows", "windows"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_start_up_among_healthy_rows_is_said_with_the_remedy(form, shuffled):
    X = form(healthy())
    if shuffled:
        X = X[np.random.default_rng(1).permutation(len(X))]
    (said,) = caught(lambda: BaselineScaler().fit(X))
    row = "windows" if X.ndim == 3 else "rows"
    assert f"of {len(X)} healthy {row}" in said
    assert "a start-up" in said
    assert "another operating point" in said
    assert "unless the machine runs so as a rule" in said
    assert "method='robust'" in said
    middle = np.median(healthy(), axis=0)
    found = BaselineScaler(method="robust").fit(X)
    assert caught(lambda: BaselineScaler(method="robust").fit(X)) == []
    np.testing.assert_allclose(found.center_[0], middle, atol=1e-9)
    assert (found.scale_ < 1.5).all()
    assert (BaselineScaler().fit(X).scale_ > 8).all()  # what is warned of


def test_the_machine_that_started_up_is_named_and_its_first_row_counted():
    X = np.concatenate([healthy(n_start=0), healthy(seed=1)])
    domain = np.repeat([1, -2], 300)
    y = np.resize(["normal", "leak"], 600)
    (said,) = caught(lambda: BaselineScaler("normal").fit(X, y, sample_domain=domain))
    # every second row is healthy
    assert "of 150 healthy rows in sample_domain -2 (the first is number 300)" in said


@pytest.mark.parametrize("seed", range(5))
def test_ordinary_healthy_rows_are_no_start_up(seed):
    rng = np.random.default_rng(seed)
    heavy = rng.standard_t(4, size=(300, 4))
    skewed = np.exp(rng.normal(size=(300, 4)))
    pumps = np.where(rng.random((300, 4)) < 0.9, 50 + rng.normal(size=(300, 4)), 0.0)  # each on its own
    two_states = rng.normal(size=(300, 4)) + 20 * (np.arange(300) % 2)[:, None]
    for X in (heavy, skewed, two_states, np.column_stack([heavy, skewed, two_states, pumps[:, :1]])):
        assert caught(lambda X=X: BaselineScaler().fit(X)) == []
    assert not [text for text in caught(lambda: BaselineScaler().fit(pumps)) if "start-up" in text]


def test_a_robust_scale_is_never_that_of_rounding():
    rng = np.random.default_rng(0)
    column = 0.1 * (1 + np.finfo(float).eps * rng.integers(-2, 3, 200))
    column[:20] += rng.uniform(1, 2, 20)
    scaler = BaselineScaler(method="robust").fit(column[:, None])
    np.testing.assert_allclose(scaler.scale_, column.std(), rtol=1e-9)


def test_a_constant_of_float32_has_lost_nothing():
    X = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    X[:, 1] = 123456.7
    assert X[0, 1].view(np.int32) & 3
    assert caught(lambda: BaselineScaler().fit(X).transform(X)) == []


def test_columns_without_any_healthy_value_do_not_make_rows_empty():
    X = np.random.default_rng(0).normal(size=(50, 5))
    X[:, :3] = np.nan
    scaler = BaselineScaler(missing="impute")
    caught(lambda: scaler.fit(X))
    assert caught(lambda: scaler.transform(X)) == []
    X[7] = np.nan
    (said,) = caught(lambda: scaler.transform(X))
    assert "1 of 50 rows hold no number" in said
