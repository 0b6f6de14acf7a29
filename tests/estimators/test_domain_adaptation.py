"""DomainAdaptationClassifier and -Regressor: joint fits against pooled ones, laws, and what cannot be."""

import io
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import (
    Augmentation,
    DeepCORAL,
    DomainAdaptationClassifier,
    DomainAdaptationRegressor,
    FromScratch,
    LinearProbing,
    TransferClassifier,
)
from sktransfer.exceptions import DataQualityWarning
from tests.helpers import moons, small_backbone, width_free_backbone

SMALL = FromScratch(arguments={"hidden_layer_sizes": (32, 16)})
QUICK = {"backbone": SMALL, "max_epochs": 4, "random_state": 0}


@pytest.mark.filterwarnings("ignore:.*got no sample_domain")
@parametrize_with_checks(
    [
        DomainAdaptationClassifier(max_epochs=60),
        DomainAdaptationClassifier(width_free_backbone(), max_epochs=20),
        DomainAdaptationRegressor(max_epochs=60),
    ]
)
def test_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)


def machines(n_source=300, n_target=200, n_labels=12, seed=0):
    """Two sources and a target that is moved and stretched; few of its rows have a label."""
    X, y = moons(n_source + n_target, seed)
    domain = np.r_[np.resize([1, 2], n_source), -np.ones(n_target, dtype=int)]
    X[domain == -1] = X[domain == -1] * 1.3 + 0.3
    masked = y.astype(object)
    masked[n_source + n_labels :] = None
    return X, masked, domain, y


def test_the_target_is_learned_from_the_sources_and_a_few_labels():
    X, masked, domain, y = machines(600, 300)
    model = DomainAdaptationClassifier(SMALL, alignment=None, lr=0.01, random_state=0)
    with pytest.warns(DataQualityWarning, match="288 target rows without a label are not used"):
        model.fit(X, masked, sample_domain=domain)
    scored = slice(612, None)
    alone = TransferClassifier(SMALL, lr=0.01, random_state=0).fit(X[600:612], y[600:612])
    assert model.score(X[scored], y[scored]) > 0.85
    assert model.score(X[scored], y[scored]) > alone.score(X[scored], y[scored]) + 0.2


def test_the_fit_says_what_it_did():
    X, masked, domain, _ = machines()
    model = DomainAdaptationClassifier(**QUICK).fit(X, masked, sample_domain=domain)
    assert isinstance(model.alignment_, DeepCORAL)
    assert model.n_unlabelled_ == 188
    assert model.domains_ == {1: 1, 2: 2, -1: -1}
    assert all(record["alignment_loss"] > 0 for record in model.history_)
    assert model.classes_.tolist() == ["leak", "normal", "wear"]


def test_a_weight_of_zero_aligns_nothing():
    X, masked, domain, _ = machines()
    features = []
    for weight in (0.0, 30.0):
        model = DomainAdaptationClassifier(alignment=DeepCORAL(weight=weight), **QUICK | {"max_epochs": 60})
        features.append(model.fit(X, masked, sample_domain=domain).history_[-1]["alignment_loss"])
    assert features[1] < 0.7 * features[0]


def test_order_of_rows_has_no_effect_and_names_of_machines_neither():
    X, masked, domain, _ = machines()
    plain = DomainAdaptationClassifier(**QUICK).fit(X, masked, sample_domain=domain).predict_proba(X)
    order = np.random.default_rng(1).permutation(len(X))
    turned = DomainAdaptationClassifier(**QUICK).fit(X[order], masked[order], sample_domain=domain[order])
    np.testing.assert_array_equal(turned.predict_proba(X), plain)
    named = DomainAdaptationClassifier(target_domain="C", **QUICK)
    named.fit(X, masked, sample_domain=np.where(domain == 1, "A", np.where(domain == 2, "B", "C")))
    np.testing.assert_array_equal(named.predict_proba(X), plain)
    assert named.domains_ == {1: "A", 2: "B", -1: "C"}


def test_a_weight_of_two_is_the_row_twice():
    X, masked, domain, _ = machines(60, 40)
    twice = np.r_[np.arange(100), np.arange(5)]
    copied = DomainAdaptationClassifier(**QUICK).fit(X[twice], masked[twice], sample_domain=domain[twice])
    weight = np.r_[np.full(5, 2), np.ones(95)]
    weighted = DomainAdaptationClassifier(**QUICK).fit(X, masked, sample_domain=domain, sample_weight=weight)
    np.testing.assert_allclose(copied.predict_proba(X), weighted.predict_proba(X), rtol=1e-4)


def test_a_pretrained_network_is_the_beginning_and_stays_as_it_is():
    X, masked, domain, y = machines()
    backbone = small_backbone()
    before = [{k: v.copy() for k, v in weights.items()} for weights in backbone.weights]
    model = DomainAdaptationClassifier(backbone, random_state=0).fit(X, masked, sample_domain=domain)
    assert model.score(X[312:], y[312:]) > 0.8
    for old, weights in zip(before, backbone.weights, strict=True):
        for name, values in old.items():
            np.testing.assert_array_equal(values, weights[name])


def test_a_probe_of_all_machines_needs_no_epoch():
    X, masked, domain, y = machines()
    labelled = np.array([value is not None for value in masked])
    model = DomainAdaptationClassifier(small_backbone(), alignment=None, strategy=LinearProbing(alpha=0.5))
    model.fit(X[labelled], masked[labelled], sample_domain=domain[labelled])
    weight = np.where(domain == -1, 0.5 / 12, 0.25 / 150)[labelled]
    pooled = TransferClassifier(small_backbone(), strategy=LinearProbing(alpha=0.5))
    pooled.fit(X[labelled], y[labelled], sample_weight=weight)
    assert accuracy_score(pooled.predict(X), model.predict(X)) > 0.98


def test_domains_go_through_a_search_without_routing():
    X, masked, domain, _ = machines(120, 60, n_labels=30)
    labelled = np.array([value is not None for value in masked])
    search = GridSearchCV(
        DomainAdaptationClassifier(**QUICK | {"alignment": None}), {"target_weight": [0.3, 0.7]}, cv=2
    )
    search.fit(X[labelled], masked[labelled].astype(str), sample_domain=domain[labelled])
    assert search.best_params_["target_weight"] in (0.3, 0.7)


def test_regression_learns_the_offset_of_the_target():
    rng = np.random.default_rng(0)
    X, domain = rng.normal(size=(400, 3)), np.repeat([1, -1], 200)
    y = X[:, 0] * 5 + np.where(domain < 0, X[:, 1] * 5, 0.0) + 100
    masked = y.copy()
    masked[240:] = np.nan
    model = DomainAdaptationRegressor(SMALL, lr=0.01, target_weight=0.8, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        model.fit(X, masked, sample_domain=domain)
    assert model.score(X[240:], y[240:]) > 0.7
    assert model.n_unlabelled_ == 160


def test_frames_windows_and_files():
    X, masked, domain, _ = machines()
    frame = pd.DataFrame(X, columns=["flow", "level", "speed", "heat"])
    model = DomainAdaptationClassifier(**QUICK).fit(frame, pd.Series(masked), sample_domain=pd.Series(domain))
    assert model.feature_names_in_.tolist() == list(frame.columns)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).predict_proba(frame), model.predict_proba(frame))
    windows = np.random.default_rng(0).normal(size=(60, 2, 32)).astype(np.float32)
    labels = np.resize(["a", "b"], 60)
    cut = DomainAdaptationClassifier(max_epochs=2, alignment=None).fit(
        windows, labels, sample_domain=np.repeat([1, -1], 30)
    )
    assert cut.predict(windows).shape == (60,)


@pytest.mark.parametrize(
    ("change", "params", "words"),
    [
        ({"sample_domain": np.ones(100, dtype=int)}, {}, "no target rows"),
        ({"sample_domain": -np.ones(100, dtype=int)}, {}, "no source rows"),
        ({"sample_domain": np.zeros(100, dtype=int)}, {}, "other than zero"),
        ({"sample_domain": np.resize([1.5, -1], 100)}, {}, "whole numbers"),
        ({"sample_domain": np.ones(99, dtype=int)}, {}, "has shape"),
        ({"y": np.array([None] * 100)}, {}, "source rows carry unlabelled_label"),
        ({"y": np.r_[np.resize([0, 1], 60), -np.ones(40, int)]}, {"alignment": None}, "target has no label"),
        ({"y": np.r_[np.resize([0, -1], 60), -np.ones(40, int)]}, {}, "If it is a class, pass another"),
        ({"y": np.zeros(99, dtype=int)}, {}, "inconsistent numbers of samples"),
        ({}, {"target_weight": 1.0}, "'target_weight' parameter"),
        ({}, {"strategy": Augmentation(jitter=0.1)}, "augments batches"),
        (
            {},
            {"backbone": small_backbone(max_epochs=1), "strategy": LinearProbing(), "alignment": DeepCORAL()},
            "keeps all blocks frozen",
        ),
    ],
)
def test_what_cannot_be_names_the_argument_and_the_way_out(change, params, words):
    X, masked, domain, _ = machines(60, 40)
    given = {"y": masked, "sample_domain": domain} | change
    with pytest.raises(ValueError, match=words):
        DomainAdaptationClassifier(**QUICK | params).fit(X, given["y"], sample_domain=given["sample_domain"])


def test_without_domains_it_is_the_fit_of_one_machine_and_says_so():
    X, y = moons(80)
    with pytest.warns(DataQualityWarning, match="got no sample_domain"):
        model = DomainAdaptationClassifier(**QUICK).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), TransferClassifier(**QUICK).fit(X, y).predict_proba(X))


@pytest.mark.parametrize("n_unlabelled", [1, 2, 40])
def test_few_rows_of_the_target_are_defined(n_unlabelled):
    X, masked, domain, _ = machines(60, 40, n_labels=3)
    kept = np.r_[np.arange(63), 63 + np.arange(min(n_unlabelled, 37))]
    model = DomainAdaptationClassifier(alignment=DeepCORAL(), **QUICK)
    model.fit(X[kept], masked[kept], sample_domain=domain[kept])
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_class_of_one_machine_alone_is_a_class():
    X, masked, domain, _ = machines(60, 40)
    masked[60:63] = "new"
    model = DomainAdaptationClassifier(**QUICK).fit(X, masked, sample_domain=domain)
    assert "new" in model.classes_
