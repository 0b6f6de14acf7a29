"""Statistics of healthy rows against formulas that are computed another way."""

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance, LedoitWolf
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from sktransfer import (
    HealthyNeighbors,
    HealthyStatistic,
    HotellingT2,
    PrincipalComponents,
    TagT2,
    TransferDetector,
    load,
    save,
)

ALL = [HotellingT2(), PrincipalComponents(), PrincipalComponents(0.5), HealthyNeighbors(3), TagT2(), TagT2(power=4)]
EACH = pytest.mark.parametrize("statistic", ALL, ids=repr)


def healthy(n=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) @ rng.normal(size=(3, 6)) + 0.3 * rng.normal(size=(n, 6)) + [0, 5, -5, 100, 0, 1]


def others(seed=1):
    return healthy(50, seed) + np.random.default_rng(2).normal(size=(50, 6)) * 2


@EACH
def test_parts_sum_to_the_distance(statistic):
    fitted = statistic.fit(healthy(), n_tags=3)
    F = others()
    np.testing.assert_allclose(fitted.contributions(F).sum(axis=1), fitted.distance(F), rtol=1e-9)


@EACH
def test_units_of_the_columns_do_not_matter(statistic):
    units, zero = np.array([1e-6, 1, 1e6, 3, 7, 11]), np.arange(6) * 1000.0
    plain = statistic.fit(healthy(), n_tags=3).distance(others())
    other = statistic.fit(healthy() * units + zero, n_tags=3).distance(others() * units + zero)
    np.testing.assert_allclose(other, plain, rtol=1e-5)


@EACH
def test_the_order_of_the_rows_does_not_matter(statistic):
    F = healthy()
    plain = statistic.fit(F, n_tags=3).distance(others())
    np.testing.assert_allclose(statistic.fit(F[::-1], n_tags=3).distance(others()), plain, rtol=1e-6)


@EACH
def test_farther_is_less_usual(statistic):
    """A row far out is less usual than the same row half the way, in every direction."""
    fitted = statistic.fit(healthy(), n_tags=3)
    centre, away = healthy().mean(axis=0), np.random.default_rng(3).normal(size=(40, 6)) * 20
    near, far = fitted.distance(centre + away), fitted.distance(centre + 2 * away)
    assert (far > near).all()


@EACH
def test_fewer_rows_than_columns_equal_columns_and_constant_ones_are_defined(statistic):
    rng = np.random.default_rng(0)
    few = rng.normal(size=(4, 6))
    assert np.isfinite(statistic.fit(few, n_tags=3).distance(others())).all()
    same = np.tile(rng.normal(size=(50, 1)), (1, 6))
    assert np.isfinite(statistic.fit(same, n_tags=3).distance(others())).all()
    constant = healthy()
    constant[:, 3] = 1.3
    fitted = statistic.fit(constant, n_tags=3)
    moved = constant[:1].copy()
    before = fitted.distance(moved)[0]
    moved[0, 3] = 13.0
    assert fitted.distance(moved)[0] > before


def test_t2_is_the_mahalanobis_distance_with_a_shrunk_covariance():
    F = healthy()
    mean, std = F.mean(axis=0), F.std(axis=0)
    model = LedoitWolf().fit((F - mean) / std)
    np.testing.assert_allclose(
        HotellingT2().fit(F).distance(others()), model.mahalanobis((others() - mean) / std), rtol=1e-6
    )


def test_t2_and_q_are_those_of_principal_components():
    F = healthy()
    Z, Z_other = ((X - F.mean(axis=0)) / F.std(axis=0) for X in (F, others()))
    fitted = PrincipalComponents(0.9).fit(F)
    k = fitted.n_components_
    pca = PCA(k).fit(Z)
    assert pca.explained_variance_ratio_.sum() >= 0.9
    assert PCA(k - 1).fit(Z).explained_variance_ratio_.sum() < 0.9

    def by_hand(X):
        scores = pca.transform(X)
        return (scores**2 / pca.explained_variance_).sum(axis=1), ((X - pca.inverse_transform(scores)) ** 2).sum(axis=1)

    t2, q = fitted.t2_and_q(others())
    np.testing.assert_allclose(t2, by_hand(Z_other)[0])
    np.testing.assert_allclose(q, by_hand(Z_other)[1])
    means = [part.mean() for part in by_hand(Z)]
    np.testing.assert_allclose(fitted.distance(others()), t2 / means[0] + q / means[1])


def test_control_limits_hold_for_independent_normal_rows():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(3, 8))

    def rows(n):
        return rng.normal(size=(n, 3)) @ mix + 0.5 * rng.normal(size=(n, 8))

    fitted = PrincipalComponents(0.85).fit(rows(5000))
    assert fitted.n_components_ == 3  # what is left is noise
    t2, q = fitted.t2_and_q(rows(100_000))
    for rate in (0.05, 0.01):
        limits = fitted.limits(rate)
        assert np.mean(t2 > limits[0]) == pytest.approx(rate, rel=0.15)
        assert np.mean(q > limits[1]) == pytest.approx(rate, rel=0.25)


def test_neighbours_are_those_of_scikit_learn():
    F = healthy()
    Z, Z_other = ((X - F.mean(axis=0)) / F.std(axis=0) for X in (F, others()))
    near = NearestNeighbors(n_neighbors=3).fit(Z).kneighbors(Z_other, return_distance=False)
    expected = ((Z_other - Z[near].mean(axis=1)) ** 2).sum(axis=1)
    np.testing.assert_allclose(HealthyNeighbors(3).fit(F).distance(others()), expected)


def test_tags_are_looked_at_one_by_one():
    F = healthy()
    Z, Z_other = ((X - F.mean(axis=0)) / F.std(axis=0) for X in (F, others()))
    relative = []
    for tag in range(3):
        columns = slice(2 * tag, 2 * tag + 2)
        model = LedoitWolf().fit(Z[:, columns])
        relative.append(model.mahalanobis(Z_other[:, columns]) / model.mahalanobis(Z[:, columns]).mean())
    np.testing.assert_allclose(TagT2().fit(F, 3).distance(others()), np.mean(relative, axis=0), rtol=1e-6)
    fourth = np.mean(np.array(relative) ** 4, axis=0) ** 0.25
    np.testing.assert_allclose(TagT2(power=4).fit(F, 3).distance(others()), fourth, rtol=1e-6)


def test_the_largest_part_is_the_column_that_moved():
    F = healthy()
    for column in range(6):
        moved = np.repeat(F[:20], 1, axis=0)
        moved[:, column] += 12 * EmpiricalCovariance().fit(F).covariance_[column, column] ** 0.5
        for statistic in (HotellingT2(), HealthyNeighbors()):
            found = statistic.fit(F).contributions(moved).argmax(axis=1)
            assert np.mean(found == column) > 0.9


@EACH
def test_one_row_is_not_enough(statistic):
    with pytest.raises(ValueError, match=r"needs at least 2 healthy rows; got 1\."):
        statistic.fit(healthy(1), n_tags=3)


class Largest(HealthyStatistic):
    """What a user writes: the largest deviation."""

    def _fit(self, Z):
        pass

    def _parts(self, Z):
        worst = np.abs(Z) == np.abs(Z).max(axis=1, keepdims=True)
        return np.abs(Z) * worst / worst.sum(axis=1, keepdims=True)


def test_a_statistic_of_ones_own_needs_two_methods():
    F = healthy()
    Z = (others() - F.mean(axis=0)) / F.std(axis=0)
    np.testing.assert_allclose(Largest().fit(F).distance(others()), np.abs(Z).max(axis=1))


@pytest.mark.parametrize("statistic", ALL, ids=repr)
def test_the_best_value_of_a_column_takes_off_what_is_said(statistic):
    """Of statistics that are quadratic: a parabola through three values of the column has this least value."""
    fitted = statistic.fit(healthy(), n_tags=6)
    F, found = others()[:5], statistic.reconstructions(others()[:5])
    assert (found >= 0).all()
    if isinstance(statistic, HealthyNeighbors) or getattr(statistic, "power", 1) != 1:
        np.testing.assert_allclose(found, np.maximum(fitted.contributions(F), 0))
        return
    for row in range(5):
        for column in range(6):
            steps = np.array([-1.0, 0.0, 1.0]) * fitted.scale_[column]
            changed = np.tile(F[row], (3, 1))
            changed[:, column] += steps
            a, b, _ = np.polyfit(steps, fitted.distance(changed), 2)
            np.testing.assert_allclose(found[row, column], b**2 / (4 * a), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("statistic", [HotellingT2(), PrincipalComponents(), HealthyNeighbors(), TagT2()])
def test_a_model_file_holds_a_detector_with_it_and_looking_does_not_change_the_file(statistic, tmp_path):
    F = np.random.default_rng(0).normal(size=(200, 3))
    detector = TransferDetector(statistic=statistic).fit(F)
    before = save(detector, tmp_path / "before.skops")
    scores = detector.score_samples(F)
    assert save(detector, tmp_path / "after.skops").read_bytes() == before.read_bytes()
    np.testing.assert_array_equal(load(before).score_samples(F), scores)
