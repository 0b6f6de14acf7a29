"""compare: paired draws, no scored row in a fit, restart, bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktransfer import FromScratch, LinearProbing, SourceClassifier, TransferClassifier, Windows, compare
from sktransfer.evaluation.baselines import make_methods
from sktransfer.evaluation.fits import Rows
from sktransfer.evaluation.last_step import last_step
from sktransfer.exceptions import DataQualityWarning
from sktransfer.windows.window_statistics import window_statistics

FEW = {"random forest": None, "gradient boosting": None}
NONE = {**FEW, "logistic regression": None}
OTHER = {**NONE, "other": DummyClassifier()}


class Spy(ClassifierMixin, BaseEstimator):
    """Notes the rows of its fits and predictions, which carry their number in the first column."""

    seen: list = []

    def __init__(self, name="spy"):
        self.name = name

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.rows_ = np.asarray(X)[:, 0].astype(int)
        return self

    def predict(self, X):
        Spy.seen.append((self.name, self.rows_, np.asarray(X)[:, 0].astype(int)))
        return np.full(len(X), self.classes_[0])


class Stop(KeyboardInterrupt):
    pass


class Interrupted(Spy):
    left = 0

    def fit(self, X, y):
        if Interrupted.left == 0:
            raise Stop
        Interrupted.left -= 1
        return super().fit(X, y)


def numbered(n=60, n_classes=3, n_groups=12):
    rng = np.random.default_rng(0)
    X = np.column_stack([np.arange(n), rng.normal(size=(n, 2))])
    groups = np.arange(n) % n_groups
    return X, np.array([f"class {k}" for k in groups % n_classes]), groups


def test_all_methods_of_a_draw_get_the_same_rows_and_never_a_scored_one():
    X, y, groups = numbered()
    Spy.seen.clear()
    results = compare(Spy(), X, y, groups=groups, n_labels=(1, 3), n_draws=4, baselines={"other": Spy("other")})
    own = [entry for entry in Spy.seen if entry[0] == "spy"]
    other = [entry for entry in Spy.seen if entry[0] == "other"]
    assert len(own) == len(other) == 8
    for (_, rows, scored), (_, rows_2, scored_2) in zip(own, other, strict=True):
        np.testing.assert_array_equal(rows, rows_2)
        np.testing.assert_array_equal(scored, scored_2)
        assert not set(groups[rows]) & set(groups[scored])
    for k, n in enumerate([1, 3] * 4):
        assert pd.Series(y[own[k][1]]).value_counts().tolist() == [n] * 3
    for few, many in zip(own[::2], own[1::2], strict=True):
        assert set(few[1]) <= set(many[1])
    assert results.frame.shape == (2 * 4 * 5, 5)


def test_scores_are_those_of_a_loop_by_hand():
    X = numbered()[0]
    y = np.where(X[:, 1] > 0, "a", "b")
    Spy.seen.clear()
    model = LogisticRegression()
    results = compare(
        make_pipeline(StandardScaler(), model), X, y, n_labels=3, n_draws=3, baselines={"spy": Spy(), **FEW}
    )
    scores = results.frame.query("method == 'LogisticRegression'")["score"].tolist()
    for score, (_, rows, scored) in zip(scores, Spy.seen, strict=True):
        fitted = make_pipeline(StandardScaler(), model).fit(X[rows], y[rows])
        assert score == pytest.approx(balanced_accuracy_score(y[scored], fitted.predict(X[scored])))
    # the default baselines are behind the same scaler, so one of them is the estimator itself
    same = results.frame.query("method == 'logistic regression'")["score"].tolist()
    assert same == pytest.approx(scores)


def test_a_restart_makes_only_the_fits_that_are_missing(tmp_path):
    X, y, groups = numbered()
    options = {"groups": groups, "n_labels": (1, 2), "n_draws": 5, "memory": str(tmp_path)}

    baselines = OTHER
    Interrupted.left = 7
    with pytest.raises(Stop):
        compare(Interrupted(), X, y, baselines=baselines, **options)
    Interrupted.left, Spy.seen = 100, []
    results = compare(Interrupted(), X, y, baselines=baselines, **options)
    assert 100 - Interrupted.left == 10 - 7
    without = compare(Spy(), X, y, baselines=baselines, **{**options, "memory": None})
    assert results.frame["score"].tolist() == without.frame["score"].tolist()


def test_wrong_lengths_one_group_and_one_class_are_one_sentence_each():
    X, y, groups = numbered()
    with pytest.raises(ValueError, match=r"groups of shape \(59,\); expected \(60,\)"):
        compare(Spy(), X, y, groups=groups[1:])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare(Spy(), X, y[1:])
    with pytest.raises(ValueError, match="all rows are of one group"):
        compare(Spy(), X, y, groups=np.zeros(60), cv=[(np.arange(30), np.arange(30, 60))])
    with pytest.raises(ValueError, match="needs rows of at least two classes; y holds"):
        compare(Spy(), X, np.full(60, "a"))
    with pytest.raises(ValueError, match="X_source without y_source"):
        compare(Spy(), X, y, X_source=X)
    with pytest.raises(ValueError, match="nothing to compare 'Spy' with"):
        compare(Spy(), X, y, baselines=None)
    with pytest.raises(ValueError, match="'estimator' parameter of compare must be a classifier or a regressor"):
        compare("forest", X, y)
    with pytest.raises(ValueError, match=r"the classes \['leak'\] lie in one group each"):
        compare(Spy(), X, np.where(groups == 3, "leak", "ok"), groups=groups)
    with pytest.raises(ValueError, match="label_by='group'\\) needs groups"):
        compare(Spy(), X, y, label_by="group")
    with pytest.raises(ValueError, match=r"cv gives a split with 60 rows on both sides \(first: \[0, 1, 2, 3, 4\]\)"):
        compare(Spy(), X, y, cv=[(np.arange(60), np.arange(60))])
    with pytest.raises(ValueError, match="'n_labels' parameter of compare must hold whole numbers of at least 1"):
        compare(Spy(), X, y, n_labels=(0, 1))


def test_a_class_with_few_rows_is_drawn_whole_and_said_once():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 2)), np.where(np.arange(300) < 6, "leak", "normal")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        results = compare(DummyClassifier(), X, y, n_labels=(2, 5), n_draws=5, baselines=OTHER)
    assert [str(one.message).split(";")[0] for one in said] == [
        "compare: there are fewer than 5 rows to draw from in the classes ['leak']"
    ]
    assert results.frame["score"].tolist() == [0.5] * 20


def test_memory_asks_for_estimators_that_can_be_pickled(tmp_path):
    class Local(Spy):
        pass

    X, y, _ = numbered()
    with pytest.raises(ValueError, match="'Local' cannot be pickled"):
        compare(Local(), X, y, n_labels=1, memory=str(tmp_path))


def test_groups_on_both_sides_are_warned_of_and_whole_groups_are_not():
    X, y, groups = numbered()
    options = {"n_labels": 1, "n_draws": 2, "baselines": OTHER}
    with pytest.warns(DataQualityWarning, match="in 2 of 2 splits rows of one group lie on both sides"):
        compare(Spy(), X, y, groups=groups, cv=KFold(2), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(Spy(), X, y, groups=groups, cv=GroupKFold(2), **options)
        compare(Spy(), X, y, groups=groups, **options)
        compare(Spy(), X, y, **options)


@pytest.mark.parametrize(
    "timed",
    [
        lambda X: pd.DataFrame(X, index=pd.date_range("2026-01-01", periods=60, freq="min", tz="UTC")),
        lambda X: Windows.of(X[:, :, None], sampling_rate=1.0, time=np.arange(60.0)),
    ],
)
def test_a_random_split_of_rows_that_know_their_time_is_warned_of(timed):
    X, y, groups = numbered()
    options = {"n_labels": 1, "n_draws": 2, "baselines": {**NONE, "other": DummyClassifier()}}
    with pytest.warns(DataQualityWarning, match="X knows the time of its rows"):
        compare(DummyClassifier(strategy="uniform"), timed(X), y, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(DummyClassifier(strategy="uniform"), timed(X), y, groups=groups, **options)
        compare(DummyClassifier(strategy="uniform"), timed(X), y, cv=TimeSeriesSplit(2), **options)


def test_whole_groups_get_labels_where_groups_are_counted():
    X, y, groups = numbered()
    Spy.seen.clear()
    compare(Spy(), X, y, groups=groups, label_by="group", n_labels=(1, 2), n_draws=3, baselines=OTHER)
    for (_, rows, scored), n in zip(Spy.seen, [1, 2] * 3, strict=True):
        assert sorted(np.flatnonzero(np.isin(groups, groups[rows]))) == sorted(rows)
        assert pd.Series(y[rows]).value_counts().tolist() == [5 * n] * 3
        assert not set(groups[rows]) & set(groups[scored])


def test_a_regression_counts_rows_in_all_and_scores_the_error():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.arange(80), rng.normal(size=(80, 2))])
    y, groups = X[:, 1] * 3 + 20, np.arange(80) // 8
    found = compare(Ridge(), X, y, groups=groups, n_draws=5, baselines={"mean": DummyRegressor()})
    assert found.unit == "labelled rows"
    assert sorted(found.frame["n_labels"].unique()) == [5, 10, 20, 50, 100]
    assert (found.frame["score"] < 0).all()
    assert found.methods == ["Ridge", "ridge regression", "random forest", "gradient boosting", "mean"]
    with pytest.raises(ValueError, match="must hold whole numbers of at least 2"):
        compare(Ridge(), X, y, n_labels=1)


def test_a_regression_is_scored_as_by_hand():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y, split = X[:, 0] + 100, (np.arange(20), np.arange(20, 40))
    found = compare(
        Ridge(), X, y, cv=[split], n_labels=20, n_draws=1, scoring="r2", baselines={"mean": DummyRegressor()}
    )
    by_hand = r2_score(y[20:], Ridge().fit(X[:20], y[:20]).predict(X[20:]))
    assert found.frame.query("method == 'Ridge'")["score"].item() == pytest.approx(by_hand)


class Fragile(Spy):
    """Fails on the rows of some draws."""

    def fit(self, X, y):
        if 0 in np.asarray(X)[:, 0]:
            raise RuntimeError("row 0 is there")
        return super().fit(X, y)


class Broken(Spy):
    fits = 0

    def fit(self, X, y):
        Broken.fits += 1
        raise RuntimeError("never fits")


def test_a_fit_that_fails_has_no_score_and_is_told_once():
    X, y, groups = numbered()
    with pytest.warns(UserWarning, match=r"fits failed \(\d of Fragile\).*RuntimeError: row 0 is there") as said:
        found = compare(Fragile("Spy"), X, y, groups=groups, n_labels=(1, 10), n_draws=6, baselines=OTHER)
    assert len(said) == 1
    failed = found.frame["score"].isna()
    assert 0 < failed.sum() < 12
    assert set(found.frame["method"][failed]) == {"Fragile"}
    assert np.isfinite(found.best["gain"]).all()


def test_an_estimator_that_never_fits_ends_the_comparison_after_one_draw():
    X, y, groups = numbered()
    with pytest.raises(ValueError, match=r"all of the first 2 fits of 'Broken' failed.*RuntimeError: never fits"):
        compare(Broken(), X, y, groups=groups, n_labels=(1, 3), n_draws=10, baselines=OTHER)
    assert Broken.fits == 2


class Warns(Spy):
    def fit(self, X, y):
        warnings.warn(f"{len(X)} rows are few", DataQualityWarning, stacklevel=2)
        return super().fit(X, y)


def test_what_fits_warn_of_is_said_once_with_its_count():
    X, y, groups = numbered()
    with pytest.warns(DataQualityWarning) as said:
        found = compare(Warns(), X, y, groups=groups, n_labels=(1, 3), n_draws=5, baselines=OTHER)
    assert [str(one.message) for one in said] == ["compare: 10 of 10 fits of Warns warned. The first: 3 rows are few"]
    assert found.warnings[["method", "n_fits"]].to_numpy().tolist() == [["Warns", 10]]


def test_random_states_that_are_none_follow_the_draw_and_others_stay():
    X, y, groups = numbered()
    forests = {"forest": RandomForestClassifier(5), "again": RandomForestClassifier(5), **NONE}
    fixed = {"fixed": RandomForestClassifier(5, random_state=3), "fixed too": RandomForestClassifier(5, random_state=3)}
    options = {"groups": groups, "n_labels": 3, "n_draws": 6}
    found = compare(DummyClassifier(), X, y, baselines=forests | fixed, **options)
    scores = {name: part["score"].tolist() for name, part in found.frame.groupby("method")}
    assert scores["forest"] == scores["again"]
    assert scores["fixed"] == scores["fixed too"] != scores["forest"]
    again = compare(DummyClassifier(), X, y, baselines=forests | fixed, **options)
    pd.testing.assert_frame_equal(found.frame.drop(columns="fit_seconds"), again.frame.drop(columns="fit_seconds"))


def test_processes_find_the_scores_of_one_process():
    X, y, groups = numbered()
    options = {"groups": groups, "n_labels": 2, "n_draws": 3, "baselines": FEW}
    one = compare(LogisticRegression(), X, y, **options)
    two = compare(LogisticRegression(), X, y, n_jobs=2, **options)
    pd.testing.assert_frame_equal(one.frame.drop(columns="fit_seconds"), two.frame.drop(columns="fit_seconds"))
    assert one.verdict == two.verdict


def test_a_scorer_of_probabilities_is_asked_of_the_fitted_estimator():
    X, y, _ = numbered()
    X, y = X[:, 1:], X[:, 1] > 0
    split = (np.arange(30), np.arange(30, 60))
    found = compare(LogisticRegression(), X, y, cv=[split], n_labels=30, n_draws=1, scoring="roc_auc", baselines=FEW)
    fitted = LogisticRegression().fit(X[:30], y[:30])
    by_hand = roc_auc_score(y[30:], fitted.predict_proba(X[30:])[:, 1])
    assert found.frame["score"].iloc[0] == pytest.approx(by_hand)


def test_windows_reach_plain_baselines_as_statistics_of_their_channels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2, 32))
    y = np.resize(["a", "b"], 60)
    X[y == "b", 1] *= 3
    found = compare(TransferClassifier(max_epochs=1), Windows.of(X, sampling_rate=100), y, n_labels=10, n_draws=5)
    assert found.table().loc["random forest", 10] > 0.95
    columns = window_statistics(X).reshape(60, 2, -1)
    np.testing.assert_allclose(columns[..., 0], X.mean(axis=2))
    np.testing.assert_allclose(columns[..., 1], X.std(axis=2))
    np.testing.assert_allclose(columns[..., 6], scipy.stats.skew(X, axis=2))
    np.testing.assert_allclose(columns[..., 7], scipy.stats.kurtosis(X, axis=2))
    # Parseval: all power together is the variance
    power = np.exp(columns[0, 0, 8:]).sum()
    assert power * 2 - np.exp(columns[0, 0, -1]) == pytest.approx(32 * X[0, 0].var(), rel=1e-6)


def test_the_bare_network_and_the_one_behind_a_scaler_have_their_networks_from_scratch_and_as_they_are():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    y = np.where(X[:, 0] > 0, "ok", "leak")
    backbone = (
        TransferClassifier(FromScratch(arguments={"hidden_layer_sizes": (8,)}), random_state=0).fit(X, y).backbone_
    )
    probing = TransferClassifier(backbone, strategy=LinearProbing(), lr=0.5, max_epochs=7)
    options = {"n_labels": 2, "n_draws": 1, "baselines": None}
    for model in (probing, make_pipeline(StandardScaler(), probing)):
        methods = make_methods(model, None, Rows(X, y, np.searchsorted(np.unique(y), y), np.unique(y)))
        assert list(methods) == ["transfer", "from scratch", "source as it is"]
        scratch, source = (last_step(methods[name]) for name in ("from scratch", "source as it is"))
        assert scratch.backbone.network == "mlp"
        assert scratch.backbone.arguments["hidden_layer_sizes"] == [8]
        assert (scratch.strategy, scratch.lr, scratch.max_epochs) == (None, 0.001, 7)
        assert isinstance(source, SourceClassifier)
        assert compare(model, X, y, **options).methods == list(methods)


def test_a_search_is_compared_with_what_it_searches_from_scratch():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = np.where(X[:, 0] > 0, "ok", "leak")
    backbone = TransferClassifier(max_epochs=2, random_state=0).fit(X, y).backbone_
    pipe = make_pipeline(StandardScaler(), TransferClassifier(backbone, strategy=LinearProbing()))
    search = GridSearchCV(pipe, {"transferclassifier__strategy__alpha": [0.1, 1.0]}, cv=2)
    found = compare(search, X, y, n_labels=4, n_draws=1, baselines=None)
    assert found.methods == ["transfer", "from scratch", "source as it is"]


class Grouped(Spy):
    got: list = []

    def fit(self, X, y, groups=None):
        Grouped.got.append((np.asarray(X)[:, 0].astype(int), groups))
        return super().fit(X, y)


@pytest.mark.parametrize("piped", [False, True])
def test_estimators_that_take_groups_get_those_of_their_rows(piped):
    X, y, groups = numbered()
    names = np.array([f"run {chr(97 + g)}" for g in groups])
    Grouped.got.clear()
    model = make_pipeline(FunctionTransformer(), Grouped()) if piped else Grouped()
    compare(model, X, y, groups=names, n_labels=3, n_draws=2, baselines=OTHER)
    assert len(Grouped.got) == 2
    for rows, got in Grouped.got:
        np.testing.assert_array_equal(got, groups[rows])
    Grouped.got.clear()
    compare(model, X, y, n_labels=3, n_draws=1, baselines=OTHER)
    assert Grouped.got[0][1] is None


def test_a_search_over_whole_groups_gets_them():
    X, y, groups = numbered()
    search = GridSearchCV(LogisticRegression(max_iter=5000), {"C": [0.1, 1.0]}, cv=GroupKFold(2))
    found = compare(search, X, y, groups=groups, n_labels=5, n_draws=2, baselines=FEW)
    assert found.frame["score"].notna().all()


def test_a_class_that_no_drawn_row_has_is_not_scored_and_halves_are_drawn_anew():
    X, _, groups = numbered()
    y = np.where(groups == 0, "lone", np.where(groups % 2, "a", "b"))
    Spy.seen.clear()
    with pytest.warns(DataQualityWarning, match=r"the classes \['lone'\] have no row to draw"):
        compare(Spy(), X, y, groups=groups, n_labels=1, n_draws=6, baselines=OTHER)
    for _, rows, scored in Spy.seen:
        assert set(y[scored]) <= set(y[rows])
    assert len({tuple(scored) for _, _, scored in Spy.seen}) > 2


def test_the_source_as_it_is_stands_at_every_number_of_labels_and_plain_estimators_are_scaled():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = np.where(X[:, 0] > 0, "ok", "leak")
    data = Rows(X, y, np.searchsorted(np.unique(y), y), np.unique(y))
    backbone = TransferClassifier(max_epochs=2, random_state=0).fit(X, y).backbone_
    model = TransferClassifier(backbone, strategy=LinearProbing())
    found = compare(model, X, y, n_labels=(1, 3), n_draws=2, baselines=None)
    source = found.frame.query("method == 'source as it is'")
    assert source["n_labels"].tolist() == [1, 1, 3, 3]
    assert source["score"].tolist()[:2] == source["score"].tolist()[2:]
    assert "source as it is" in found.findings[1].over
    assert isinstance(make_methods(model, "default", data)["logistic regression"][0], StandardScaler)
