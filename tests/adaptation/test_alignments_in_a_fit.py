"""Each alignment inside a fit of source and target rows: it acts, it is reported, and a wrong one is refused."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from sktransfer import (
    DANN,
    MCC,
    MMD,
    DeepCORAL,
    DomainAdaptationClassifier,
    DomainAdaptationRegressor,
    FeatureExtractor,
    FromScratch,
)

NETWORK = FromScratch(arguments={"hidden_layer_sizes": (16, 8), "dropout": 0.0})
EACH = pytest.mark.parametrize("alignment", [DeepCORAL(1.0), MMD(), MCC(), DANN()], ids=lambda a: type(a).__name__)


def machines(n=150, seed=0, step=2.0):
    """Two machines whose labels depend on column 1 and whose offset is in column 0; the target has no label."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * n, 4))
    y = (X[:, 1] > 0).astype(int)
    X[n:, 0] += step
    shown = np.r_[y[:n], np.full(n, -1)]
    return X, y, shown, np.repeat([1, -1], n)


def fitted(alignment, epochs=30, **parameters):
    X, y, shown, domain = machines(**parameters)
    model = DomainAdaptationClassifier(NETWORK, alignment=alignment, max_epochs=epochs, lr=0.01, random_state=0)
    return model.fit(X, shown, sample_domain=domain), X, y, domain


@EACH
def test_the_history_holds_the_loss_of_each_epoch_and_weight_zero_changes_nothing(alignment):
    model, X, _, _ = fitted(alignment, epochs=3)
    losses = [record["alignment_loss"] for record in model.history_]
    assert len(losses) == 3
    assert np.isfinite(losses).all()
    assert min(losses) > 0
    without = fitted(type(alignment)(weight=0.0), epochs=3)[0].predict_proba(X)
    assert np.abs(model.predict_proba(X) - without).max() > 1e-4
    another = fitted(MMD(weight=0.0), epochs=3)[0].predict_proba(X)
    np.testing.assert_allclose(without, another, atol=1e-6)


@EACH
def test_one_row_of_the_target_is_defined(alignment):
    X, _, shown, domain = machines()
    keep = np.r_[np.arange(150), 150]
    model = DomainAdaptationClassifier(NETWORK, alignment=alignment, max_epochs=2, random_state=0)
    model.fit(X[keep], shown[keep], sample_domain=domain[keep])
    assert [record["alignment_loss"] for record in model.history_] == [0.0, 0.0]
    assert np.isfinite(model.predict_proba(X)).all()


@EACH
def test_a_weight_that_is_no_weight_is_an_error_of_the_fit(alignment):
    with pytest.raises(ValueError, match="'weight' parameter"):
        fitted(type(alignment)(weight=-1.0))


def test_class_confusion_in_a_regression_is_refused():
    X, y, _, domain = machines()
    values = np.where(domain > 0, y + X[:, 2], np.nan)
    with pytest.raises(ValueError, match=r"DomainAdaptationRegressor got alignment=MCC.*a regressor has none"):
        DomainAdaptationRegressor(NETWORK, alignment=MCC()).fit(X, values, sample_domain=domain)


def test_after_dann_a_classifier_trained_apart_finds_the_domains_less_well():
    found = {}
    for weight in (0.0, 1.0):
        model, X, y, domain = fitted(DANN(weight=weight), epochs=60)
        features = FeatureExtractor(model.backbone_).fit_transform(X)
        found[weight] = cross_val_score(LogisticRegression(max_iter=2000), features, domain, cv=5).mean()
        assert (model.predict(X) == y)[domain > 0].mean() > 0.9
    assert found[1.0] < found[0.0] - 0.1


def test_the_fit_trains_the_domain_classifier_along(monkeypatch):
    networks = []
    make = DANN.network

    def noted(self, *arguments):
        network = make(self, *arguments)
        networks.append((network, [parameter.detach().clone() for parameter in network.parameters()]))
        return network

    monkeypatch.setattr(DANN, "network", noted)
    fitted(DANN(), epochs=2)
    ((network, before),) = networks
    moved = [float((now.detach() - then).abs().max()) for now, then in zip(network.parameters(), before, strict=True)]
    assert min(moved) > 1e-3
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
