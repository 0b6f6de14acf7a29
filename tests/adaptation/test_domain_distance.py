"""The proxy A-distance: nothing where there is nothing to tell, two where machines are apart, and by groups."""

import warnings

import numpy as np
import pytest

from sktransfer import CORAL, domain_distance_report, proxy_a_distance


def test_the_ends_of_the_scale():
    rng = np.random.default_rng(0)
    X, domain = rng.normal(size=(600, 2)), np.resize([1, 2, -1], 600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert proxy_a_distance(X, domain) < 0.25
    assert proxy_a_distance(X + 20.0 * (domain > 0)[:, None], domain) == 2


def test_it_is_that_of_the_error_of_the_best_boundary():
    # two normals at a distance of 2: the best balanced error is Phi(-1) = 0.1587, however unequal the sides are
    rng = np.random.default_rng(0)
    domain = np.repeat([1, -1], [9000, 3000])
    X = rng.normal(size=(12000, 1)) + 2.0 * (domain > 0)[:, None]
    assert proxy_a_distance(X, domain) == pytest.approx(2 * (1 - 2 * 0.1587), abs=0.03)


def test_runs_are_not_told_by_their_own_rows():
    # a run has a level of its own, drawn alike on both machines: nothing tells the machines apart
    rng = np.random.default_rng(0)
    runs, domain = np.repeat(np.arange(8), 50), np.repeat([1, -1], 200)
    X = rng.normal(size=(8, 10))[runs] * 3 + rng.normal(size=(400, 10)) / 10
    assert proxy_a_distance(X, domain) > 1.5
    assert proxy_a_distance(X, domain, groups=runs) < 0.7
    with pytest.raises(ValueError, match="finer groups"):
        proxy_a_distance(X, domain, groups=domain)
    with pytest.raises(ValueError, match="groups has shape"):
        proxy_a_distance(X, domain, groups=[1, 2])


def test_the_report_says_what_an_adapter_does():
    rng = np.random.default_rng(0)
    domain = np.repeat([1, -1], 200)
    X = rng.normal(size=(400, 3)) + 3.0 * (domain > 0)[:, None]
    report = domain_distance_report(CORAL(), X, domain)
    assert report["before"] == proxy_a_distance(X, domain)
    mapped = CORAL().fit_transform(X, sample_domain=domain)
    assert report["after"] == proxy_a_distance(mapped, domain) < 0.4 < 1.8 < report["before"]
