"""What goes wrong goes wrong as in scikit-learn's search, and only where it goes wrong."""

import os
import signal
import threading
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktransfer import (
    L2SP,
    Backbone,
    BatchedGridSearchCV,
    FineTuning,
    GradualUnfreezing,
    LayerDecay,
    LinearProbing,
    ProbeThenTune,
    Strategy,
    WeightDecay,
)
from sktransfer.exceptions import DataQualityWarning
from sktransfer.training import frozen_features as _features
from sktransfer.training.stacked_fits import StackedFit
from sktransfer.training.stacked_network import StackedNetwork
from sktransfer.training.stacked_training import StackedTraining
from tests.searches import FROZEN, LR, X, Y, backbone, both, grid, how, model, pipeline


def fails(kind, *args, X=X, y=Y, fit=None, **options):
    """Type and last line of the error that a search ends with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kind(*args, **options).fit(X, y, **(fit or {}))
        except Exception as error:
            return type(error), str(error).strip().splitlines()[-1].replace("Batched", "")
    return None


NAN = X.copy()
NAN[3, 1] = np.nan

SAME_ERROR = {
    "unknown parameter": ((pipeline, {"transferclassifier__learning_rate": [1]}), {}),
    "unknown step": ((pipeline, {"classifier__lr": [1]}), {}),
    "no candidates": ((pipeline, []), {}),
    "empty list of values": ((pipeline, {"transferclassifier__lr": []}), {}),
    "a value instead of a list": ((pipeline, {"transferclassifier__lr": 0.1}), {}),
    "more folds than rows": ((pipeline, grid(lr=LR)), {"X": X[:3], "y": Y[:3]}),
    "more folds than members": ((pipeline, grid(lr=LR)), {"cv": StratifiedKFold(60)}),
    "no folds": ((pipeline, grid(lr=LR)), {"cv": []}),
    "no y": ((pipeline, grid(lr=LR)), {"y": None}),
    "lengths differ": ((pipeline, grid(lr=LR)), {"y": Y[:5]}),
    "all fail": ((pipeline, grid(lr=[-1, -2])), {}),
    "all fail before the last step": ((pipeline, {"standardscaler__with_mean": ["no"]}), {}),
    "raise": ((pipeline, grid(lr=[0.1, -1])), {"error_score": "raise"}),
    "raise on divergence": (
        (lambda: pipeline(strategy=FineTuning(), max_epochs=6), grid(lr=[0.1, 1e30])),
        {"error_score": "raise"},
    ),
    "raise before the last step": (
        (pipeline, {"standardscaler__with_mean": [True, "no"]}),
        {"error_score": "raise"},
    ),
    "raise in a scorer": ((pipeline, grid(lr=LR)), {"error_score": "raise", "scoring": lambda *a: 1 / 0}),
    "unknown scoring": ((pipeline, grid(lr=LR)), {"scoring": "accurracy"}),
    "no refit named": ((pipeline, grid(lr=LR)), {"scoring": ["accuracy", "neg_log_loss"]}),
    "wrong cv": ((pipeline, grid(lr=LR)), {"cv": "five"}),
    "unknown fit parameter": ((model, {"lr": LR}), {"fit": {"weights": np.ones(len(X))}}),
    "unknown fit parameter of a step": ((pipeline, grid(lr=LR)), {"fit": {"transferclassifier__weights": X[:, 0]}}),
    "fit parameter without a step": ((pipeline, grid(lr=LR)), {"fit": {"weights": X[:, 0]}}),
    "NaN in the refit": ((model, {"lr": LR}), {"X": NAN}),
    "one class": ((pipeline, grid(lr=LR)), {"y": np.full(len(X), "normal")}),
}


@pytest.mark.parametrize("case", SAME_ERROR)
def test_the_error_is_that_of_scikit_learns_search(case):
    (estimator, candidates), options = SAME_ERROR[case]
    expected = fails(GridSearchCV, estimator(), candidates, **options)
    assert expected is not None
    assert fails(BatchedGridSearchCV, estimator(), candidates, **options) == expected


def test_an_unknown_parameter_is_an_error_before_anything_is_trained():
    seen = []
    counts = FunctionTransformer(lambda rows: seen.append(1) or rows)
    with pytest.raises(ValueError, match="Invalid parameter 'rate'"):
        BatchedGridSearchCV(make_pipeline(counts, model()), grid(lr=LR, rate=[1])).fit(X, Y)
    assert seen == []


BAD = {
    "learning rate": (grid(lr=[0.01, -1, 0.1]), 1, "'lr' parameter"),
    "divergence": (grid(lr=[0.01, 0.1, 1e30]), 2, "diverged"),
    "dropout": (grid(head__dropout=[2.0, 0.1]), 0, "dropout"),
    "class weight": (grid(class_weight=[None, {"leak": -1.0}]), 1, "class_weight"),
    "backbone": (grid(backbone=["no-such-backbone", None]), 0, "no-such-backbone"),
    **{
        repr(strategy): (grid(strategy=[FROZEN, strategy]), 1, type(strategy).__name__.replace("FineTuning", "blocks"))
        for strategy in (
            WeightDecay(-1), L2SP(-1), LayerDecay(2), FineTuning(99), GradualUnfreezing(0), ProbeThenTune(-1),
            ProbeThenTune(tune_interpolation=7), ProbeThenTune(alpha=-1), FROZEN & L2SP("a"),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_candidate_that_fails_is_nan_and_the_others_are_as_without_it(case):
    candidates, bad, message = BAD[case]
    estimator = pipeline(strategy=FineTuning(), max_epochs=4)
    if "strategy" in str(candidates):
        message = message.replace("Combined", "L2SP")
    with pytest.warns(FitFailedWarning, match=message):
        search = BatchedGridSearchCV(estimator, candidates, cv=2, scoring="neg_log_loss").fit(X, Y)
    ((name, values),) = candidates.items()
    good = [value for place, value in enumerate(values) if place != bad]
    without = BatchedGridSearchCV(estimator, {name: good}, cv=2, scoring="neg_log_loss").fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isnan(scores[bad])
    np.testing.assert_allclose(np.delete(scores, bad), without.cv_results_["mean_test_score"], rtol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both(estimator, candidates, error_score=-7.0)


class Odd(Strategy):
    """Raises in the middle of training."""

    def penalty(self, weights, source):
        if weights:
            raise ZeroDivisionError("odd")
        return 0.0


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (StackedTraining, "train"),
        (StackedTraining, "_step"),
        (StackedFit, "finish"),
        (StackedFit, "fits_memory"),
        (StackedNetwork, "state_of"),
    ],
)
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_bug_in_the_stacked_trainer_is_an_error_and_not_a_slow_search(monkeypatch, owner, name, n_jobs):
    def broken(*args, **kwargs):
        raise AttributeError("a bug")

    monkeypatch.setattr(owner, name, broken)
    search = BatchedGridSearchCV(pipeline(), grid(lr=LR, max_epochs=[1, 2]), cv=2, n_jobs=n_jobs)
    with pytest.raises(AttributeError, match="a bug"):
        search.fit(X, Y)
    assert not hasattr(search, "cv_results_")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_strategy_that_raises_while_others_train_with_it_fails_alone():
    search = both(pipeline(), grid(strategy=[FineTuning(), Odd(), FineTuning() & Odd(), LayerDecay(0.5)]))
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True, True, False]


def test_one_fold_with_a_missing_cell():
    for estimator, candidates in ((pipeline(), grid(lr=LR)), (model(), {"lr": LR})):
        search = both(estimator, candidates, NAN, return_train_score=True, refit=False, cv=KFold(3))
        assert np.isnan(search.cv_results_["split0_test_score"]).all()
        assert np.isnan(search.cv_results_["split1_test_score"]).all()
        assert how(search) == {"alone"}


class Refuses(FunctionTransformer):
    """A step that does not transform the first row of the table."""

    def transform(self, rows):
        if np.isin(rows[:, 0], X[0, 0]).any():
            raise ValueError("not this row")
        return rows


@pytest.mark.parametrize("return_train_score", [True, False])
def test_a_step_that_cannot_transform_one_fold(return_train_score):
    options = {"cv": KFold(3), "refit": False, "return_train_score": return_train_score}
    search = both(make_pipeline(Refuses(), model()), grid(lr=LR), **options)
    failed = [np.isnan(search.cv_results_[f"split{s}_test_score"]).all() for s in range(3)]
    assert failed == [True, True, True]  # row 0 is scored in one fold and trained on in two


@pytest.mark.parametrize("how_many", [{}, {"cv": 5}, {"n_jobs": 2}])
def test_what_is_said_of_the_data_is_said_once_a_search(how_many):
    rows = X.copy()
    rows[::5, 0] = -9999.0  # another share of the rows in each fold
    candidates = {"lr": [0.1, 0.01, 0.001], "class_weight": [None, "balanced"]}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        BatchedGridSearchCV(model(None, strategy=None), candidates, **{"cv": 3, **how_many}).fit(rows, Y)
    assert len([w for w in found if issubclass(w.category, DataQualityWarning)]) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataQualityWarning)
        with pytest.raises(ValueError, match="All the 18 fits failed"):
            BatchedGridSearchCV(model(None, strategy=None), candidates, cv=3).fit(rows, Y)


@pytest.mark.parametrize(
    "options",
    [{"refit": "acuracy"}, {"scoring": ["accuracy"], "refit": True}, {"scoring": ["accuracy"], "refit": "f1"}],
)
def test_a_refit_that_names_no_score_is_an_error_before_anything_is_trained(options):
    seen = []
    counts = make_pipeline(FunctionTransformer(lambda rows: seen.append(1) or rows), model())
    expected = fails(GridSearchCV, counts, grid(lr=LR), **options)
    assert expected is not None or options == {"refit": "acuracy"}  # scikit-learn takes any word with one score
    seen.clear()
    assert fails(BatchedGridSearchCV, counts, grid(lr=LR), **options) == expected
    assert (seen == []) is (expected is not None)


def test_a_splitter_that_counts_wrong_is_refused_as_in_scikit_learn():
    class Miscounts(KFold):
        def get_n_splits(self, *args, **kwargs):
            return 1

    expected = fails(GridSearchCV, pipeline(), grid(lr=LR), cv=Miscounts(3))
    assert "Expected 1 splits, got 3" in expected[1]
    assert fails(BatchedGridSearchCV, pipeline(), grid(lr=LR), cv=Miscounts(3)) == expected


class ReturnsNothing(ClassifierMixin, BaseEstimator):
    """An estimator whose ``fit`` forgets to return it."""

    def __init__(self, C=1.0):
        self.C = C

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.fitted_ = LogisticRegression(C=self.C).fit(X, y)

    def predict(self, X):
        return self.fitted_.predict(X)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("behind", [False, True])
def test_a_fit_that_returns_nothing_is_scored(n_jobs, behind):
    estimator = make_pipeline(FunctionTransformer(), ReturnsNothing()) if behind else ReturnsNothing()
    name = "returnsnothing__C" if behind else "C"
    both(estimator, {name: [0.01, 1.0]}, scoring="accuracy", n_jobs=n_jobs)


def test_a_rate_that_is_too_large_warns_as_a_fit_does():
    candidates = {"lr": [0.01, 300.0]}
    with pytest.warns(ConvergenceWarning, match="lr=300 is too large"):
        BatchedGridSearchCV(model(strategy=FineTuning(), max_epochs=6), candidates, cv=2, refit=False).fit(X, Y)


@pytest.mark.parametrize("budget", [0, 3_000])
@pytest.mark.parametrize(
    ("strategy", "head"),
    [(FROZEN, model().head), (LinearProbing(), None), (ProbeThenTune(), None), (FineTuning(2), None)],
)
def test_a_small_budget_of_memory_changes_no_score(monkeypatch, budget, strategy, head):
    monkeypatch.setattr(_features, "BUDGET", budget)
    kept = []
    plain = _features.FrozenFeatures.nbytes
    monkeypatch.setattr(_features.FrozenFeatures, "nbytes", property(lambda f: kept.append(plain.fget(f)) or kept[-1]))
    search = both(pipeline(strategy=strategy, head=head), grid(lr=LR, class_weight=[None, "balanced"]))
    assert how(search) == ({"stacked"} if isinstance(strategy, ProbeThenTune) else {"alone"})  # by what it keeps
    assert max(kept, default=0) <= budget


NO_MEMORY = [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")]


@pytest.mark.parametrize("raised", NO_MEMORY, ids=["python", "torch"])
def test_a_backbone_that_does_not_fit_in_memory_twice(monkeypatch, raised):
    def refuse(backbone):
        raise raised

    once, trained = backbone(), model(strategy=FineTuning(), max_epochs=2).fit(X, Y)
    monkeypatch.setattr(Backbone, "copy_blocks", refuse)
    message = f"TransferClassifier trains a copy of backbone {once.name!r}.*LinearProbing"
    with pytest.raises(MemoryError, match=message):
        trained.set_params(backbone=once).fit(X, Y)
    assert not trained.__sklearn_is_fitted__()
    assert not hasattr(trained, "backbone_")
    model(once, head=None, strategy=LinearProbing()).fit(X, Y)  # as the message advises
    searched = model(once, head=None, max_epochs=2), {"strategy": [FineTuning(), LinearProbing()]}
    for kind in (GridSearchCV, BatchedGridSearchCV):
        with pytest.warns(FitFailedWarning, match="there is no memory for its"):
            search = kind(*searched, cv=2, refit=False).fit(X, Y)
        assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [True, False]
        with pytest.raises(MemoryError, match=message):
            kind(*searched, cv=2, error_score="raise").fit(X, Y)


@pytest.mark.usefixtures("listens")
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_ctrl_c_leaves_nothing_behind(seconds, n_jobs):
    search = BatchedGridSearchCV(pipeline(), grid(lr=LR), cv=3, n_jobs=n_jobs).fit(X, Y)
    search.set_params(estimator__transferclassifier__max_epochs=1_000_000)
    threads, torch_state = torch.get_num_threads(), torch.random.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    timer.join()
    assert not [name for name in vars(search) if name.endswith("_") and not name.startswith("_")]
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
