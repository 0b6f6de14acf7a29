"""Linear probing: its solvers, what is calibrated, and wrong parameters."""

import numpy as np
import pytest

from sktransfer import LinearProbing, MLPHead, ProbeThenTune, TransferClassifier, TransferRegressor
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


@pytest.mark.parametrize("solver", ["lbfgs", "ridge", "sgd"])
def test_every_solver_learns_the_head_and_leaves_the_backbone(backbone, solver):
    X, y = moons(200, seed=1, offset=0.3)
    strategy = LinearProbing(solver=solver)
    model = TransferClassifier(backbone, strategy=strategy, max_epochs=60, lr=0.01, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.75
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    for before, after in zip(backbone.weights, model.backbone_.weights, strict=True):
        for key in before:
            np.testing.assert_array_equal(after[key], before[key])
    trained = [record["train_loss"] for record in model.history_ if "train_loss" in record]
    assert len(trained) == (60 if solver == "sgd" else 0)
    assert ("temperature" in model.history_[0]) == (solver != "sgd")


def test_a_head_that_trains_on_has_the_alpha_and_the_temperature_of_one_that_does_not(backbone):
    X, y = moons(40, seed=1, offset=0.5)
    probed = TransferClassifier(backbone, strategy=LinearProbing()).fit(X, y).history_[0]
    tuned = TransferClassifier(backbone, strategy=ProbeThenTune(alpha="auto"), max_epochs=1).fit(X, y).history_[0]
    assert probed == tuned


def test_a_regressor_has_one_solution_for_both_solvers(backbone):
    X, _ = moons(60, seed=1)
    fits = [TransferRegressor(backbone, strategy=LinearProbing(solver=s)).fit(X, X[:, 0]) for s in ("lbfgs", "ridge")]
    np.testing.assert_array_equal(fits[0].predict(X), fits[1].predict(X))


@pytest.mark.parametrize(
    ("strategy", "match"),
    [
        (LinearProbing(solver="newton"), "'solver' parameter of LinearProbing must be one of 'lbfgs', 'ridge', 'sgd'"),
        (LinearProbing(alpha=1.0, solver="sgd"), "alpha=1.0 with solver='sgd'"),
    ],
)
def test_solvers_that_are_none_are_refused(backbone, strategy, match):
    for head in (None, MLPHead((4,))):
        with pytest.raises(ValueError, match=match):
            TransferClassifier(backbone, head=head, strategy=strategy).fit(*moons(30))


@pytest.mark.parametrize("alpha", [-1, "some", None, True, float("nan")])
@pytest.mark.parametrize("strategy", [LinearProbing, ProbeThenTune])
def test_an_alpha_that_is_no_number_of_at_least_zero_is_refused(strategy, alpha):
    with pytest.raises(ValueError, match=f"{strategy.__name__} got alpha"):
        strategy(alpha=alpha).head_solver()


@pytest.mark.parametrize("alpha", [np.int64(1), np.float32(1), 1])
def test_a_pull_may_be_any_number(alpha):
    assert LinearProbing(alpha=alpha).head_solver().alpha == 1.0


def test_rows_too_large_to_choose_a_pull_are_an_error_that_says_so(backbone):
    X, y = moons(200)
    with pytest.raises(ValueError, match="orders of magnitude"):
        TransferClassifier(backbone, strategy=LinearProbing()).fit(X * 1e12, y)
