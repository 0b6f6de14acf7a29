"""ShrunkCovariance: distances of scikit-learn's estimator, with many rows and with few."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from sktransfer.detection.shrunk_covariance import ShrunkCovariance


@pytest.mark.parametrize("n_rows", [12, 40, 300])
def test_distances_are_those_of_the_whole_inverse(n_rows):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(40, 40)) * np.linspace(0.1, 3, 40)
    Z, new = rng.normal(size=(n_rows, 40)) @ mix, rng.normal(size=(20, 40)) @ mix
    Z -= Z.mean(axis=0)
    precision = LedoitWolf(assume_centered=True).fit(Z).precision_
    expected = np.einsum("ni,ij,nj->n", new, precision, new)
    np.testing.assert_allclose(ShrunkCovariance(Z).distance(new), expected, rtol=1e-6)


def test_a_column_that_never_varied_counts_when_it_does():
    Z = np.random.default_rng(0).normal(size=(50, 3)) * [1, 1, 0]
    far = ShrunkCovariance(Z - Z.mean(axis=0)).distance(np.array([[0.0, 0, 1], [1, 0, 0]]))
    assert np.isfinite(far).all()
    assert far[0] > 5 * far[1]


def test_rows_without_any_variance_are_no_error():
    assert np.isfinite(ShrunkCovariance(np.zeros((5, 3))).distance(np.ones((2, 3)))).all()
