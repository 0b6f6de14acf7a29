"""A search is an estimator: cloned, stored, nested, watched, and quick."""

import io
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout

import joblib
import numpy as np
import pytest
import torch
from joblib import parallel_config, register_parallel_backend
from joblib.parallel import ThreadingBackend
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring, LRScheduler

from sktransfer import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    FineTuning,
    LinearProbing,
)
from sktransfer.training.stacked_training import StackedTraining
from tests.helpers import moons, width_free_backbone
from tests.searches import FROZEN, HEAD, LR, X, Y, grid, how, model, pipeline


def search(estimator=None, candidates=None, **options):
    options = {"cv": 2, "scoring": "neg_log_loss", **options}
    return BatchedGridSearchCV(estimator or pipeline(), candidates or grid(lr=LR), **options)


def test_parameters_and_clones_are_those_of_scikit_learn():
    assert set(BatchedGridSearchCV(None, {}).get_params(deep=False)) == set(
        GridSearchCV(None, {}).get_params(deep=False)
    )
    randomised = BatchedRandomizedSearchCV(pipeline(), grid(lr=LR), n_iter=2)
    assert clone(randomised).get_params(deep=False).keys() == randomised.get_params(deep=False).keys()
    copy = clone(search().fit(X, Y))
    assert not hasattr(copy, "cv_results_")
    assert repr(copy) == repr(search())
    assert copy.set_params(estimator__transferclassifier__lr=0.5).estimator[-1].lr == 0.5


def test_two_fits_are_one_and_nothing_given_is_changed():
    one = search(return_train_score=True)
    before = repr(one.get_params())
    first = one.fit(X, Y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(one.fit(X, Y).cv_results_["mean_test_score"], first)
    assert repr(one.get_params()) == before
    assert not hasattr(one.estimator[-1], "classes_")


def test_a_fitted_search_is_its_best_pipeline():
    one = search().fit(X, Y)
    assert type(one.best_estimator_) is Pipeline
    best = clone(pipeline()).set_params(**one.best_params_).fit(X, Y)
    np.testing.assert_array_equal(one.predict_proba(X), best.predict_proba(X))
    np.testing.assert_array_equal(one.classes_, best.classes_)
    assert one.score(X, Y) == check_scoring(best, "neg_log_loss")(best, X, Y)
    assert one.n_features_in_ == 4
    assert len(one.best_estimator_[-1].history_) == 3
    assert one.refit_time_ > 0
    assert (one.cv_results_["mean_fit_time"] > 0).all()
    assert search(scoring=None).fit(X, Y).score(X, Y) == best.score(X, Y)


def test_a_stored_search_holds_its_results_and_its_best_pipeline_only(tmp_path):
    many = grid(lr=np.geomspace(0.001, 0.1, 20).tolist())
    one = search(candidates=many, scoring=["accuracy", "neg_log_loss"], refit="accuracy").fit(X, Y)
    joblib.dump(one, tmp_path / "search.joblib")
    joblib.dump((one.best_estimator_, one.estimator, one.cv_results_), tmp_path / "parts.joblib")
    sizes = [(tmp_path / f"{name}.joblib").stat().st_size for name in ("search", "parts")]
    assert sizes[0] < sizes[1] + 3_000
    assert b"last_step" not in (tmp_path / "search.joblib").read_bytes()
    loaded = joblib.load(tmp_path / "search.joblib")
    np.testing.assert_array_equal(loaded.predict(X), one.predict(X))
    for name in vars(one):
        assert "SearchedPipeline" not in repr(getattr(one, name))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", [{}, {"n_jobs": 2}])
def test_nested_in_cross_validation_and_in_a_pipeline(options):
    inside = [kind(pipeline(), grid(lr=LR), **{"cv": 2, **options}) for kind in (BatchedGridSearchCV, GridSearchCV)]
    nested = [cross_val_score(one, X, Y, cv=2, error_score="raise") for one in inside]
    np.testing.assert_array_equal(*nested)
    behind = make_pipeline(StandardScaler(), search(model(), {"lr": LR})).fit(X, Y)
    assert behind.score(X, Y) < 0  # log loss


@pytest.mark.filterwarnings("error")
def test_candidates_that_train_alone_use_the_workers():
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    candidates = [
        {"logisticregression": [LogisticRegression(C=c) for c in (0.1, 1.0)]},
        {"logisticregression": [model()]},
    ]
    expected = GridSearchCV(estimator, candidates, cv=2).fit(X, Y)
    for one in (search(estimator, candidates, scoring=None, n_jobs=2), search(estimator, candidates, scoring=None)):
        with parallel_config(backend="threading" if one.n_jobs is None else "loky", n_jobs=2):
            one.fit(X, Y)
        assert one.cv_results_["how"].tolist() == ["alone", "alone", "stacked"]
        np.testing.assert_array_equal(one.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (lambda: model(callbacks=[("rate", LRScheduler())]), "callbacks watch its epochs"),
        (lambda: model(callbacks=[EpochScoring(lambda net, X, y: 0.0, name="zero")]), "callbacks watch its epochs"),
        (lambda: model(width_free_backbone(), strategy=FineTuning()), "of its network cannot be stacked"),
        (lambda: type("Mine", (type(model()),), {})(**model().get_params(deep=False)), "the last step is a Mine"),
    ],
    ids=["callback", "scoring callback", "own layer", "subclass"],
)
def test_what_cannot_be_stacked_trains_alone(last, why):
    with redirect_stdout(io.StringIO()):
        one = search(last(), {"lr": LR}, n_jobs=1).fit(X, Y)
        plain = GridSearchCV(last(), {"lr": LR}, cv=2, scoring="neg_log_loss").fit(X, Y)
    assert how(one) == {"alone"}
    assert [why in sentence for sentence in one.why_alone_] == [True, True]
    np.testing.assert_allclose(one.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], rtol=1e-6)


def test_a_block_that_cannot_be_stacked_may_stay_frozen():
    one = search(model(width_free_backbone()), {"lr": LR}).fit(X, Y)
    assert how(one) == {"stacked"}
    assert one.why_alone_ == [None, None]


@pytest.mark.parametrize("bad", [False, True])
def test_the_bar_ends_at_all_fits(bad):
    candidates = grid(lr=[0.01, -1.0 if bad else 0.1], strategy=[FROZEN, LinearProbing()], head=[HEAD, None])
    text = io.StringIO()
    with redirect_stderr(text), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search(candidates=candidates, verbose=1).fit(X, Y)
    last = text.getvalue().split("\r")[-1]
    assert "100%" in last
    assert f"{2 * len(ParameterGrid(candidates))}/{2 * len(ParameterGrid(candidates))} fits" in last


def test_nothing_is_printed_unless_asked_for():
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        search(candidates=grid(lr=LR, strategy=[FROZEN, LinearProbing()])).fit(X, Y)
    assert (out.getvalue(), err.getvalue()) == ("", "")


class Watches:
    """Records scikit-learn's tasks."""

    max_propagation_depth = None

    def __init__(self):
        self.seen = []

    def setup(self, estimator, context):
        self.seen.append(("setup", context.task_name, estimator))

    def on_fit_task_begin(self, estimator, context, **data):
        self.seen.append(("begin", context.task_name, estimator))

    def on_fit_task_end(self, estimator, context, **data):
        self.seen.append(("end", context.task_name, estimator))

    def teardown(self, estimator, context):
        self.seen.append(("teardown", context.task_name, estimator))

    def count(self, what, task):
        return sum(seen[:2] == (what, task) for seen in self.seen)


class WatchesAlone(Watches):
    """Is not handed on to the estimators of a search."""

    max_propagation_depth = property(lambda self: (_ for _ in ()).throw(AttributeError()))


def test_scikit_learns_callbacks_see_every_fit_and_the_search_that_they_watch():
    pytest.importorskip("sklearn.callback")
    watches = WatchesAlone()
    one = search(candidates=grid(lr=[0.001, 0.01, 0.1])).set_callbacks(watches).fit(X, Y)
    assert how(one) == {"stacked"}
    for what in ("begin", "end"):
        assert watches.count(what, "candidate-split-evaluation") == 6
        assert watches.count(what, "fit") == 1 + 6  # the root, and what trains together
        assert watches.count(what, "refit-with-best-params") == 1
    assert {id(seen[2]) for seen in watches.seen} == {id(one)}
    # the fits are reported while they train: before the first of them is scored
    names = [seen[1] for seen in watches.seen]
    assert names[: names.index("candidate-split-evaluation")].count("fit") == 2 + 2 * 6
    assert {seen[:2] for seen in watches.seen[-2:]} == {("end", "fit"), ("teardown", "fit")}
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"],
        search(candidates=grid(lr=[0.001, 0.01, 0.1])).fit(X, Y).cv_results_["mean_test_score"],
    )
    assert one.get_params()["n_jobs"] is None
    assert one.cv == 2
    assert one.scoring == "neg_log_loss"
    assert one.estimator.steps[-1][0] == "transferclassifier"


def test_scikit_learns_callbacks_are_handed_on_to_fits_that_train_alone():
    pytest.importorskip("sklearn.callback")
    watches = Watches()
    last = type("Mine", (type(model()),), {})(**model().get_params(deep=False))
    candidates = {"lr": [0.01, 0.1], "max_epochs": [3], "strategy": [FineTuning()]}
    one = search(last, candidates).set_callbacks(watches).fit(X, Y)
    assert how(one) == {"alone"}
    assert watches.count("end", "epoch") == 3 * (2 * 2 + 1)  # of each fit, and of the refit
    seen = []
    for kind in (BatchedGridSearchCV, GridSearchCV):
        watches = Watches()
        foreign = kind(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).set_callbacks(watches).fit(X, Y)
        seen.append([task[:2] for task in watches.seen])
        if kind is BatchedGridSearchCV:
            assert how(foreign) == {"alone"}
            assert all("the last step is a LogisticRegression" in why for why in foreign.why_alone_)
    assert seen[0] == seen[1]


def test_scikit_learns_progress_bar_moves_while_the_fits_train():
    pytest.importorskip("sklearn.callback")
    from sklearn.callback import ProgressBar

    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        search().set_callbacks(ProgressBar()).fit(X, Y)
    assert "BatchedGridSearchCV" in text.getvalue()
    assert "100%" in text.getvalue()
    with pytest.raises(ValueError, match=r"of a meta-estimator \(BatchedGridSearchCV\) can't have auto-propagated"):
        search(model().set_callbacks(ProgressBar()), {"lr": LR}).fit(X, Y)


def test_a_search_that_fails_keeps_its_parameters_and_no_results():
    def broken(estimator, X, y):
        raise RuntimeError("scored")

    one = search(scoring=broken, error_score="raise", verbose=0)
    before = repr(one.get_params())
    with pytest.raises(RuntimeError, match="scored"):
        one.fit(X, Y)
    assert repr(one.get_params()) == before
    assert [name for name in vars(one) if name.endswith("_") or name.startswith("_")] == []


class Everywhere(ThreadingBackend):
    """Takes ``n_jobs=1`` for all of its workers, as dask's backend does, and gives results as a list only."""

    supports_return_generator = False

    def effective_n_jobs(self, n_jobs):
        return 2

    def configure(self, n_jobs=1, parallel=None, **options):
        return super().configure(n_jobs=2, parallel=parallel, **options)


@pytest.mark.parametrize("backend", ["everywhere", "multiprocessing", "loky", "threading"])
def test_the_scores_are_the_same_on_every_backend_of_joblib(backend):
    register_parallel_backend("everywhere", Everywhere)
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    candidates = [
        {"logisticregression": [LogisticRegression(C=c) for c in (0.001, 1.0)]},
        {"logisticregression": [model()]},
    ]
    expected = GridSearchCV(estimator, candidates, cv=3).fit(X, Y).cv_results_["mean_test_score"]
    with parallel_config(backend=backend, n_jobs=2):
        for n_jobs in (None, 1, 2):
            one = search(estimator, candidates, cv=3, scoring=None, n_jobs=n_jobs).fit(X, Y)
            assert one.cv_results_["how"].tolist() == ["alone", "alone", "stacked"]
            np.testing.assert_array_equal(one.cv_results_["mean_test_score"], expected)


def test_stacks_train_with_the_threads_of_the_estimator(monkeypatch):
    seen = []
    plain = StackedTraining.train
    monkeypatch.setattr(
        StackedTraining, "train", lambda self, *a: seen.append(torch.get_num_threads()) or plain(self, *a)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for n_jobs in (None, 1, 3, -1):
            search(pipeline(n_jobs=n_jobs), refit=False).fit(X, Y)
            assert torch.get_num_threads() == 2
        search(pipeline(), grid(n_jobs=[1, 3], lr=[0.1]), refit=False).fit(X, Y)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen[:4] == [1, 1, 3, 2]


@pytest.mark.parametrize("strategy", [FROZEN, FineTuning(), LinearProbing()])
def test_the_backbone_is_not_changed(strategy):
    one = search(pipeline(strategy=strategy))
    before = joblib.hash(one.estimator[-1].backbone)
    one.fit(X, Y)
    assert joblib.hash(one.estimator[-1].backbone) == before


def test_it_is_faster_than_one_fit_after_another():
    rows, labels = moons(150)
    candidates = grid(lr=np.geomspace(0.003, 0.1, 6).tolist(), head__dropout=[0.0, 0.5])
    estimator = pipeline(max_epochs=10, batch_size=16)

    def seconds(kind):
        began = time.perf_counter()
        kind(estimator, candidates, cv=3, refit=False).fit(rows, labels)
        return time.perf_counter() - began

    seconds(BatchedGridSearchCV)
    assert min(seconds(BatchedGridSearchCV) for _ in range(3)) < seconds(GridSearchCV) / 4
