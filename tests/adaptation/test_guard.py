"""Guarded: what the signs are, what is refused, and that the network that answers is the one it says."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from sktransfer import (
    MCC,
    MMD,
    DataQualityWarning,
    DeepCORAL,
    DomainAdaptationClassifier,
    DomainAdaptationRegressor,
    FromScratch,
    Guarded,
)

SMALL = FromScratch(arguments={"hidden_layer_sizes": (16,)})


def machines(target_share=0.5, shift=0.0, n_rows=300, seed=0):
    """A source of two equally common classes, and a target without labels in which `target_share` are a leak."""
    rng = np.random.default_rng(seed)
    leak = np.r_[np.arange(n_rows) < n_rows / 2, np.arange(n_rows) < n_rows * target_share]
    X = rng.normal(size=(2 * n_rows, 3)) + np.where(leak, 2.0, -2.0)[:, None]
    X[n_rows:, 1] += shift
    y = np.where(leak, "leak", "normal").astype(object)
    y[n_rows:] = None
    return X, y, np.repeat([1, -1], n_rows), leak[n_rows:]


def fitted(alignment, rows, **settings):
    X, y, domain, _ = rows
    model = DomainAdaptationClassifier(SMALL, alignment=alignment, max_epochs=5, lr=0.01, random_state=0, **settings)
    return model.fit(X, y, sample_domain=domain)


def test_equal_shares_adapt_and_the_network_is_the_one_of_the_alignment_alone():
    rows = machines()
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataQualityWarning)
        guarded = fitted(Guarded(MMD()), rows)
    np.testing.assert_array_equal(guarded.predict_proba(rows[0]), fitted(MMD(), rows).predict_proba(rows[0]))
    assert guarded.report_["adapted"]
    assert guarded.report_["reason"] is None
    assert isinstance(guarded.alignment_, MMD)
    np.testing.assert_allclose(guarded.report_["source_shares"], [0.5, 0.5])
    np.testing.assert_allclose(guarded.report_["shares_after"], [0.5, 0.5], atol=0.02)


def test_skewed_shares_are_refused_and_the_distance_is_that_of_the_data():
    rows = machines(target_share=0.1)
    with pytest.warns(DataQualityWarning, match="MMD.* is refused.*total variation 0.4"):
        guarded = fitted(Guarded(MMD()), rows)
    assert guarded.report_["total_variation"] == pytest.approx(0.4, abs=0.02)
    np.testing.assert_allclose(guarded.report_["shares_before"], [0.1, 0.9], atol=0.02)  # leak, normal
    assert not guarded.report_["adapted"]
    assert guarded.alignment_ is None
    assert "agreement" not in guarded.report_  # the second network was not fitted
    assert (guarded.predict(rows[0][300:]) == "leak").mean() == pytest.approx(0.1, abs=0.03)


def test_the_first_network_answers_after_a_refusal():
    """With labels of the target the fit without alignment is open to everyone, so that both can be compared."""
    X, y, domain, leak = machines(target_share=0.1)
    y[300:320], y[-20:] = "leak", "normal"
    rows = (X, y, domain, leak)
    with pytest.warns(DataQualityWarning, match="refused"):
        guarded = fitted(Guarded(MMD()), rows)
    np.testing.assert_array_equal(guarded.predict_proba(X), fitted(None, rows).predict_proba(X))


class Inverted(MMD):
    """Draws the head to call each target row what it is not."""

    def loss(self, source, target, outputs, *, network=None, progress=1.0):
        return outputs.log_softmax(-1).gather(-1, outputs.argmax(-1, keepdim=True)).mean()


def test_an_aligned_network_that_contradicts_the_sure_one_is_refused():
    rows = machines()
    with pytest.warns(DataQualityWarning, match="surest of.*to another class"):
        guarded = fitted(Guarded(Inverted(weight=20.0)), rows)
    assert guarded.report_["agreement"] < 0.95
    assert ((guarded.predict(rows[0][300:]) == "leak") == rows[3]).mean() > 0.95


def test_all_labelled_is_refused_and_says_why():
    X, y, domain, leak = machines()
    y[300:] = np.where(leak, "leak", "normal")
    with pytest.warns(DataQualityWarning, match="no row without a label"):
        assert not fitted(Guarded(), (X, y, domain, leak)).report_["adapted"]


def test_a_fit_without_guard_leaves_no_report():
    rows = machines()
    model = fitted(Guarded(), rows)
    assert hasattr(model, "report_")
    assert not hasattr(model.set_params(alignment=MCC()).fit(rows[0], rows[1], sample_domain=rows[2]), "report_")


@pytest.mark.parametrize(
    ("guard", "message"),
    [
        (Guarded(max_shift=1.5), "max_shift"),
        (Guarded(min_agreement=-1), "min_agreement"),
        (Guarded(Guarded()), "alignment"),
        (Guarded("mcc"), "alignment"),
        (Guarded(MCC(weight=-1)), "weight"),
    ],
)
def test_bad_parameters_are_named(guard, message):
    with pytest.raises(ValueError, match=message):
        fitted(guard, machines())


def test_a_regressor_has_no_shares():
    X, y, domain, _ = machines()
    y = np.where(domain > 0, X[:, 0], np.nan)
    with pytest.raises(ValueError, match="Pass the alignment without a guard"):
        DomainAdaptationRegressor(SMALL, alignment=Guarded(DeepCORAL())).fit(X, y, sample_domain=domain)


def test_a_search_reaches_the_guarded_alignment():
    guard = clone(Guarded(MMD())).set_params(alignment__weight=3.0)
    assert guard.weight == guard.guarded.weight == 3.0
