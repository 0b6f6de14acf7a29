"""Classes that are not equally common on both machines: said, and with a prior allowed for."""

import warnings

import numpy as np
import pytest

from sktransfer import (
    DANN,
    MCC,
    MMD,
    DeepCORAL,
    DomainAdaptationClassifier,
    DomainAdaptationRegressor,
    FromScratch,
    Guarded,
    LabelShiftWarning,
)
from sktransfer.adaptation.compared_rows import compared_rows

NETWORK = FromScratch(arguments={"hidden_layer_sizes": [8]})
EACH = pytest.mark.parametrize("kind", [DeepCORAL, MMD, DANN], ids=lambda kind: kind.__name__)


def rows(n=300, leaks=0.5, seed=0):
    """Two classes, far apart in the first column."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < leaks).astype(np.int64)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    X[:, 0] += 6 * y
    return X, y


def stacked(leaks):
    (X, y), (X_target, _) = rows(), rows(200, leaks, seed=1)
    unlabelled = np.full(200, -1)
    return np.concatenate([X, X_target]), np.r_[y, unlabelled], np.repeat([1, -1], [300, 200])


@EACH
def test_rows_are_drawn_by_the_given_shares(kind):
    X, y = rows()
    classes = np.array(["leak", "ok"])
    by_name = compared_rows("A", kind(prior={"leak": 0.9, "ok": 0.1}), X, y, classes, X)
    assert np.mean(y[by_name] == 0) == pytest.approx(0.9, abs=0.005)
    assert len(by_name) == pytest.approx(len(X), abs=1)
    # every row of a class stands for as many as any other, within one
    counts = np.bincount(by_name, minlength=len(X))
    for code in (0, 1):
        assert np.ptp(counts[y == code]) <= 1
    in_order = compared_rows("A", kind(prior=[0.9, 0.1]), X, y, classes, X)
    assert np.array_equal(by_name, in_order)


@EACH
def test_shares_are_estimated_on_request(kind):
    X, y = rows()
    X_target, truth = rows(1000, leaks=0.05, seed=1)
    found = compared_rows("A", kind(prior="estimate"), X, y, np.array([0, 1]), X_target)
    assert np.mean(y[found] == 1) == pytest.approx(truth.mean(), abs=0.02)


def test_a_class_without_a_source_row_gets_none_and_one_without_a_share_is_left_out():
    X, y = rows()
    found = compared_rows("A", MMD(prior=[0.5, 0.25, 0.25]), X, y, np.array(["a", "b", "c"]), X)
    assert np.mean(y[found] == 0) == pytest.approx(2 / 3, abs=0.005)
    assert set(y[compared_rows("A", MMD(prior=[1.0, 0.0]), X, y, np.array(["a", "b"]), X)]) == {0}
    with pytest.raises(ValueError, match="prior gives no class of the source a share"):
        compared_rows("A", MMD(prior=[0.0, 0.0, 1.0]), X, y, np.array(["a", "b", "c"]), X)


@EACH
def test_other_shares_in_the_target_are_warned_of_once_and_equal_ones_are_not(kind):
    model = DomainAdaptationClassifier(NETWORK, alignment=kind(), max_epochs=1, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        X, y, domain = stacked(leaks=0.05)
        model.fit(X, y, sample_domain=domain)
    of_shares = [str(one.message) for one in caught if issubclass(one.category, LabelShiftWarning)]
    assert len(of_shares) == 1
    assert of_shares[0].startswith(f"DomainAdaptationClassifier(alignment={kind.__name__}) takes the shares")
    with warnings.catch_warnings():
        warnings.simplefilter("error", LabelShiftWarning)
        X, y, domain = stacked(leaks=0.5)
        model.fit(X, y, sample_domain=domain)
        X, y, domain = stacked(leaks=0.05)
        prior = kind(prior={0: 0.95, 1: 0.05})
        DomainAdaptationClassifier(NETWORK, alignment=prior, max_epochs=1).fit(X, y, sample_domain=domain)
        DomainAdaptationClassifier(NETWORK, alignment=MCC(), max_epochs=1).fit(X, y, sample_domain=domain)


def test_with_the_right_prior_the_aligned_features_have_nothing_left_to_align():
    """Rows of one class look alike on both machines: the discrepancy is that of the shares alone."""
    X, y, domain = stacked(leaks=0.05)
    losses = {}
    for name, alignment in (("none", MMD()), ("right", MMD(prior=[0.95, 0.05])), ("wrong", MMD(prior=[0.05, 0.95]))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LabelShiftWarning)
            model = DomainAdaptationClassifier(NETWORK, alignment=alignment, max_epochs=1, random_state=0)
            losses[name] = model.fit(X, y, sample_domain=domain).history_[0]["alignment_loss"]
    assert 2 * losses["right"] < losses["none"] < losses["wrong"] / 2


def test_a_guard_hands_on_the_prior_of_what_it_guards():
    X, y, domain = stacked(leaks=0.05)
    guard = Guarded(MMD(prior=[0.95, 0.05]), max_shift=1.0, min_agreement=0.0)
    model = DomainAdaptationClassifier(NETWORK, alignment=guard, max_epochs=3, random_state=0)
    plain = DomainAdaptationClassifier(NETWORK, alignment=MMD(prior=[0.95, 0.05]), max_epochs=3, random_state=0)
    guarded, alone = (m.fit(X, y, sample_domain=domain).predict_proba(X) for m in (model, plain))
    assert np.array_equal(guarded, alone)


@EACH
def test_wrong_priors_are_errors(kind):
    X, y, domain = stacked(leaks=0.5)

    def fit(prior):
        DomainAdaptationClassifier(NETWORK, alignment=kind(prior=prior), max_epochs=1).fit(X, y, sample_domain=domain)

    with pytest.raises(ValueError, match="'prior' parameter of " + kind.__name__):
        fit("guess")
    with pytest.raises(ValueError, match=r"prior names \['wear'\]; the classes of the source are \[0, 1\]"):
        fit({"wear": 1.0})
    with pytest.raises(ValueError, match="prior must hold 2 shares that sum to 1"):
        fit([0.5, 0.6])
    values = np.where(domain > 0, X[:, 1], np.nan)
    regressor = DomainAdaptationRegressor(NETWORK, alignment=kind(prior=[0.5, 0.5]))
    with pytest.raises(ValueError, match="whose prior is of classes, and a regressor has none"):
        regressor.fit(X, values, sample_domain=domain)


def test_a_rare_class_is_among_the_rows_that_are_looked_at():
    """Nine thousand rows, of which every fifth is enough, and a class of one row."""
    X, y = rows(9000)
    X, y = np.insert(X, 7, 20.0, axis=0), np.insert(y, 7, 2)
    X_target, truth = rows(1000, leaks=0.1, seed=1)
    found = compared_rows("A", MMD(prior="estimate"), X, y, np.array(["ok", "leak", "rare"]), X_target)
    assert np.mean(y[found] == 1) == pytest.approx(truth.mean(), abs=0.02)


def test_images_are_told_apart_by_their_pixels():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    X = rng.normal(size=(200, 1, 4, 4)).astype(np.float32)
    X[:, 0, 1, 2] += 8 * y
    found = compared_rows("A", MMD(prior="estimate"), X, y, np.array([0, 1]), X[np.r_[:100, 100:105]])
    assert np.mean(y[found] == 1) == pytest.approx(5 / 105, abs=0.02)


def test_windows_are_told_apart_by_their_channels_statistics():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    X = rng.normal(size=(200, 2, 64)).astype(np.float32) * (1 + 9 * y[:, None, None])
    target = X[np.r_[:100, 100:105]]
    found = compared_rows("A", MMD(prior="estimate"), X, y, np.array([0, 1]), target)
    assert np.mean(y[found] == 1) == pytest.approx(5 / 105, abs=0.01)
