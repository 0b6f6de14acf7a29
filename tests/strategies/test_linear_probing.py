"""Solvers of a probe: least squares on class codes and temperatures against refits without each row."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from sktransfer import LinearProbing, MLPHead, ProbeThenTune, TransferClassifier, TransferRegressor
from sktransfer.solvers.logistic import solve_softmax
from sktransfer.solvers.ridge import _CLASS_STRENGTHS, solve_ridge_classes
from sktransfer.solvers.temperature import choose_temperature
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


def problem(n_rows=24, n_classes=3, n_features=5, seed=0, spread=1.5, sharp=4.0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_classes, n_features))
    codes = np.arange(n_rows) % n_classes
    features = means[codes] + spread * rng.normal(size=(n_rows, n_features))
    weight = rng.uniform(0.5, 2.0, size=n_rows)
    W0 = sharp * (means + 0.5 * rng.normal(size=means.shape)) / n_features
    return features, codes, weight, W0, 0.1 * rng.normal(size=n_classes)


def least_squares(features, values, weight, W0, b0, alpha):
    """Normal equations of ``sum_i w_i |y_i - f_i W - b|^2 + a (d |W - W0|^2 + |b - b0|^2)``; rows are weight, bias."""
    n_rows, d = features.shape
    rows, start = np.column_stack([features, np.ones(n_rows)]), np.column_stack([W0, b0]).T
    penalty = alpha * np.diag(np.r_[np.full(d, float(d)), 1.0])
    return np.linalg.solve(
        rows.T @ (weight[:, None] * rows) + penalty, rows.T @ (weight[:, None] * values) + penalty @ start
    )


def codes_on_the_scale_of_logits(features, codes, weight, W0, b0):
    """Centred codes over their regression on the source head's centred logits."""
    start = features @ W0.T + b0
    start = start - start.mean(axis=1, keepdims=True)
    centered = np.eye(len(b0))[codes] - 1 / len(b0)
    root = np.repeat(np.sqrt(weight), len(b0))
    slope = np.linalg.lstsq((root * start.ravel())[:, None], root * centered.ravel(), rcond=None)[0][0]
    return centered / slope


def held_out_scores(features, codes, weight, W0, b0, alpha):
    values = codes_on_the_scale_of_logits(features, codes, weight, W0, b0)
    W0, b0 = W0 - W0.mean(axis=0), b0 - b0.mean()
    scores = []
    for row in range(len(codes)):
        kept = np.arange(len(codes)) != row
        scores.append(
            np.r_[features[row], 1.0] @ least_squares(features[kept], values[kept], weight[kept], W0, b0, alpha)
        )
    return np.array(scores)


def likeliest_temperature(logits, codes, weight):
    def loss(u):
        log_p = log_softmax(logits / np.exp(u), axis=1)
        return -weight @ log_p[np.arange(len(codes)), codes] + 2.0 * u**2

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    return np.exp(found.x), -found.fun


@pytest.mark.parametrize("sharp", [0.5, 1.0, 4.0, 12.0])
def test_the_temperature_is_the_likeliest_under_its_prior(sharp):
    features, codes, weight, W0, b0 = problem(sharp=sharp)
    logits = features @ W0.T + b0
    temperature, score = choose_temperature(logits, np.eye(3)[codes], weight)
    expected, best = likeliest_temperature(logits, codes, weight)
    assert np.log(temperature) == pytest.approx(np.log(expected), abs=0.051)
    assert score == pytest.approx(best, abs=0.1)


def test_logits_that_are_not_finite_leave_the_temperature_at_one():
    assert choose_temperature(np.array([[np.nan, 1.0]]), np.eye(2)[[0]], np.ones(1)) == (1.0, -np.inf)


@pytest.mark.parametrize("alpha", [0.01, 0.3, 10.0])
@pytest.mark.parametrize(("n_rows", "n_features"), [(24, 5), (9, 14)])
def test_ridge_classes_solve_the_normal_equations_at_the_temperature_of_refits(n_rows, n_features, alpha):
    features, codes, weight, W0, b0 = args = problem(n_rows, n_features=n_features)
    values = codes_on_the_scale_of_logits(*args)
    expected = least_squares(features, values, weight, W0 - W0.mean(axis=0), b0 - b0.mean(), alpha)
    temperature, _ = likeliest_temperature(held_out_scores(*args, alpha), codes, weight)
    solved = solve_ridge_classes(*args, alpha)
    assert np.log(solved.temperature) == pytest.approx(np.clip(np.log(temperature), -1.5, 1.5), abs=0.051)
    found = np.column_stack([solved.weight, solved.bias]).T * solved.temperature
    np.testing.assert_allclose(found - found.mean(axis=1, keepdims=True), expected, atol=1e-8)


@pytest.mark.parametrize("spread", [0.3, 1.5, 5.0])
def test_ridge_classes_choose_the_strength_that_makes_refits_likeliest(spread):
    args = problem(spread=spread, seed=3)
    scores = [likeliest_temperature(held_out_scores(*args, a), args[1], args[2])[1] for a in _CLASS_STRENGTHS]
    chosen = solve_ridge_classes(*args, "auto").alpha
    assert scores[list(_CLASS_STRENGTHS).index(chosen)] == pytest.approx(max(scores), abs=0.02)


def test_ridge_classes_without_a_source_head_learn_from_the_codes_alone():
    features, codes, weight, W0, b0 = problem(60, spread=0.5)
    solved = solve_ridge_classes(features, codes, weight, np.zeros_like(W0), np.zeros_like(b0), "auto")
    assert ((features @ solved.weight.T + solved.bias).argmax(axis=1) == codes).mean() > 0.95


@pytest.mark.parametrize("solve", [solve_ridge_classes, lambda *args: solve_softmax(*args, calibrated=True)])
def test_an_infinite_pull_keeps_the_source_head_and_its_temperature(solve):
    args = problem()
    solved = solve(*args, np.inf)
    np.testing.assert_array_equal(solved.weight, args[3])
    np.testing.assert_array_equal(solved.bias, args[4])
    assert solved.temperature == 1.0


@pytest.mark.parametrize("alpha", [0.03, 1.0])
@pytest.mark.parametrize("sharp", [1.0, 10.0])
def test_a_softmax_head_is_divided_by_the_temperature_of_refits(sharp, alpha):
    features, codes, weight, W0, b0 = args = problem(30, sharp=sharp)
    plain, calibrated = solve_softmax(*args, alpha), solve_softmax(*args, alpha, calibrated=True)
    logits = []
    for row in range(30):
        kept = np.arange(30) != row
        without = solve_softmax(features[kept], codes[kept], weight[kept], W0, b0, alpha)
        logits.append(features[row] @ without.weight.T + without.bias)
    expected, _ = likeliest_temperature(np.array(logits), codes, weight)
    assert plain.temperature == 1.0
    assert np.log(calibrated.temperature) == pytest.approx(np.log(expected), abs=0.2)  # one Newton step, grid
    np.testing.assert_allclose(calibrated.weight * calibrated.temperature, plain.weight, atol=1e-3)


def test_more_unknowns_take_the_temperature_of_five_folds_and_very_many_rows_none():
    calibrated = solve_softmax(
        *problem(400, n_classes=9, n_features=90, spread=3.0, sharp=60.0), "auto", calibrated=True
    )
    assert calibrated.temperature > 1.1  # the source head was far too sharp
    args = problem(2100, n_classes=9, n_features=90, spread=3.0, sharp=60.0)
    assert [solve_softmax(*args, alpha, calibrated=True).temperature for alpha in (1.0, "auto")] == [1.0, 1.0]


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


def test_only_a_head_that_nothing_trains_after_is_calibrated(backbone):
    X, y = moons(40, seed=1, offset=0.5)
    probed = TransferClassifier(backbone, strategy=LinearProbing()).fit(X, y).history_[0]
    tuned = TransferClassifier(backbone, strategy=ProbeThenTune(), max_epochs=1).fit(X, y).history_[0]
    assert probed["alpha"] == tuned["alpha"]
    assert probed["temperature"] != tuned["temperature"] == 1.0


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
