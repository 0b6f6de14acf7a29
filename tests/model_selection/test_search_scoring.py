"""Scorers of every kind see what they would see in scikit-learn's search; weights and groups go where they are sent."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import BatchedGridSearchCV, LinearProbing, OutOfRangeWarning, TransferClassifier
from sktransfer.networks.transfer_module import TransferModule
from tests.helpers import moons, small_backbone
from tests.searches import LR, VALUES, X, Y, both, grid, how, model, pipeline, regression

WEIGHT = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)


def reads_attributes(estimator, X, y):
    last = estimator.named_steps["transferclassifier"]
    return last.n_iter_ + last.history_[-1]["train_loss"] + estimator[:-1].transform(X).sum()


def predicts_other_rows(estimator, X, y):
    return estimator.score(X[::2], y[::2]) + estimator.predict_proba(X + 1)[:, 0].mean()


def handles_the_estimator(estimator, X, y):
    assert isinstance(estimator, Pipeline)
    assert estimator
    assert len(estimator) == 2
    assert estimator.get_params()["transferclassifier"].n_iter_ == estimator.steps[-1][1].n_iter_
    assert type(estimator[-1].module_) is TransferModule
    half = clone(estimator).fit(X[::2], y[::2]).predict_proba(X)[:, 0].sum()
    assert type(pickle.loads(pickle.dumps(estimator))) is Pipeline
    assert type(copy.deepcopy(estimator)) is Pipeline
    again = estimator.set_params(transferclassifier__lr=0.5).fit(X, y).predict_proba(X)[:, 0].sum()
    return half + 3 * again


def several(estimator, X, y):
    return {"accuracy": estimator.score(X, y), "first": estimator.predict_proba(X)[:, 0].mean(), "n": len(X)}


def log_proba(estimator, X, y):
    return estimator.predict_log_proba(X)[:, 0].sum() + len(estimator.classes_)


def mean_rank(results):
    return int(np.argmin(results["rank_test_accuracy"] + results["rank_test_neg_log_loss"]))


SCORINGS = {
    "none": {"scoring": None},
    "name": {"scoring": "neg_log_loss"},
    "probabilities": {"scoring": "roc_auc_ovr"},
    "made": {"scoring": make_scorer(log_loss, response_method="predict_proba", greater_is_better=False)},
    "list": {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"},
    "list, refit by a rule": {"scoring": ["accuracy", "neg_log_loss"], "refit": mean_rank},
    "dict, no refit": {"scoring": {"a": "accuracy", "b": make_scorer(accuracy_score)}, "refit": False},
    "training scores": {"scoring": ["accuracy", "neg_log_loss"], "refit": "accuracy", "return_train_score": True},
    "log probabilities": {"scoring": log_proba},
    "function of attributes": {"scoring": reads_attributes},
    "function that clones, stores and fits": {"scoring": handles_the_estimator, "error_score": "raise"},
    "function of other rows": {"scoring": predicts_other_rows, "return_train_score": True},
    "function with several scores": {"scoring": several, "refit": "first"},
    "refit by a rule": {"refit": lambda results: int(np.argmax(results["rank_test_score"]))},
}


@pytest.mark.parametrize("case", SCORINGS)
def test_scores_are_those_of_scikit_learn(case):
    search = both(pipeline(), grid(lr=LR, class_weight=[None, "balanced"]), **SCORINGS[case])
    assert how(search) == {"stacked"}


@pytest.mark.parametrize("scoring", [None, "r2", ["neg_mean_squared_error", "neg_max_error"]])
def test_scores_of_regressors(scoring):
    candidates = {"transferregressor__lr": LR}
    both(
        regression(),
        candidates,
        X,
        VALUES[:, 0],
        scoring=scoring,
        refit=scoring != ["neg_mean_squared_error", "neg_max_error"],
    )


def test_a_rule_for_refit_sees_the_times_of_the_fits():
    seen = []

    def cheapest(results):
        seen.append({name: np.array(column) for name, column in results.items() if "fit_time" in name})
        return int(np.argmin(results["mean_fit_time"]))

    candidates = grid(max_epochs=[60, 1])
    search = BatchedGridSearchCV(pipeline(), candidates, cv=2, refit=cheapest).fit(X, Y)
    assert search.best_index_ == 1
    for name, column in seen[0].items():
        np.testing.assert_array_equal(search.cv_results_[name], column)
    assert (search.cv_results_["mean_fit_time"] > 0.0005).all()


def test_whatever_scoring_asks_for_nothing_is_trained_again(monkeypatch):
    fitted = []
    plain = type(model()).fit
    monkeypatch.setattr(type(model()), "fit", lambda self, *a, **kw: fitted.append(1) or plain(self, *a, **kw))
    options = {"cv": 3, "scoring": ["accuracy", "neg_log_loss"], "return_train_score": True}
    BatchedGridSearchCV(pipeline(), grid(lr=LR), refit="accuracy", **options).fit(X, Y)
    assert len(fitted) == 1  # the refit
    BatchedGridSearchCV(pipeline(), grid(lr=LR), cv=3, scoring=reads_attributes, refit=False).fit(X, Y)
    assert len(fitted) == 1  # the pipelines that were scored are fitted ones


@pytest.mark.parametrize(
    ("estimator", "name"), [(pipeline, "transferclassifier__sample_weight"), (model, "sample_weight")]
)
def test_sample_weight_in_fit(estimator, name):
    candidates = {"lr": LR} if estimator is model else grid(lr=LR)
    search = both(estimator(), candidates, fit={name: WEIGHT})
    assert how(search) == {"stacked"}
    without = both(estimator(), candidates)
    assert not np.allclose(search.cv_results_["mean_test_score"], without.cv_results_["mean_test_score"], atol=1e-6)


def test_metadata_is_routed():
    groups = np.arange(len(X)) % 6
    with config_context(enable_metadata_routing=True):
        last = model().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        scorer = make_scorer(log_loss, response_method="predict_proba").set_score_request(sample_weight=True)
        for scoring in (scorer, {"a": scorer}):
            fit = {"sample_weight": WEIGHT, "groups": groups}
            options = {"scoring": scoring, "cv": GroupKFold(3), "refit": scoring is scorer}
            assert how(both(make_pipeline(scaler, last), grid(lr=LR), fit=fit, **options)) == {"stacked"}
        with pytest.raises(TypeError, match="bogus"):
            BatchedGridSearchCV(make_pipeline(scaler, last), grid(lr=LR)).fit(X, Y, bogus=WEIGHT)


def test_metadata_that_nobody_asked_for_is_the_same_error():
    messages = []
    with config_context(enable_metadata_routing=True):
        for kind in (GridSearchCV, BatchedGridSearchCV):
            with pytest.raises(ValueError, match="sample_weight") as error:
                kind(pipeline(), grid(lr=LR)).fit(X, Y, sample_weight=WEIGHT)
            messages.append(str(error.value).splitlines()[-1].replace("BatchedGridSearchCV", "GridSearchCV"))
    assert messages[0] == messages[1]


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_a_search_says_once_that_rows_are_far(backbone, scoring):
    X, y = moons(120)
    X[0] = 1e4
    model = TransferClassifier(backbone, strategy=LinearProbing(alpha=1.0))
    counts = []
    for kind in (BatchedGridSearchCV, GridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            kind(model, {"strategy__alpha": [0.1, 1.0]}, cv=3, scoring=scoring, refit=False).fit(X, y)
        counts.append(sum(issubclass(w.category, OutOfRangeWarning) for w in caught))
    assert counts[0] == 1 <= counts[1]
