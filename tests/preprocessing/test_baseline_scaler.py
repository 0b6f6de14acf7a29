"""BaselineScaler where X is rows: against numpy, in pipelines and with metadata."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktransfer import BaselineScaler, DataQualityWarning


def rows(n_rows=200, seed=0):
    """Three machines with offsets and units of their own; a third of the rows is faulty."""
    rng = np.random.default_rng(seed)
    domain = np.resize([1, -2, 3], n_rows)
    y = np.where(rng.random(n_rows) < 0.67, "normal", "leak")
    X = rng.normal(size=(n_rows, 4)) * np.abs(domain)[:, None] + 100.0 * domain[:, None]
    X[y == "leak"] += 5.0
    return X, y, domain


def test_healthy_rows_give_mean_and_standard_deviation():
    X, y, _ = rows()
    healthy = X[y == "normal"]
    scaler = BaselineScaler("normal", compress=False, clip=None).fit(X, y)
    np.testing.assert_allclose(scaler.center_, [healthy.mean(axis=0)])
    np.testing.assert_allclose(scaler.scale_, [healthy.std(axis=0)])
    assert scaler.n_normal_.tolist() == [len(healthy)]
    np.testing.assert_allclose(scaler.transform(X), (X - healthy.mean(axis=0)) / healthy.std(axis=0))


def test_robust_is_median_and_interquartile_range():
    X, y, _ = rows()
    low, middle, high = np.quantile(X[y == "normal"], [0.25, 0.5, 0.75], axis=0)
    scaler = BaselineScaler("normal", method="robust", compress=False, clip=None).fit(X, y)
    np.testing.assert_allclose(scaler.center_[0], middle)
    np.testing.assert_allclose(scaler.scale_[0], (high - low) / 1.349, rtol=1e-4)
    normal = np.random.default_rng(0).normal(3.0, 2.0, size=(200_000, 1))
    assert BaselineScaler(method="robust").fit(normal).scale_[0, 0] == pytest.approx(2.0, rel=0.01)


def test_without_a_normal_label_every_row_is_healthy():
    X, y, _ = rows()
    np.testing.assert_array_equal(BaselineScaler().fit(X, y).center_[0], BaselineScaler().fit(X).center_[0])
    np.testing.assert_allclose(BaselineScaler().fit(X).center_[0], X.mean(axis=0))


@pytest.mark.parametrize("labels", [("normal", "leak"), (0, 1), (False, True), (1.0, 2.0)])
def test_the_normal_label_is_compared_as_it_is(labels):
    X, y, _ = rows()
    marks = np.array([labels[name == "leak"] for name in y])
    scaler = BaselineScaler(labels[0]).fit(X, marks)
    assert scaler.n_normal_[0] == (y == "normal").sum()
    np.testing.assert_array_equal(scaler.center_, BaselineScaler(labels[0]).fit(X, pd.Series(marks)).center_)


def test_each_domain_is_scaled_by_its_own_healthy_rows():
    X, y, domain = rows()
    scaler = BaselineScaler("normal", compress=False, clip=None).fit(X, y, sample_domain=domain)
    assert scaler.domains_.tolist() == [-2, 1, 3]
    z = scaler.transform(X, sample_domain=domain)
    for number in (1, -2, 3):
        one, healthy = domain == number, (domain == number) & (y == "normal")
        np.testing.assert_allclose(z[one], (X[one] - X[healthy].mean(axis=0)) / X[healthy].std(axis=0), atol=1e-9)
        np.testing.assert_allclose(z[healthy].mean(axis=0), 0.0, atol=1e-9)
        np.testing.assert_allclose(z[healthy].std(axis=0), 1.0)
    assert scaler.n_normal_.tolist() == [((np.abs(domain) == d) & (y == "normal")).sum() for d in (2, 1, 3)]
    np.testing.assert_array_equal(z[::-1], scaler.transform(X[::-1], sample_domain=domain[::-1]))
    with pytest.raises(ValueError, match=r"no baseline for sample_domain \[2\].*two signs are two machines"):
        scaler.transform(X, sample_domain=np.abs(domain))


def test_a_source_and_a_target_of_one_number_are_two_machines():
    X, _, _ = rows()
    machine = np.resize([1, -1], 200)
    X = X + 50.0 * machine[:, None]
    z = BaselineScaler(compress=False).fit_transform(X, sample_domain=machine)
    for number in (1, -1):
        one = X[machine == number]
        np.testing.assert_allclose(z[machine == number], (one - one.mean(axis=0)) / one.std(axis=0))


def test_fit_transform_is_fit_then_transform_with_domains_too():
    X, y, domain = rows()
    for domains in ({}, {"sample_domain": domain}):
        both = BaselineScaler("normal").fit_transform(X, y, **domains)
        one_by_one = BaselineScaler("normal").fit(X, y, **domains).transform(X, **domains)
        np.testing.assert_array_equal(both, one_by_one)


def test_the_compression_is_a_signed_logarithm():
    X, _, _ = rows()
    z = BaselineScaler(compress=False, clip=None).fit(X).transform(X)
    found = BaselineScaler(clip=None).fit(X).transform(X)
    np.testing.assert_allclose(found, np.sign(z) * np.log(1 + np.abs(z)))


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_clip_bounds_what_comes_out_and_touches_nothing_else():
    X, _, _ = rows()
    free = BaselineScaler(compress=False, clip=None).fit(X)
    tight = BaselineScaler(compress=False, clip=1.5).fit(X)
    np.testing.assert_allclose(tight.transform(X), np.clip(free.transform(X), -1.5, 1.5))
    far = np.array([[1e9, -1e9, 0.0, 0.0]])
    assert tight.transform(far)[0, :2].tolist() == [1.5, -1.5]
    assert np.abs(BaselineScaler().fit(X).transform(np.full((1, 4), 1e30))).max() == 20.0


def test_a_column_that_does_not_move_while_healthy_stays_zero_until_it_does():
    X, y, _ = rows()
    X[:, 1] = np.where(y == "normal", 0.1 + 0.2, 7.0)  # a sum that rounding keeps from 0.3
    scaler = BaselineScaler("normal", compress=False).fit(X, y)
    assert scaler.scale_[0, 1] == 1.0
    z = scaler.transform(X)[:, 1]
    np.testing.assert_allclose(z[y == "normal"], 0.0, atol=1e-12)
    np.testing.assert_allclose(z[y == "leak"], 6.7)


def test_large_offsets_keep_their_digits():
    spread = np.random.default_rng(0).normal(size=(500, 1))
    z = BaselineScaler(compress=False).fit(spread + 1e9).transform(spread + 1e9)
    np.testing.assert_allclose(z, (spread - spread.mean()) / spread.std(), atol=1e-5)


def test_float32_rows_are_scaled_in_float64_and_come_back_as_float32():
    X = rows()[0].astype(np.float32)
    scaler = BaselineScaler(compress=False).fit(X)
    assert scaler.center_.dtype == scaler.scale_.dtype == np.float64
    wide = X.astype(np.float64)
    np.testing.assert_allclose(scaler.center_[0], wide.mean(axis=0), rtol=1e-12)
    z = scaler.transform(X)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, ((wide - wide.mean(axis=0)) / wide.std(axis=0)).astype(np.float32))


def test_the_caller_s_rows_are_not_changed():
    X, y, domain = rows()
    before = X.copy()
    BaselineScaler("normal").fit(X, y, sample_domain=domain).transform(X, sample_domain=domain)
    np.testing.assert_array_equal(X, before)


def test_missing_values_are_an_error_or_the_healthy_centre():
    X, _, _ = rows()
    holes = X.copy()
    holes[::7, 2] = np.nan
    with pytest.raises(ValueError, match=r"NaN in column 'x2'.*impute"):
        BaselineScaler().fit(holes)
    with pytest.raises(ValueError, match="NaN"):
        BaselineScaler().fit(X).transform(holes)
    scaler = BaselineScaler(missing="impute", compress=False).fit(holes)
    np.testing.assert_allclose(scaler.center_[0], np.nanmean(holes, axis=0))
    np.testing.assert_allclose(scaler.scale_[0], np.nanstd(holes, axis=0))
    z = scaler.transform(holes)
    assert (z[::7, 2] == 0.0).all()
    assert np.isfinite(z).all()
    with pytest.raises(ValueError, match="infinity"):
        scaler.transform(np.where(np.isnan(holes), np.inf, holes))


def test_an_empty_column_is_ignored_with_a_warning():
    X, _, _ = rows()
    X[:, 3] = np.nan
    with pytest.warns(DataQualityWarning, match="x3"):
        scaler = BaselineScaler(missing="impute").fit(X)
    assert (scaler.transform(np.where(np.isnan(X), 5.0, X))[:, 3] == 0.0).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"y": None}, "needs y"),
        ({"y": np.resize(["Normal", "leak"], 200)}, r"no row with y == 'normal'.*'Normal'"),
        ({"y": np.resize(["normal", "leak"], 199)}, r"shape \(199,\)"),
        ({"sample_domain": np.zeros(200, int)}, "other than zero"),
        ({"sample_domain": np.full(200, 1.5)}, "whole numbers"),
        ({"sample_domain": np.ones(3, int)}, r"shape \(3,\)"),
        ({"sample_domain": np.r_[np.ones(199, int), 4]}, "sample_domain 4"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_says_why(arguments, words):
    X, y, _ = rows()
    y[-1] = "leak"
    with pytest.raises(ValueError, match=words):
        BaselineScaler("normal").fit(X, **{"y": y, **arguments})


def test_a_machine_without_a_baseline_is_an_error():
    X, y, domain = rows()
    scaler = BaselineScaler("normal").fit(X, y, sample_domain=domain)
    with pytest.raises(ValueError, match=r"no baseline for sample_domain \[9\]"):
        scaler.transform(X[:2], sample_domain=[1, 9])


def test_domains_are_routed_through_a_pipeline():
    X, y, domain = rows()
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = BaselineScaler("normal").set_fit_request(sample_domain=True).set_transform_request(sample_domain=True)
        pipeline = make_pipeline(scaler, LogisticRegression()).fit(X, y, sample_domain=domain)
        found = pipeline.predict_proba(X, sample_domain=domain)
    plain = BaselineScaler("normal").fit(X, y, sample_domain=domain)
    z = plain.transform(X, sample_domain=domain)
    np.testing.assert_allclose(pipeline[0].center_, plain.center_)
    np.testing.assert_allclose(found, LogisticRegression().fit(z, y).predict_proba(z))


def test_a_frozen_scaler_is_not_fitted_again():
    X, y, _ = rows()
    scaler = BaselineScaler().fit(X[y == "normal"])
    pipeline = make_pipeline(FrozenEstimator(scaler), LogisticRegression()).fit(X, y)
    np.testing.assert_array_equal(pipeline[0].center_, scaler.center_)
    np.testing.assert_array_equal(clone(pipeline).fit(X[:50], y[:50])[0].center_, scaler.center_)


def test_frames_keep_their_names_and_refuse_others():
    X, y, _ = rows()
    frame = pd.DataFrame(X, columns=["p", "T", "flow", "rpm"], index=np.arange(200) + 7)
    scaler = BaselineScaler("normal").set_output(transform="pandas").fit(frame, y)
    z = scaler.transform(frame)
    assert list(z.columns) == list(scaler.get_feature_names_out()) == ["p", "T", "flow", "rpm"]
    assert z.index.equals(frame.index)
    np.testing.assert_array_equal(z.to_numpy(), BaselineScaler("normal").fit(X, y).transform(X))
    with pytest.raises(ValueError, match="another order"):
        scaler.transform(frame[["T", "p", "flow", "rpm"]])
    assert list(BaselineScaler().fit(X).get_feature_names_out()) == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize(
    "params", [{"method": "minmax"}, {"clip": 0}, {"clip": -1}, {"missing": "drop"}, {"compress": 2}]
)
def test_parameters_are_checked_at_fit(params):
    scaler = BaselineScaler(**params)
    with pytest.raises(ValueError, match=next(iter(params))):
        scaler.fit(rows()[0])


def test_rows_without_numbers_are_said_because_what_is_missing_looks_healthy(recwarn):
    rows = np.random.default_rng(0).normal(5, 2, size=(50, 4))
    rows[:, 3] = np.nan  # never measured: no reason to doubt the others
    scaler = BaselineScaler(missing="impute").fit(rows)
    recwarn.clear()
    scaler.transform(rows)
    rows[:5, 0] = np.nan  # one of the three that are measured
    scaler.transform(rows)
    assert not [w for w in recwarn if "hold no number" in str(w.message)]
    rows[[3, 8, 9]] = np.nan
    rows[4, 1] = np.nan
    with pytest.warns(
        DataQualityWarning, match="4 of 50 rows hold no number in more than half.*report them as not known"
    ):
        found = scaler.transform(rows)
    assert (found[[3, 8, 9]] == 0).all()


def test_rows_without_a_domain_are_those_of_the_only_target():
    X, y, domain = rows()
    scaler = BaselineScaler("normal").fit(X, y, sample_domain=domain)
    np.testing.assert_array_equal(scaler.transform(X), scaler.transform(X, sample_domain=np.full(len(X), -2)))
    both = np.where(domain == 3, -3, domain)
    with pytest.raises(ValueError, match=r"domains \[-3, -2, 1\], of which not exactly one is a target"):
        BaselineScaler("normal").fit(X, y, sample_domain=both).transform(X)
    named = BaselineScaler("normal", target_domain=3).fit(X, y, sample_domain=domain)
    np.testing.assert_array_equal(named.transform(X), scaler.transform(X, sample_domain=np.full(len(X), 3)))
    with pytest.raises(ValueError, match=r"target_domain=7 names no rows; sample_domain holds \[-2, 1, 3\]"):
        BaselineScaler("normal", target_domain=7).fit(X, y, sample_domain=domain)


@pytest.mark.parametrize("kind", [str, object])
def test_machines_may_have_names(kind):
    X, y, domain = rows()
    names = np.array([{1: "pump A", -2: "pump B", 3: "pump C"}[number] for number in domain], dtype=kind)
    scaler = BaselineScaler("normal", target_domain="pump B").fit(X, y, sample_domain=names)
    numbers = BaselineScaler("normal").fit(X, y, sample_domain=domain)
    assert scaler.domains_.tolist() == ["pump A", "pump B", "pump C"]
    np.testing.assert_array_equal(scaler.transform(X, sample_domain=names), numbers.transform(X, sample_domain=domain))
    np.testing.assert_array_equal(scaler.transform(X), numbers.transform(X))
    with pytest.raises(ValueError, match=r"no baseline for sample_domain \['pump D'\]"):
        scaler.transform(X[:1], sample_domain=["pump D"])
    with pytest.raises(ValueError, match="whole numbers, or texts; row 1 holds None"):
        scaler.transform(X[:2], sample_domain=["pump A", None])


def test_a_target_without_a_known_healthy_row_is_an_error_that_names_the_scaling_by_all_rows():
    X, y, domain = rows()
    y = y.astype(object)
    y[domain == -2] = None
    for missing in (None, pd.NA, -1):
        y[domain == -2] = missing
        with pytest.raises(
            ValueError, match=r"in sample_domain -2.*normal_label=None scales each machine by all"
        ) as error:
            BaselineScaler("normal").fit(X, y, sample_domain=domain)
        assert "is text" not in str(error.value)
    scaler = BaselineScaler(compress=False, clip=None).fit(X, y, sample_domain=domain)
    own = X[domain == -2]
    np.testing.assert_allclose(scaler.transform(own), (own - own.mean(axis=0)) / own.std(axis=0))
