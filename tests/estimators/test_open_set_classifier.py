"""OpenSetClassifier: coverage by counting, scores by hand, bad input."""

import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import (
    DataQualityWarning,
    FeatureExtractor,
    LinearProbing,
    OpenSetClassifier,
    TransferClassifier,
    load,
    save,
)
from tests.helpers import moons, small_backbone

CENTRES = np.array([[3.0, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0], [-3, -3, 3, 3]])
NAMES = np.array(["leak", "normal", "wear", "never seen"])
EACH = pytest.mark.parametrize("criterion", ["energy+distance", "energy", "distance", "neighbors", "probability"])


def rows(n, kinds=3, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(kinds, size=n)
    return CENTRES[codes] + rng.normal(size=(n, 4)), NAMES[codes]


@EACH
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_known_rows_get_a_class_as_often_as_asked(criterion, coverage):
    found = []
    for seed in range(10):
        X, y = rows(400, seed=seed)
        model = OpenSetClassifier(LogisticRegression(), coverage=coverage, criterion=criterion).fit(X, y)
        found.append(np.mean(model.predict(rows(1000, seed=100 + seed)[0]) != "unknown"))
    # the fit to all rows is a little better than those that the limits were set by
    assert coverage - 0.02 < np.mean(found) < coverage + 0.06


@pytest.mark.parametrize("criterion", ["neighbors", "distance"])
def test_a_fault_that_nobody_has_seen_is_found(criterion):
    X, y = rows(400)
    model = OpenSetClassifier(LogisticRegression(), criterion=criterion).fit(X, y)
    new, names = rows(2000, kinds=4, seed=1)
    unknown = names == "never seen"
    assert roc_auc_score(unknown, model.unlikeness(new)) > 0.95
    predicted = model.predict(new)
    assert np.mean(predicted[unknown] == "unknown") > 0.8
    known = ~unknown & (predicted != "unknown")
    assert np.mean(predicted[known] == names[known]) > 0.95
    assert model.classes_.tolist() == ["leak", "normal", "wear"]
    assert model.predict_proba(new).shape == (2000, 3)


def test_scores_are_those_by_hand():
    X, y = rows(100)
    new = rows(20, seed=3)[0]
    plain = LogisticRegression().fit(X, y)
    Z, Z_new = ((part - X.mean(axis=0)) / X.std(axis=0) for part in (X, new))
    probability = OpenSetClassifier(LogisticRegression(), criterion="probability").fit(X, y).unlikeness(new)
    np.testing.assert_allclose(probability, 1 - plain.predict_proba(new).max(axis=1))
    predicted = plain.predict(new)
    means = {name: Z[y == name].mean(axis=0) for name in np.unique(y)}
    within = LedoitWolf(assume_centered=False).fit(Z - np.stack([means[name] for name in y]))
    distance = OpenSetClassifier(LogisticRegression(), criterion="distance").fit(X, y).unlikeness(new)
    centred = Z_new - np.stack([means[name] for name in predicted])
    np.testing.assert_allclose(distance, np.einsum("ni,ij,nj->n", centred, within.precision_, centred), rtol=1e-6)
    far = np.linalg.norm(Z_new[:, None] - Z[None], axis=2)
    neighbors = OpenSetClassifier(LogisticRegression()).fit(X, y).unlikeness(new)
    np.testing.assert_allclose(neighbors, np.sort(far, axis=1)[:, :3].mean(axis=1))


def test_energy_is_minus_the_logarithm_of_the_summed_exponentials_of_logits():
    X, y = rows(100)
    new = 3 * rows(20, seed=3)[0]
    plain = LogisticRegression().fit(X, y)
    energy = OpenSetClassifier(make_pipeline(StandardScaler(), LogisticRegression()), criterion="energy").fit(X, y)
    scaler = StandardScaler().fit(X)
    logits = LogisticRegression().fit(scaler.transform(X), y).decision_function(scaler.transform(new))
    np.testing.assert_allclose(energy.unlikeness(new), -np.log(np.exp(logits).sum(axis=1)), rtol=1e-6)
    two = y != "wear"
    energy = OpenSetClassifier(plain, criterion="energy").fit(X[two], y[two])
    half = LogisticRegression().fit(X[two], y[two]).decision_function(new) / 2
    np.testing.assert_allclose(energy.unlikeness(new), -np.log(2 * np.cosh(half)), rtol=1e-6)


def test_energy_of_a_network_is_that_of_its_head():
    X, y = moons(300)
    classifier = TransferClassifier(small_backbone(0, max_epochs=8), strategy=LinearProbing(), random_state=0)
    model = OpenSetClassifier(make_pipeline(StandardScaler(), classifier), criterion="energy", cv=2).fit(X, y)
    pipe = make_pipeline(StandardScaler(), classifier).fit(X, y)
    new = pipe[0].transform(X[:9]).astype(np.float32)
    with torch.no_grad():
        logits = pipe[-1].module_(torch.from_numpy(new)).numpy().astype(np.float64)
    np.testing.assert_allclose(model.unlikeness(X[:9]), -np.log(np.exp(logits).sum(axis=1)), rtol=1e-4, atol=1e-5)
    assert model.unlikeness(X).std() > 0.1


def test_energy_without_logits_is_an_error_that_says_what_to_do():
    X, y = rows(100)
    with pytest.raises(ValueError, match=r"KNeighborsClassifier has no decision_function.*is 1 for every row"):
        OpenSetClassifier(make_pipeline(KNeighborsClassifier()), criterion="energy").fit(X, y)
    with pytest.raises(ValueError, match=r"of OneVsRestClassifier gives other numbers: their softmax is not"):
        OpenSetClassifier(OneVsRestClassifier(LogisticRegression()), criterion="energy").fit(X, y)


def test_a_network_is_asked_for_its_features():
    X, y = moons(300)
    classifier = TransferClassifier(small_backbone(0, max_epochs=8), strategy=LinearProbing(), random_state=0)
    model = OpenSetClassifier(make_pipeline(StandardScaler(), classifier), cv=2).fit(X, y)
    pipe = make_pipeline(StandardScaler(), classifier).fit(X, y)
    extractor = FeatureExtractor(pipe[-1].backbone_).fit(pipe[0].transform(X))
    F, F_new = (extractor.transform(pipe[0].transform(part)).astype(np.float64) for part in (X, X[:9] + 1))
    cosines = (F_new / np.linalg.norm(F_new, axis=1, keepdims=True)) @ (F / np.linalg.norm(F, axis=1, keepdims=True)).T
    np.testing.assert_allclose(
        model.unlikeness(X[:9] + 1), 1 - np.sort(cosines, axis=1)[:, -3:].mean(axis=1), rtol=1e-3, atol=1e-6
    )


def network_features(pipe, X):
    """Outputs of all blocks, each row of length one in each."""
    parts = []
    for block in pipe[-1].backbone_.blocks:
        F = (
            FeatureExtractor(pipe[-1].backbone_, block=block)
            .fit(pipe[0].transform(X[:5]))
            .transform(pipe[0].transform(X))
        )
        parts.append(F.astype(np.float64) / np.linalg.norm(F.astype(np.float64), axis=1, keepdims=True))
    return np.hstack(parts)


def test_energy_and_distance_are_summed_in_deviations_of_held_out_rows():
    X, y = moons(120)
    classifier = TransferClassifier(small_backbone(0, max_epochs=8), strategy=LinearProbing(), random_state=0)
    pipe = make_pipeline(StandardScaler(), classifier)
    new = X[:9] + 1

    def parts(train, asked):
        fitted = clone(pipe).fit(X[train], y[train])
        assert len(fitted[-1].backbone_.blocks) > 1
        F, F_new = network_features(fitted, X[train]), network_features(fitted, asked)
        scale = np.where(F.std(axis=0) > 1e-6 * F.mean(axis=0), F.std(axis=0), 1)
        means = {name: F[y[train] == name].mean(axis=0) for name in np.unique(y)}
        within = LedoitWolf(assume_centered=True).fit((F - np.stack([means[name] for name in y[train]])) / scale)
        centred = (F_new - np.stack([means[name] for name in fitted.predict(asked)])) / scale
        distance = np.einsum("ni,ij,nj->n", centred, within.precision_, centred)
        logits = fitted[-1].module_(torch.from_numpy(fitted[0].transform(asked).astype(np.float32)))
        return np.stack([-np.log(np.exp(logits.detach().double().numpy()).sum(axis=1)), np.log(distance)], axis=1)

    held_out = np.empty((120, 2))
    for train, test in StratifiedKFold(2, shuffle=True, random_state=0).split(X, y):
        held_out[test] = parts(train, X[test])
    expected = ((parts(np.arange(120), new) - held_out.mean(axis=0)) / held_out.std(axis=0)).sum(axis=1)
    model = OpenSetClassifier(pipe, criterion="energy+distance", cv=2).fit(X, y)
    np.testing.assert_allclose(model.unlikeness(new), expected, rtol=1e-2, atol=1e-2)


def test_limits_are_set_by_rows_that_were_held_out():
    """A classifier that is never unsure of what it was fitted to must not call every new row unknown."""
    X, y = rows(300)
    sure = LogisticRegression(C=1e6, max_iter=5000)
    model = OpenSetClassifier(sure, criterion="probability", coverage=0.9).fit(X, y)
    assert np.mean(model.predict(rows(1000, seed=1)[0]) == "unknown") < 0.16


def test_a_file_answers_as_before(tmp_path):
    X, y = rows(200)
    model = OpenSetClassifier(LogisticRegression()).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    new = rows(50, kinds=4, seed=1)[0]
    np.testing.assert_array_equal(joblib.load(tmp_path / "model.joblib").predict(new), model.predict(new))


def test_numbers_have_minus_one_and_a_clash_is_an_error():
    X, y = rows(200)
    codes = np.searchsorted(np.unique(y), y)
    model = OpenSetClassifier(LogisticRegression()).fit(X, codes)
    assert model.unknown_label_ == -1
    assert model.predict(100 * CENTRES[3:]).tolist() == [-1]
    with pytest.raises(ValueError, match="-1 is a class of y"):
        OpenSetClassifier(LogisticRegression()).fit(X, codes - 1)
    with pytest.raises(ValueError, match="'leak' is a class of y"):
        OpenSetClassifier(LogisticRegression(), unknown_label="leak").fit(X, y)


def test_few_rows_are_said_and_single_ones_refused():
    X, y = rows(30)
    with pytest.warns(DataQualityWarning, match="a coverage of 0.99 needs at least 99 labelled rows, and there are 30"):
        OpenSetClassifier(LogisticRegression(), coverage=0.99).fit(X, y)
    single = np.r_[np.flatnonzero(y != "wear"), np.flatnonzero(y == "wear")[:1]]
    with pytest.raises(ValueError, match="at least 2 rows of each class"):
        OpenSetClassifier(LogisticRegression()).fit(X[single], y[single])
    with pytest.raises(ValueError, match="at least 2 groups of each class"):
        OpenSetClassifier(LogisticRegression()).fit(X, y, groups=y)
    with pytest.raises(ValueError, match="at least two classes"):
        OpenSetClassifier(LogisticRegression()).fit(X, np.full(30, "leak"))
    with pytest.raises(ValueError, match="criterion"):
        OpenSetClassifier(LogisticRegression(), criterion="entropy").fit(X, y)


def test_groups_are_held_out_whole():
    X, y = rows(200)
    seen = []

    class Spy(LogisticRegression):
        def fit(self, X, y):
            seen.append(X[:, 0].copy())
            return super().fit(X, y)

    groups = np.arange(200) % 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        OpenSetClassifier(Spy()).fit(X, y, groups=groups)
    for values in seen[:-1]:
        inside = np.isin(X[:, 0], values)
        for group in range(10):
            assert inside[groups == group].all() or not inside[groups == group].any()


@EACH
@pytest.mark.parametrize("network", [False, True])
def test_a_model_file_holds_it_without_being_told_to_trust_more(criterion, network, tmp_path):
    X, y = (*moons(60),) if network else rows(400)
    inner = TransferClassifier(small_backbone(max_epochs=2), strategy=LinearProbing(), random_state=0)
    model = OpenSetClassifier(inner if network else LogisticRegression(), coverage=0.8, criterion=criterion).fit(X, y)
    loaded = load(save(model, tmp_path / "model.skops"))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
