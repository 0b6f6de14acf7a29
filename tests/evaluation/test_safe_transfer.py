"""SafeTransferClassifier and -Regressor: who is chosen and why, against losses computed by hand."""

import io
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, TimeSeriesSplit, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import (
    DomainAdaptationClassifier,
    FromScratch,
    Pooled,
    SafeTransferClassifier,
    SafeTransferRegressor,
    SourceClassifier,
    TransferClassifier,
    make_pipeline,
)
from sktransfer.evaluation.candidates import Candidate
from sktransfer.evaluation.held_out import (
    Labelled,
    as_good_as_best,
    fit_candidate,
    gain_of_source,
    held_out,
)
from tests.helpers import moons

PLAIN = {"linear": LogisticRegression(), "trees": ExtraTreesClassifier(10, random_state=0)}
VALUES = {"linear": Ridge(), "tree": DecisionTreeRegressor(max_depth=3, random_state=0)}


@parametrize_with_checks([SafeTransferClassifier(candidates=PLAIN), SafeTransferRegressor(candidates=VALUES)])
def test_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@cache
def backbone(permuted=False, rotated=False, seed=0):
    """A network of the source; of one whose labels are shuffled, or whose classes have each other's names."""
    X, y = moons(900, seed)
    y = np.random.default_rng(1).permutation(y) if permuted else y
    names = np.unique(y)
    y = names[(np.searchsorted(names, y) + 1) % len(names)] if rotated else y
    recipe = FromScratch(arguments={"hidden_layer_sizes": (32, 16)})
    return TransferClassifier(recipe, lr=0.01, random_state=0).fit(X, y).backbone_


def few(n, seed=7):
    X, y = moons(400, seed)
    rows = np.concatenate([np.flatnonzero(y == name)[:n] for name in np.unique(y)])
    return X[rows], y[rows], X[200:], y[200:]


def test_losses_are_brier_scores_of_rows_that_were_held_out():
    X, y = moons(60)
    y = np.where(y == "leak", "leak", "other")
    model = SafeTransferClassifier(candidates=PLAIN).fit(X, y)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for name, estimator in PLAIN.items():
        proba = cross_val_predict(estimator, X, y, cv=folds, method="predict_proba")
        by_class = [2 * brier_score_loss(y[y == c] == "other", proba[y == c, 1]) for c in np.unique(y)]
        report = model.report_.set_index("candidate")
        assert report.loc[name, "loss"] == pytest.approx(np.mean(by_class))


def test_the_rule_of_one_standard_error_by_hand():
    losses = np.array([[1.0, 0.0, 1.0, 0.0], [0.4, 0.6, 0.4, 0.6], [3.0, 3.1, 2.9, 3.0], [np.nan] * 4])
    mean, behind, error, good = as_good_as_best(losses, np.ones(4), None)
    np.testing.assert_allclose(mean[:3], [0.5, 0.5, 3.0])
    difference = losses[2] - losses[0]
    assert behind[2] == pytest.approx(difference.mean())
    assert error[2] == pytest.approx(difference.std(ddof=1) / 2)
    assert good.tolist() == [True, True, False, False]
    grouped = as_good_as_best(losses[:3], np.ones(4), np.array([0, 0, 1, 1]))
    assert grouped[2][2] == pytest.approx(np.std([2.55, 2.45], ddof=1) / np.sqrt(2))


@pytest.mark.slow
def test_a_right_network_answers_and_a_wrong_one_does_not():
    X, y, X_new, y_new = few(4)
    right = SafeTransferClassifier(backbone(), random_state=0).fit(X, y)
    assert {"source as it is", "probing", "fine-tuned"} & set(right.chosen_)
    votes = dict(zip(right.chosen_, right.votes_, strict=True))
    assert sum(votes.get(name, 0) for name in ("logistic regression", "gradient boosting")) < 0.1
    assert right.score(X_new, y_new) > 0.85
    wrong = SafeTransferClassifier(backbone(permuted=True), random_state=0).fit(X, y)
    assert not {"source as it is", "probing", "fine-tuned"} & set(wrong.chosen_)
    assert wrong.report_["why"].str.contains("not better by a standard error").sum() == 3


@pytest.mark.parametrize("rotated", [False, True])
def test_with_one_label_a_class_the_network_must_beat_chance(rotated):
    X, y, X_new, y_new = few(1, seed=3)
    model = SafeTransferClassifier(backbone(rotated=rotated), random_state=0).fit(X, y)
    network = {"source as it is", "probing", "fine-tuned"}
    if rotated:
        assert not network & set(model.chosen_)
        assert model.report_["why"].str.contains("no better than chance").any()
    else:
        assert set(model.chosen_) == network
        assert model.score(X_new, y_new) > 0.85


@pytest.mark.slow
def test_rows_of_the_source_are_used_and_a_network_of_them_is_made():
    X_source, y_source = moons(500)
    X, y, X_new, y_new = few(3)
    hidden = np.array([None] * 40, dtype=object)
    stacked = np.concatenate([X_source, X, X_new[:40]])
    labels = np.concatenate([y_source.astype(object), y.astype(object), hidden])
    domain = np.r_[np.ones(500, int), -np.ones(9 + 40, int)]
    model = SafeTransferClassifier(random_state=0).fit(stacked, labels, sample_domain=domain)
    names = model.report_["candidate"].tolist()
    assert names[:3] == ["source as it is", "probing", "fine-tuned"]
    assert {"pooled logistic regression", "pooled extra trees", "joint network"} <= set(names)
    assert model.score(X_new[40:], y_new[40:]) > 0.85


def test_votes_fall_by_the_loss_and_answers_are_their_mean():
    X, y, X_new, _ = few(5)
    average = SafeTransferClassifier(candidates=PLAIN).fit(X, y)
    loss = average.report_["loss"]
    votes = np.exp(-5 * (loss - loss.min()))
    np.testing.assert_allclose(average.votes_, votes / votes.sum())
    np.testing.assert_allclose(average.report_["vote"], votes / votes.sum())
    by_hand = sum(
        vote * fitted.predict_proba(X_new) for vote, fitted in zip(average.votes_, average.estimators_, strict=True)
    )
    np.testing.assert_allclose(average.predict_proba(X_new), by_hand)


def test_the_simplest_is_the_first_within_one_standard_error_of_the_best():
    X, y, _, _ = few(5)
    simplest = SafeTransferClassifier(candidates=PLAIN, rule="simplest").fit(X, y)
    report = simplest.report_
    first = report["candidate"][(report["behind"] <= report["standard_error"]).idxmax()]
    assert simplest.chosen_ == [first]
    assert simplest.votes_.tolist() == [1.0]


def test_the_source_is_held_against_the_rest_as_a_whole():
    losses = np.array([[0.5, 0.1, 0.3], [0.3, 0.3, 0.3], [0.6, 0.8, 0.4], [0.4, 0.6, 1.0]])
    source, votes, weight = np.array([True, True, False, False]), np.array([3.0, 1.0, 1.0, 1.0]), np.array([1.0, 1, 2])
    with_it = np.array([0.45, 0.15, 0.3])  # three votes to one
    without = np.array([0.5, 0.7, 0.7])
    gain, error = gain_of_source(losses, votes, source, weight, None)
    difference = without - with_it
    assert gain == pytest.approx(np.average(difference, weights=weight))
    share = weight / weight.sum()
    assert error == pytest.approx(np.sqrt(np.sum(share**2 * (difference - gain) ** 2) * 3 / 2))


@pytest.mark.parametrize(("noise", "let_in"), [(0.05, True), (0.5, False)])
def test_the_source_is_let_in_beyond_one_standard_error_alone(noise, let_in):
    """The same gain of 0.1 in the mean, sure and unsure."""
    codes = np.resize([0, 1], 20)
    gain = 0.1 + noise * np.resize([-1.0, -1.0, 1.0, 1.0], 20)  # of 20 rows: an error of about noise / 4.4
    candidates = [Candidate("network", None, "network"), Candidate("plain", None, "labels")]
    rows = np.arange(20)
    data = Labelled(np.zeros((20, 1)), codes, codes, np.array(["a", "b"]), rows, rows[:0], None, None)
    model = SafeTransferClassifier()
    votes, report = model._choose(candidates, data, np.stack([0.6 - gain, np.full(20, 0.6)]), np.zeros(2))
    assert (votes[0] > 0) == let_in
    assert report["why"].str.contains("not better by a standard error").tolist() == [not let_in, False]


def test_votes_of_a_regression_go_by_the_share_of_the_least_loss():
    X = np.linspace(0, 1, 40)[:, None]
    y = np.sin(6 * X[:, 0])
    model = SafeTransferRegressor(candidates=VALUES | {"far": DummyRegressor()}, cv=KFold(4, shuffle=True)).fit(X, y)
    report = model.report_.set_index("candidate")
    votes = np.exp(-5 * (report["loss"] / report["loss"].min() - 1))
    votes[votes < 0.1] = 0
    np.testing.assert_allclose(report["vote"], votes / votes.sum())
    assert report.loc["far", "why"] == "far behind the best"
    assert "far" not in model.chosen_


def test_a_cheaper_form_is_fitted_in_the_folds_alone():
    X, y, _, _ = few(4)
    classes, codes = np.unique(y, return_inverse=True)
    rows = np.arange(len(y))
    data = Labelled(X, y, codes, classes, rows, rows[:0], None, None)
    full, cheap = ExtraTreesClassifier(20, random_state=0), ExtraTreesClassifier(3, random_state=0)
    candidate = Candidate("trees", full, "labels", in_folds=cheap)
    train, test = rows[::2], rows[1::2]
    of_rows, _ = held_out(candidate, data, train, test)
    np.testing.assert_array_equal(of_rows, held_out(Candidate("few", cheap, "labels"), data, train, test)[0])
    assert len(fit_candidate(candidate, data, rows).estimators_) == 20


def test_estimators_of_this_package_are_candidates_like_any_other():
    X_source, y_source = moons(300)
    X, y, X_new, _ = few(4)
    small = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    candidates = {
        "source": SourceClassifier(backbone()),
        "network": TransferClassifier(small, max_epochs=3, random_state=0),
        "joint": make_pipeline(StandardScaler(), DomainAdaptationClassifier(small, max_epochs=3, random_state=0)),
        "pooled": Pooled(LogisticRegression()),
    }
    model = SafeTransferClassifier(candidates=candidates, random_state=0)
    model.fit(np.r_[X_source, X], np.r_[y_source, y], sample_domain=np.repeat([1, -1], [300, 12]))
    assert model.report_["n_rows"].tolist() == [12] * 4
    assert set(model.chosen_) <= set(candidates)
    assert model.predict(X_new).shape == (len(X_new),)
    alone = SafeTransferClassifier(candidates={"network": candidates["network"], **PLAIN}).fit(X, y)
    found = cross_val_predict(
        candidates["network"], X, y, cv=StratifiedKFold(4, shuffle=True, random_state=0), method="predict_proba"
    )
    loss = ((found - (np.unique(y) == y[:, None])) ** 2).sum(axis=1).mean()
    assert alone.report_.set_index("candidate").loc["network", "loss"] == pytest.approx(loss, rel=1e-4)


def test_groups_are_held_out_whole():
    seen = []

    class Spy(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            seen.append(set(X[:, 0]))
            return self

        def predict_proba(self, X):
            if len(X) < 30:
                assert not seen[-1] & set(X[:, 0])
            return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

        def predict(self, X):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]

    groups = np.repeat(np.arange(6), 5)
    X = np.c_[groups, np.random.default_rng(0).normal(size=30)].astype(float)
    SafeTransferClassifier(candidates={"spy": Spy(), "dummy": DummyClassifier()}).fit(
        X, np.resize(["a", "b"], 30), groups=groups
    )
    assert len(seen) >= 6


def test_a_regression_is_asked_forward_in_time_and_keeps_the_better():
    X = np.random.default_rng(0).normal(size=(80, 3))
    y = 3 * X[:, 0] + 10
    model = SafeTransferRegressor(candidates=VALUES).fit(X, y)
    losses = []
    for train, test in TimeSeriesSplit(5).split(X):
        found = DecisionTreeRegressor(max_depth=3, random_state=0).fit(X[train], y[train]).predict(X[test])
        losses += [*(found - y[test]) ** 2]
    report = model.report_.set_index("candidate")
    assert report.loc["tree", "loss"] == pytest.approx(np.mean(losses))
    assert report.loc["tree", "n_rows"] == len(losses)
    assert model.chosen_ == ["linear"]
    assert model.score(X, y) > 0.99


CALLS = []


class Counted(LogisticRegression):
    def fit(self, X, y):
        CALLS.append(1)
        return super().fit(X, y)


def test_losses_are_kept_by_a_memory(tmp_path):
    X, y, _, _ = few(5)
    CALLS.clear()
    candidates = {"one": Counted(), "two": LogisticRegression()}
    for _ in range(2):
        SafeTransferClassifier(candidates=candidates, memory=str(tmp_path)).fit(X, y)
    assert len(CALLS) == 5 + 1 + 1  # five folds once, and the final fit twice


def test_frames_files_and_searches():
    X, y, X_new, _ = few(8)
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = SafeTransferClassifier(candidates=PLAIN).fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcd")
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    new = pd.DataFrame(X_new, columns=list("abcd"))
    np.testing.assert_array_equal(joblib.load(file).predict_proba(new), model.predict_proba(new))
    search = GridSearchCV(SafeTransferClassifier(candidates=PLAIN), {"rule": ["average", "simplest"]}, cv=2)
    assert search.fit(X, y).best_params_["rule"] in ("average", "simplest")


def test_six_positives_of_three_hundred():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = np.r_[np.ones(6, int), np.zeros(294, int)]
    X[:6] += 4
    model = SafeTransferClassifier(candidates=PLAIN).fit(X, y)
    assert model.predict(X[:6]).mean() > 0.8
    assert model.report_["n_rows"].tolist() == [300, 300]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"groups": np.zeros(10)}, "all 10 labelled rows of the target are of one group"),
        ({"groups": np.zeros(9)}, "groups of shape"),
        ({"y": ["a"] * 10}, "at least two classes"),
        ({"y": ["a", "b"]}, "inconsistent numbers of samples"),
        ({"sample_domain": [1] * 10}, "no target rows"),
        ({"sample_domain": [1] * 5 + [-1] * 5, "y": list("ababa") + [None] * 5}, "no row of the target has a label"),
    ],
)
def test_what_cannot_be_chosen_by_is_an_error_with_the_way_out(change, words):
    X = np.random.default_rng(0).normal(size=(10, 2))
    given = {"y": list("ababababab")} | change
    with pytest.raises(ValueError, match=words):
        SafeTransferClassifier(candidates=PLAIN).fit(X, **given)


class Counting(LogisticRegression):
    """Counts its fits."""

    n_fits = 0

    def fit(self, X, y):
        type(self).n_fits += 1
        return super().fit(X, y)


def test_no_fit_is_made_whose_answers_would_not_count():
    """With one label a class a row held out takes its class along: only the fit to all labels is left."""
    X, y, _, _ = few(1)
    Counting.n_fits = 0
    model = SafeTransferClassifier(candidates={"a": Counting(), "b": LogisticRegression(C=0.1)}).fit(X, y)
    assert Counting.n_fits == 1
    assert model.report_["n_rows"].tolist() == [0, 0]
    Counting.n_fits = 0
    X, y, _, _ = few(2)
    model = SafeTransferClassifier(candidates={"a": Counting(), "b": LogisticRegression(C=0.1)}).fit(X, y)
    assert Counting.n_fits == 2 + ("a" in model.chosen_)
