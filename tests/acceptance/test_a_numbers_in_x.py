"""Acceptance, section A: the numbers in X in fit (A1 to A9, A16). The name of a test begins with its id."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sktransfer
from sktransfer import BaselineScaler, DataQualityWarning
from tests.acceptance.cases import ESTIMATORS, X, probabilities, quick, scaled, with_cell, with_column, y

FRAME = pd.DataFrame(X, columns=["flow", "pressure", "speed", "load"])


def of_package(caught):
    """Warnings of this package or raised in its files."""
    package = Path(sktransfer.__file__).parent  # the name of any folder above it says nothing
    ours = [Path(w.filename).is_relative_to(package) for w in caught]
    return [w for w, is_ours in zip(caught, ours, strict=True) if is_ours or issubclass(w.category, DataQualityWarning)]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_A1_nan_is_an_error_that_names_column_and_count(estimator):
    rows = FRAME.copy()
    rows.iloc[[3, 8], 2] = np.nan
    with pytest.raises(ValueError, match=r"NaN in column 'speed' \(2 rows\).*missing=\"impute\""):
        estimator.fit(rows, y)


def test_A1_nan_with_impute_trains_and_records_the_rule():
    model = scaled(missing="impute")
    result = probabilities(model, with_cell(np.nan))
    assert "healthy centre" in model[0].missing_rule_
    # the rule, by hand: a missing cell scores like the healthy centre of its column
    np.testing.assert_array_equal(model[0].transform(with_cell(np.nan))[3, 2], 0.0)
    centred = model.predict_proba(with_cell(model[0].center_[0, 2]))
    np.testing.assert_allclose(result[3], centred[3], atol=1e-6)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("estimator", [*ESTIMATORS, scaled(missing="impute")])
def test_A2_infinity_is_an_error_that_names_the_column(estimator, value):
    with pytest.raises(ValueError, match=r"infinity in column 'x2' \(1 row\). Drop or fill"):
        estimator.fit(with_cell(value), y)


@pytest.mark.parametrize("value", [1e300, -1e300, 1.7e308])
@pytest.mark.parametrize("model", [quick(), scaled(), scaled(method="robust")])
def test_A3_huge_value_is_an_error_without_stray_warnings(model, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"value of 1\S*e\+30\d in column 'x2', too large.*(scaler|Drop)"):
            model.fit(with_cell(value), y)


def test_A3_huge_value_through_a_standard_scaler_is_an_error():
    model = make_pipeline(StandardScaler(), quick())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match=r"in column 'x2' \(80 rows\)"):
            model.fit(with_cell(1e300), y)
    assert of_package(caught) == []
    with pytest.raises(ValueError, match=r"value of \S*e\+\d+ in column 'x2', too large"):
        model.fit(X, y).predict_proba(with_cell(1e300))


@pytest.mark.parametrize("model", [quick(), scaled(), scaled(compress=False), make_pipeline(StandardScaler(), quick())])
def test_A4_value_near_the_end_of_float32_is_clipped_or_an_error_but_never_nan(model):
    huge = with_cell(1.5e38)
    fitted = model.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", DataQualityWarning)
        if isinstance(fitted[0] if hasattr(fitted, "steps") else None, BaselineScaler):
            assert np.isfinite(fitted.predict_proba(huge)).all()
            with pytest.raises(ValueError, match="in column 'x2', too large"):
                model.fit(huge, y)
        else:
            with pytest.raises(ValueError, match=r"in column 'x2', too large.*scaler that clips"):
                fitted.predict_proba(huge)


def test_A4_an_unclipped_scaler_refuses_what_its_output_cannot_hold():
    scaler = BaselineScaler(compress=False, clip=None).fit(X * 1e-3)
    for rows in (with_cell(1e308), with_cell(3e38).astype(np.float32)):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", DataQualityWarning)
            with pytest.raises(
                ValueError, match=r"1 row is beyond 1e\+30 healthy deviations.*in the columns \['x2'\].*Set clip"
            ):
                scaler.transform(rows)


def test_A4_a_single_healthy_row_that_makes_up_the_spread_warns():
    spoiled = with_cell(1e6, row=int(np.argmax(y == "normal")))
    with pytest.warns(DataQualityWarning, match=r"99 % .* in the columns \['x2 \(1e\+06\)'\].*method='robust'"):
        BaselineScaler(normal_label="normal").fit(spoiled, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BaselineScaler(normal_label="normal", method="robust").fit(spoiled, y)
        BaselineScaler(normal_label="normal").fit(with_column(np.arange(80) == np.argmax(y == "normal")), y)


def test_A5_empty_column_is_an_error_and_ignored_with_impute():
    rows = FRAME.assign(speed=np.nan)
    with pytest.raises(ValueError, match=r"NaN in column 'speed' \(80 rows\). Drop the columns without any value"):
        quick().fit(rows, y)
    model = scaled(missing="impute")
    with pytest.warns(DataQualityWarning, match=r"\['speed'\] hold no value in the healthy rows; they are ignored"):
        result = probabilities(model, rows)
    np.testing.assert_allclose(model.predict_proba(rows.assign(speed=7.0)), result, atol=1e-12)


@pytest.mark.parametrize("model", [quick(), scaled(), scaled(method="robust")])
def test_A6_constant_column_is_harmless(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probabilities(model, with_column(7.1)).max() > 0.4


@pytest.mark.parametrize("model", [quick(), scaled()])
def test_A7_all_columns_constant_warns_that_there_is_no_information(model):
    with pytest.warns(DataQualityWarning, match="every column of X is constant, so there is no information"):
        result = probabilities(model, np.full_like(X, 3.1))
    np.testing.assert_allclose(result, np.tile(result[:1], (80, 1)), atol=1e-7)


@pytest.mark.parametrize("model", [quick(), scaled()])
def test_A8_duplicate_column_is_harmless(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probabilities(model, np.column_stack([X, X[:, 0]])).shape == (80, 3)


@pytest.mark.parametrize("model", [quick(), scaled()])
@pytest.mark.parametrize("column", [X[:, 3], 2500 + 1000 * X[:, 3], 1e5 + X[:, 3]], ids=["unit", "rpm", "Pa"])
def test_A9_sentinel_value_warns(model, column):
    column = np.where(np.arange(80) % 5 == 0, -9999.0, column)
    with pytest.warns(DataQualityWarning, match=r"columns \['load \(-9999 in 20%\)'\] hold one value.*na_values"):
        model.fit(FRAME.assign(load=column), y)


def test_A9_sentinel_is_found_beside_missing_values_and_not_in_ordinary_columns():
    column = np.where(np.arange(80) % 5 == 0, -9999.0, X[:, 3])
    column[:7] = np.nan
    with pytest.warns(DataQualityWarning, match=r"columns \['x3 \(-9999 in"):
        BaselineScaler(missing="impute").fit(with_column(column, 3))
    valve = np.where(np.arange(80) % 3 == 0, 100.0, 0.0)
    counts = np.random.default_rng(0).poisson(2.0, 80)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BaselineScaler().fit(np.column_stack([X, valve, counts, np.exp(X[:, 0])]))


@pytest.mark.parametrize("offset", [0.0, 1e2, 1e4, 1e5, 1e7])
def test_A16_float32_copy_predicts_the_same_or_warns(offset):
    rows = X + offset
    model = scaled(quick(max_epochs=30)).fit(rows, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        change = np.abs(model.predict_proba(rows.astype(np.float32)) - model.predict_proba(rows)).max()
    warned = any("came as float32" in str(w.message) and "'x0'" in str(w.message) for w in caught)
    assert warned or change < 1e-4
    assert warned == (offset >= 1e4)  # it does not cry wolf either


@pytest.mark.parametrize("method", ["standard", "robust"])
def test_A16_the_scaler_keeps_the_digits_of_float64_at_a_large_offset(method):
    scaler = BaselineScaler(method=method)
    np.testing.assert_allclose(scaler.fit_transform(X + 1e7), scaler.fit_transform(X), atol=1e-6)


@pytest.mark.parametrize("offset", [1e5, 1e7])
def test_A16_fit_on_a_float32_copy_without_digits_warns(offset):
    with pytest.warns(DataQualityWarning, match=r"'x0', 'x1', 'x2', 'x3'\] came as float32.*Read the data as float64"):
        BaselineScaler(normal_label="normal").fit((X + offset).astype(np.float32), y)


@pytest.mark.parametrize("offset", [0.0, 1e2])
@pytest.mark.parametrize("batch_size", [32, 256])
def test_A16_fit_on_a_float32_copy_gives_the_same_model(offset, batch_size):
    rows = X + offset
    copy = rows.astype(np.float32)
    expected = probabilities(scaled(quick(batch_size=batch_size)), rows)
    found = probabilities(scaled(quick(batch_size=batch_size)), copy)
    np.testing.assert_allclose(found, expected, atol=1e-4)
