"""Whitened rows and absolute values: against eigenvectors by hand, each machine by its own."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from sktransfer import BaselineScaler, Windows, make_pipeline
from sktransfer.preprocessing.whitening import whitening_matrix

rng = np.random.default_rng(0)
MIX = rng.normal(size=(5, 5))
X = rng.normal(size=(400, 5)) @ MIX + 50
NEW = rng.normal(size=(40, 5)) @ MIX + 55
EXACT = {"compress": False, "clip": None}


def test_healthy_rows_are_uncorrelated_and_keep_to_their_names():
    z = BaselineScaler(whiten=True, **EXACT).fit_transform(X)
    np.testing.assert_allclose(np.cov(z, rowvar=False, bias=True), np.eye(5), atol=1e-9)
    plain = BaselineScaler(**EXACT).fit_transform(X)
    between = np.corrcoef(plain.T, z.T)[:5, 5:]
    assert (between.argmax(axis=1) == np.arange(5)).all()
    assert np.trace(between) > np.trace(np.corrcoef(plain.T, PCA(whiten=True).fit_transform(plain).T)[:5, 5:])


def test_distances_are_those_of_mahalanobis():
    found = BaselineScaler(whiten=True, **EXACT).fit(X).transform(NEW)
    inverse = np.linalg.inv(np.cov(X, rowvar=False, bias=True))
    away = NEW - X.mean(axis=0)
    np.testing.assert_allclose((found**2).sum(axis=1), np.einsum("ij,jk,ik->i", away, inverse, away))


def test_whitening_comes_before_the_logarithm_and_the_clip():
    exact = BaselineScaler(whiten=True, **EXACT).fit(X).transform(NEW)
    np.testing.assert_allclose(
        BaselineScaler(whiten=True, clip=1.0).fit(X).transform(NEW),
        np.clip(np.sign(exact) * np.log1p(np.abs(exact)), -1, 1),
    )


def test_each_machine_is_whitened_by_its_own_healthy_rows():
    other = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5))
    both, domain = np.concatenate([X, other]), np.repeat([2, -1], [400, 300])
    y = np.resize(["normal", "leak"], 700)
    scaler = BaselineScaler("normal", whiten=True).fit(both, y, sample_domain=domain)
    order = rng.permutation(700)
    found = scaler.transform(both[order], sample_domain=domain[order])
    for number in (2, -1):
        one = domain == number
        alone = BaselineScaler("normal", whiten=True).fit(both[one], y[one])
        np.testing.assert_allclose(
            found[domain[order] == number], alone.transform(both[order][domain[order] == number])
        )


def test_windows_are_whitened_along_their_channels():
    windows = X.reshape(-1, 20, 5).transpose(0, 2, 1)
    of_windows, of_rows = (BaselineScaler(whiten=True, absolute=True).fit(data) for data in (windows, X))
    np.testing.assert_allclose(of_windows.whitening_, of_rows.whitening_)
    expected = of_rows.transform(X).reshape(-1, 20, 10).transpose(0, 2, 1)
    np.testing.assert_allclose(of_windows.transform(windows), expected)
    given = Windows.of(windows, sampling_rate=10)
    found = of_windows.transform(given)
    assert (type(found), found.sampling_rate, found.shape) == (Windows, 10, (20, 10, 20))


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_columns_without_spread_or_value_and_few_rows_blow_nothing_up():
    spoiled = np.column_stack([X, np.full(400, 1.3), np.full(400, np.nan), X[:, 0]])
    scaler = BaselineScaler(whiten=True, missing="impute", **EXACT).fit(spoiled[:7])
    assert np.isfinite(scaler.whitening_).all()
    assert np.abs(scaler.whitening_).max() <= 10.0 / np.sqrt(0.7)  # the least variance is a hundredth of the mean
    np.testing.assert_allclose(scaler.whitening_[0, 5], np.eye(8)[5], atol=1e-12)
    moved = spoiled[:3].copy()
    moved[:, 5] += 1.0
    np.testing.assert_allclose((scaler.transform(moved) - scaler.transform(spoiled[:3]))[:, 5], 1.0)
    assert (scaler.transform(np.full((2, 8), np.nan)) == 0).all()


def test_outliers_do_not_turn_the_axes_of_a_robust_scaler():
    spoiled = X.copy()
    spoiled[:12] += 1e4 * rng.normal(size=(12, 5))
    plain = BaselineScaler(whiten=True, method="robust").fit(X).whitening_
    np.testing.assert_allclose(BaselineScaler(whiten=True, method="robust").fit(spoiled).whitening_, plain, atol=0.6)
    assert np.abs(BaselineScaler(whiten=True, method="standard").fit(spoiled).whitening_ - plain).max() > 1.0


@pytest.mark.parametrize("whiten", [False, True])
def test_absolute_values_stand_beside_the_columns_with_names(whiten):
    frame = pd.DataFrame(X, columns=list("abcde"))
    plain = BaselineScaler(whiten=whiten).fit_transform(frame)
    scaler = BaselineScaler(whiten=whiten, absolute=True).set_output(transform="pandas")
    found = scaler.fit_transform(frame)
    assert list(found.columns) == [*"abcde", *(f"|{name}|" for name in "abcde")]
    np.testing.assert_array_equal(found.to_numpy(), np.concatenate([plain, np.abs(plain)], axis=1))
    assert BaselineScaler(absolute=True).fit(X).get_feature_names_out()[5:].tolist() == [f"|x{j}|" for j in range(5)]


def test_a_linear_model_sees_that_a_column_is_far_whatever_the_sign():
    y = np.resize(["normal", "fault"], 400)
    moved = rng.normal(size=(400, 2))
    moved[y == "fault", 0] += 6 * rng.choice([-1, 1], 200)
    score = {}
    for absolute in (False, True):
        pipe = make_pipeline(BaselineScaler("normal", absolute=absolute), LogisticRegression()).fit(
            moved[:200], y[:200]
        )
        score[absolute] = pipe.score(moved[200:], y[200:])
    assert score[False] < 0.7
    assert score[True] > 0.95


def test_one_row_and_many_rows_agree():
    scaler = BaselineScaler(whiten=True, absolute=True).fit(X)
    many = scaler.transform(NEW)
    np.testing.assert_allclose(np.concatenate([scaler.transform(NEW[[i]]) for i in range(40)]), many, atol=1e-12)


def test_outliers_in_most_rows_are_brought_near():
    z = rng.normal(size=(200, 5))
    z[np.arange(200), np.arange(200) % 5] = 100.0
    np.testing.assert_allclose(whitening_matrix(z, robust=True), whitening_matrix(np.clip(z, -5, 5), robust=False))
