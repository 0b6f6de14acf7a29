"""A search leaves what it shares between candidates as it is, whatever the steps and strategies of its user do."""

import warnings

import numpy as np
import torch
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from torch import nn

from sktransfer import (
    L2SP,
    Augmentation,
    Backbone,
    BatchedGridSearchCV,
    FineTuning,
    FromScratch,
    Inputs,
    MLPHead,
    TransferClassifier,
    TransferRegressor,
    save_backbone,
)
from sktransfer.model_selection import last_step
from tests.searches import LR, X, Y, backbone, how, model


def same_scores(estimator, candidates, cv=3):
    ours = BatchedGridSearchCV(estimator, candidates, cv=cv, refit=False).fit(X, Y)
    theirs = GridSearchCV(estimator, candidates, cv=cv, refit=False).fit(X, Y)
    np.testing.assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    return ours


def test_a_step_that_works_in_place_does_not_change_what_other_candidates_are_fitted_to():
    steps = [("a", FunctionTransformer(np.copy)), ("b", StandardScaler(copy=False)), ("c", KNeighborsClassifier(3))]
    same_scores(Pipeline(steps), {"b__with_std": [True, False], "c__n_neighbors": [1, 3]})


def test_one_fitted_object_may_be_two_steps():
    turned = FrozenEstimator(StandardScaler().fit(X))
    steps = [("a", turned), ("b", turned), ("c", SelectKBest(k=2)), ("d", KNeighborsClassifier(3))]
    same_scores(Pipeline(steps), {"c__k": [1, 2]})


def test_what_a_fit_alone_learned_comes_back_from_worker_processes():
    alone = model(strategy=FineTuning() & Augmentation(jitter=0.1), max_epochs=2)
    one = BatchedGridSearchCV(alone, {"lr": LR}, cv=2, refit=False).fit(X, Y)
    two = BatchedGridSearchCV(alone, {"lr": LR}, cv=2, n_jobs=2, refit=False).fit(X, Y)
    assert how(one) == how(two) == {"alone"}
    assert all("augments" in reason for reason in two.why_alone_)
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


def test_a_penalty_that_needs_weights_is_asked_with_weights():
    class Lasso(FineTuning):
        def penalty(self, weights, source):
            return 1e-3 * torch.stack([weight.abs().sum() for weight in weights.values()]).sum()

    search = BatchedGridSearchCV(model(strategy=Lasso(2), max_epochs=2), {"lr": LR}, cv=2, refit=False).fit(X, Y)
    assert how(search) == {"stacked"}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_names_of_inputs_may_be_a_list():
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
    named = Backbone(network, inputs=Inputs(n=4, names=list("pqrs"), units=["bar"] * 4))
    assert named.inputs.names == tuple("pqrs")
    assert named.inputs.units == ("bar",) * 4
    search = BatchedGridSearchCV(TransferClassifier(named), {"max_epochs": [1, 2]}, cv=2, refit=False).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_sample_weights_bring_no_warning_about_an_object_of_the_search():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BatchedGridSearchCV(model(), {"lr": LR}, cv=2, refit=False).fit(X, Y, sample_weight=np.ones(len(X)))


def test_rows_that_a_step_returned_are_forgotten_when_all_steps_are_fitted(monkeypatch):
    seen = []
    plain = last_step.FittedSteps.forget_rows

    def forget(self):
        plain(self)
        seen.append([kept.Xt for kept in self.values()])

    monkeypatch.setattr(last_step.FittedSteps, "forget_rows", forget)
    steps = [("a", PolynomialFeatures()), ("b", StandardScaler()), ("c", KNeighborsClassifier())]
    BatchedGridSearchCV(Pipeline(steps), {"a__degree": [1, 2]}, cv=2, refit=False).fit(X, Y)
    assert len(seen[-1]) == 2 * 2 * 2  # steps, degrees, folds
    assert all(rows is None for rows in seen[-1])


def test_a_file_is_read_once_a_search(tmp_path, monkeypatch):
    path, calls = save_backbone(backbone(), tmp_path / "b.safetensors"), []
    from sktransfer.backbones import from_scratch

    plain = from_scratch.load_backbone
    monkeypatch.setattr(from_scratch, "load_backbone", lambda given: (calls.append(given), plain(given))[1])
    search = BatchedGridSearchCV(TransferClassifier(path), {"lr": LR}, cv=3, refit=False).fit(X, Y)
    assert "alone" not in how(search)
    assert len(calls) == 1


def test_an_untrained_network_is_made_once_a_search(monkeypatch):
    built, build = [], FromScratch.build
    monkeypatch.setattr(FromScratch, "build", lambda self, *shape: built.append(shape) or build(self, *shape))
    recipe = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    estimator = model(recipe, strategy=None, head=None)
    one = BatchedGridSearchCV(estimator, {"lr": LR, "class_weight": [None, "balanced"]}, cv=3, refit=False).fit(X, Y)
    assert how(one) == {"stacked"}
    assert len(built) == 1
    estimator.random_state = 1
    BatchedGridSearchCV(estimator, {"random_state": [0, 1]}, cv=3, refit=False).fit(X, Y)
    assert len(built) == 1 + 2  # another seed is another network


def test_the_copy_of_a_step_is_what_a_clone_is():
    state, callback = np.random.RandomState(0), [("own", object())]
    steps = [
        model(head=MLPHead((8,), dropout=0.3), strategy=FineTuning(1) & L2SP(0.1), random_state=state),
        model(FromScratch(arguments={"hidden_layer_sizes": (8,)}), callbacks=callback, class_weight={"leak": 2.0}),
        TransferRegressor(backbone()),
        KNeighborsClassifier(3),
    ]
    for step in steps:
        copied, cloned = last_step.copy_step(step), clone(step)
        assert type(copied) is type(cloned)
        assert {**vars(copied)}.keys() == {**vars(cloned)}.keys()
        plain = {"random_state": None, "callbacks": None} if "callbacks" in step.get_params() else {}
        assert repr(clone(copied).set_params(**plain)) == repr(cloned.set_params(**plain))
        cloned = clone(step)
        for name, value in step.get_params(deep=False).items():
            mine, theirs = getattr(copied, name), getattr(cloned, name)
            assert (mine is value) is (theirs is value), name
    nested = last_step.copy_step(steps[0])
    nested.set_params(head__dropout=0.9, strategy__second__alpha=7.0)
    nested.random_state.uniform(size=10)
    assert steps[0].head.dropout == 0.3
    assert steps[0].strategy.second.alpha == 0.1
    assert state.uniform() == np.random.RandomState(0).uniform()
