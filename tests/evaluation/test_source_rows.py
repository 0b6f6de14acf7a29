"""Source rows in a comparison: which rows a fit on both machines gets, and how each machine is scaled."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import BaselineScaler, DomainAdaptationClassifier, Pooled, TransferClassifier, compare
from sktransfer.exceptions import DataQualityWarning


class Spy(ClassifierMixin, BaseEstimator):
    """Takes rows of several machines and notes them; the first column is the number of a row."""

    fits: list = []

    def __init__(self, unlabelled_label=-1):
        self.unlabelled_label = unlabelled_label

    def fit(self, X, y, sample_domain=None):
        y = np.asarray(y, dtype=object)
        self.classes_ = np.unique([label for label in y if label not in (None, self.unlabelled_label)])
        Spy.fits.append([np.asarray(X)[:, 0].astype(int), y, np.asarray(sample_domain)])
        return self

    def predict(self, X):
        Spy.fits[-1].append(np.asarray(X)[:, 0].astype(int))
        return np.full(len(X), self.classes_[0])


# Most of the time of a comparison goes to the trees, of which these tests say nothing.
NO_TREES = dict.fromkeys(("random forest", "gradient boosting", "pooled extra trees"))


def machines(seed=0):
    rng = np.random.default_rng(seed)
    X, X_source = rng.normal(5.0, 2.0, size=(60, 3)), rng.normal(size=(80, 3))
    y, y_source = X[:, 1] > 5, X_source[:, 1] > 0
    X[:, 0], X_source[:, 0] = np.arange(60), 1000 + np.arange(80)
    return X, y, X_source, y_source, np.repeat([1, 2], 40)


@pytest.mark.parametrize("kind", ["text", "number"])
@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, lambda X: pl.DataFrame(X, schema=["a", "b", "c"])])
def test_a_fit_on_both_machines_gets_source_labelled_and_unlabelled_pool_rows_alone(kind, form):
    X, y, X_source, y_source, domain = machines()
    names = np.array(["ok", "leak"]) if kind == "text" else np.array([4, 7])
    Spy.fits.clear()
    compare(
        Spy(), form(X), names[y.astype(int)], X_source=form(X_source), y_source=names[y_source.astype(int)],
        source_domain=domain, n_labels=3, n_draws=4, baselines=NO_TREES | {"again": Spy()},
    )  # fmt: skip
    assert len(Spy.fits) == 8
    for rows, labels, domains, scored in Spy.fits:
        np.testing.assert_array_equal(rows[:80], X_source[:, 0])
        np.testing.assert_array_equal(domains, [*domain, *[-1] * 30])
        assert labels[:80].tolist() == names[y_source.astype(int)].tolist()
        target, known = rows[80:], labels[80:] != (None if kind == "text" else -1)
        assert known.tolist() == [True] * 6 + [False] * 24
        assert labels[80:86].tolist() == names[y[target[:6]].astype(int)].tolist()
        assert len(scored) == 30
        assert not set(target) & set(scored)


def scale(Z, Z_fit):
    spread = Z_fit.std(axis=0)
    return (Z - Z_fit.mean(axis=0)) / np.where(spread > 0, spread, 1)


def test_each_machine_is_scaled_by_itself_before_a_pooled_fit():
    X, y, X_source, y_source, _ = machines()
    X[:, 0], X_source[:, 0] = 0, 0
    model = make_pipeline(BaselineScaler(compress=False), Pooled(LogisticRegression()))
    options = {"n_labels": 4, "n_draws": 3, "cv": [(np.arange(30), np.arange(30, 60))]}
    found = compare(model, X, y, X_source=X_source, y_source=y_source, baselines=NO_TREES, **options)
    Spy.fits.clear()
    numbered = np.column_stack([np.arange(60), X[:, 1:]])
    compare(Spy(), numbered, y, X_source=X_source, y_source=y_source, baselines=NO_TREES | {"again": Spy()}, **options)
    by_hand = []
    for rows, *_ in Spy.fits[::2]:
        pool, labelled = rows[80:], rows[80:88]
        # the scaler sees every row of the fit, the pooled regression the labelled ones
        Z = np.vstack([scale(X_source, X_source), scale(X[labelled], X[pool])])
        weight = np.r_[np.full(80, 1 / 80), np.full(8, 1 / 8)] * 44
        pooled = LogisticRegression().fit(Z, np.r_[y_source, y[labelled]], weight)
        by_hand.append(balanced_accuracy_score(y[30:], pooled.predict(scale(X[30:], X[pool]))))
    assert found.frame.query("method == 'transfer'")["score"].tolist() == pytest.approx(by_hand, abs=1e-9)


def test_a_frozen_scaler_of_both_machines_scales_each_row_by_its_own():
    X, y, X_source, y_source, _ = machines()
    both = np.vstack([X_source, X])
    scaler = FrozenEstimator(BaselineScaler(compress=False).fit(both, sample_domain=np.repeat([1, -1], [80, 60])))
    model = make_pipeline(scaler, Pooled(LogisticRegression()))
    found = compare(model, X, y, X_source=X_source, y_source=y_source, n_labels=4, n_draws=5, baselines=NO_TREES)
    same = found.frame.query("method == 'pooled logistic regression'")["score"].tolist()
    assert found.frame.query("method == 'transfer'")["score"].tolist() == pytest.approx(same)
    assert np.mean(same) > 0.9
    alone = make_pipeline(FrozenEstimator(BaselineScaler(compress=False).fit(X)), LogisticRegression(max_iter=2000))
    by_itself = compare(alone, X, y, n_labels=4, n_draws=5)
    scores = [one.frame.query("method == 'logistic regression'")["score"].tolist() for one in (found, by_itself)]
    assert scores[0] == pytest.approx(scores[1])


def test_a_frozen_scaler_of_the_target_alone_is_warned_of():
    X, y, X_source, y_source, _ = machines()
    model = make_pipeline(FrozenEstimator(BaselineScaler().fit(X)), Pooled(LogisticRegression()))
    with pytest.warns(DataQualityWarning, match="the frozen BaselineScaler knows the baseline of one machine"):
        compare(model, X, y, X_source=X_source, y_source=y_source, n_labels=4, n_draws=2, baselines=NO_TREES)


def test_with_source_rows_pooled_baselines_and_the_network_from_scratch_stand_beside():
    X, y, X_source, y_source, _ = machines()
    model = make_pipeline(StandardScaler(), DomainAdaptationClassifier(max_epochs=1))
    found = compare(model, X, y, X_source=X_source, y_source=y_source, n_labels=2, n_draws=2)
    assert found.methods == [
        "transfer",
        "from scratch",
        "logistic regression",
        "random forest",
        "gradient boosting",
        "pooled logistic regression",
        "pooled extra trees",
    ]


def test_other_columns_and_target_numbers_in_the_source_are_said():
    X, y, X_source, y_source, domain = machines()
    with pytest.raises(ValueError, match=r"X_source of shape \(80, 2\) and X of shape \(60, 3\)"):
        compare(TransferClassifier(), X, y, X_source=X_source[:, :2], y_source=y_source)
    with pytest.raises(ValueError, match="source_domain below zero"):
        compare(TransferClassifier(), X, y, X_source=X_source, y_source=y_source, source_domain=-domain)
    with pytest.raises(ValueError, match="79 labels in y_source for 80 rows of X_source"):
        compare(TransferClassifier(), X, y, X_source=X_source, y_source=y_source[1:])
