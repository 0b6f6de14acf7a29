"""MultiTaskTransfer: several tasks in one fit, against single tasks, by hand, and laws."""

import io

import joblib
import numpy as np
import pandas as pd
import pytest
import torch

from sktransfer import (
    FromScratch,
    LinearProbing,
    MLPHead,
    MultiTaskTransfer,
    SourceClassifier,
    SourceRegressor,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.training.multi_task import MultiTask
from sktransfer.training.tasks import Classification, Regression
from tests.helpers import computing_in, moons, small_backbone

SMALL = FromScratch(arguments={"hidden_layer_sizes": (32, 16)})


def machine(n_rows=300, seed=0):
    """Rows with a fault, a severity in whole numbers and a remaining life."""
    X, fault = moons(n_rows, seed)
    return X, {"fault": fault, "severity": (X[:, 0] > 0) * 2 + 1, "life": 40.5 * X[:, 1] + 500.25}


def test_one_fit_answers_all_tasks():
    X, y = machine(1200)
    model = MultiTaskTransfer(SMALL, lr=0.01, random_state=0).fit(X, y)
    answers = model.predict(X)
    assert list(answers) == ["fault", "severity", "life"]
    assert model.tasks_ == {"fault": "classification", "severity": "classification", "life": "regression"}
    assert (answers["fault"] == y["fault"]).mean() > 0.93
    assert (answers["severity"] == y["severity"]).mean() > 0.97
    assert answers["severity"].dtype.kind == "i"
    assert np.corrcoef(answers["life"], y["life"])[0, 1] > 0.98
    assert abs(np.mean(answers["life"] - y["life"])) < 5
    probabilities = model.predict_proba(X)
    assert list(probabilities) == ["fault", "severity"]
    np.testing.assert_allclose(probabilities["fault"].sum(axis=1), 1)
    assert model.score(X, y) > 0.93


def test_the_loss_is_the_mean_of_the_tasks_over_the_rows_with_a_label():
    classes = Classification(np.array(["a", "b", "c"]), None)
    values = Regression(np.zeros(1), np.ones(1))
    codes, weight = np.array([[0.0], [2.0], [-1.0], [1.0]]), np.ones(4)
    numbers = np.array([[0.5, 1.0], [0.0, 0.0], [-1.0, 1.0], [0.0, 0.0]])
    both = MultiTask([classes, values], [codes, numbers], weight)
    outputs = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.as_tensor(np.concatenate([codes, numbers], axis=1))
    logits = outputs[:, :3].numpy()
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    cross_entropy = -(log_p[0, 0] + log_p[1, 2] + log_p[3, 1]) / 3
    squared = ((outputs[0, 3] - 0.5) ** 2 + (outputs[2, 3] + 1) ** 2).item() / 2
    expected = (cross_entropy / np.log(3) + squared) / 2
    assert both.loss(outputs, labels).mean().item() == pytest.approx(expected)


def test_a_row_without_any_label_moves_nothing():
    labels = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.3, 1.0]])
    both = MultiTask(
        [Classification(np.array([0, 1]), None), Regression(np.zeros(1), np.ones(1))],
        [labels[:, :1].numpy(), labels[:, 1:].numpy()],
        np.ones(2),
    )
    outputs = torch.zeros(2, 3, requires_grad=True)
    both.loss(outputs, labels).sum().backward()
    assert (outputs.grad[0] == 0).all()
    assert (outputs.grad[1] != 0).all()


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_probing_each_task_equals_the_fit_of_the_task_alone(kind):
    # frozen features, so that the tasks share nothing that learns
    X, y = machine(60)
    backbone = small_backbone()
    with computing_in(np.float64):
        both = MultiTaskTransfer(backbone, strategy=LinearProbing(alpha=0.3)).fit(X, y)
        if kind == "classification":
            alone = TransferClassifier(backbone, strategy=LinearProbing(alpha=0.3)).fit(X, y["fault"])
            assert (both.predict(X)["fault"] == alone.predict(X)).all()
            logits = np.log(both.predict_proba(X)["fault"]), np.log(alone.predict_proba(X))
            logits = [found - found.mean(axis=1, keepdims=True) for found in logits]
            temperature = np.median(logits[1] / logits[0])  # one number for all rows and classes
            np.testing.assert_allclose(logits[0], logits[1] / temperature, atol=1e-4)
            assert temperature == pytest.approx(1 / alone.history_[0]["temperature"], rel=1e-3)
        else:
            alone = TransferRegressor(backbone, strategy=LinearProbing(alpha=0.3)).fit(X, y["life"])
            np.testing.assert_allclose(both.predict(X)["life"], alone.predict(X), rtol=1e-5)


def test_missing_labels_are_those_of_the_rows_that_have_one():
    X, y = machine(60)
    backbone, half = small_backbone(), np.arange(60) % 2 == 0
    masked = {"fault": np.where(half, y["fault"], None), "life": y["life"]}
    with computing_in(np.float64):
        both = MultiTaskTransfer(backbone, strategy=LinearProbing(alpha=0.3)).fit(X, masked)
        alone = TransferClassifier(backbone, strategy=LinearProbing(alpha=0.3)).fit(X[half], y["fault"][half])
    assert (both.predict(X)["fault"] == alone.predict(X)).all()
    assert both.n_labels_ == {"fault": 30, "life": 60}


def test_order_of_rows_has_no_effect_and_a_weight_of_two_is_the_row_twice():
    X, y = machine(80)
    y["severity"] = np.where(np.arange(80) % 3 == 0, np.nan, y["severity"])
    options = {"backbone": SMALL, "max_epochs": 5, "random_state": 0}
    order = np.random.default_rng(1).permutation(80)
    plain = MultiTaskTransfer(**options).fit(X, y).predict(X)
    turned = MultiTaskTransfer(**options).fit(X[order], {k: v[order] for k, v in y.items()}).predict(X)
    twice = np.r_[np.arange(80), np.arange(10)]
    copied = MultiTaskTransfer(**options).fit(X[twice], {k: v[twice] for k, v in y.items()}).predict(X)
    weighted = MultiTaskTransfer(**options).fit(X, y, sample_weight=np.r_[[2] * 10, [1] * 70]).predict(X)
    np.testing.assert_array_equal(plain["life"], turned["life"])
    np.testing.assert_allclose(copied["life"], weighted["life"], rtol=1e-5)
    assert not np.allclose(plain["life"], copied["life"], rtol=1e-5)


@pytest.mark.parametrize("form", ["frame", "table", "vector"])
def test_the_answer_has_the_form_of_y(form):
    X, y = machine(60)
    if form == "frame":
        model = MultiTaskTransfer(SMALL, max_epochs=3).fit(X, pd.DataFrame(y))
        answer = model.predict(X)
        assert isinstance(answer, pd.DataFrame)
        assert list(answer.columns) == ["fault", "severity", "life"]
        assert answer["severity"].dtype.kind == "i"
    elif form == "table":
        model = MultiTaskTransfer(SMALL, max_epochs=3).fit(X, np.c_[y["severity"], y["severity"] * 3])
        assert model.predict(X).shape == (60, 2)
        assert model.task_names_ == [0, 1]
    else:
        model = MultiTaskTransfer(SMALL, max_epochs=3).fit(X, y["fault"])
        assert set(model.predict(X)) <= set(y["fault"])


def test_a_task_for_each_machine_gives_each_a_head_of_its_own():
    """The sign of the first column means the opposite on the second machine: no common head could tell."""
    X, _ = moons(600)
    machine = np.arange(600) % 2
    leaks = np.where((X[:, 0] > 0) == (machine == 0), "leak", "ok").astype(object)
    y = {name: np.where(machine == number, leaks, None) for number, name in enumerate(("pump A", "pump B"))}
    model = MultiTaskTransfer(SMALL, lr=0.01, random_state=0).fit(X, y)
    answers = model.predict(X)
    for number, name in enumerate(y):
        assert (answers[name] == leaks)[machine == number].mean() > 0.97
        assert (answers[name] == leaks)[machine != number].mean() < 0.03


def test_what_was_learned_goes_on_to_one_task():
    X, y = machine(1200)
    both = MultiTaskTransfer(SMALL, lr=0.01, random_state=0).fit(X, y)
    fault, life = both.backbone_for("fault"), both.backbone_for("life")
    new, labels = machine(200, seed=5)
    assert (SourceClassifier(fault).predict(new) == both.predict(new)["fault"]).all()
    np.testing.assert_allclose(SourceRegressor(life).predict(new), both.predict(new)["life"], rtol=1e-3)
    tuned = TransferClassifier(fault, random_state=0).fit(new[:60], labels["fault"][:60])
    assert tuned.source_classes_ == ["leak", "normal", "wear"]
    assert tuned.score(new[60:], labels["fault"][60:]) > 0.85
    hidden = MultiTaskTransfer(SMALL, head=MLPHead((8,)), max_epochs=3).fit(X, y)
    assert hidden.backbone_for("fault").source.weight is None


def test_a_file_answers_as_before():
    X, y = machine(80)
    model = MultiTaskTransfer(SMALL, max_epochs=3, random_state=0).fit(X, y)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    again = joblib.load(file)
    np.testing.assert_array_equal(again.predict(X)["life"], model.predict(X)["life"])
    np.testing.assert_array_equal(again.predict(X)["fault"], model.predict(X)["fault"])


@pytest.mark.parametrize(
    ("y", "tasks", "words"),
    [
        ({}, None, "without a single task"),
        ({"fault": ["a", "b"]}, None, "expected \\(6,\\)"),
        ({"fault": ["a"] * 6}, None, "task 'fault' needs rows of at least two classes"),
        ({"fault": [None] * 6, "life": np.arange(6) + 0.5}, None, "no row has a label"),
        ({"life": [np.nan] * 6}, {"life": "regression"}, "no row has a label"),
        ({"fault": list("ababab")}, {"fault": "ranking"}, "'tasks' parameter"),
        ({"fault": list("ababab")}, {"life": "regression"}, "'tasks' parameter"),
        ({"life": [0.5, np.inf, 1, 2, 3, 4]}, None, "task 'life'.*infinity"),
        (np.zeros((6, 2, 2)), None, "shape \\(6, 2, 2\\)"),
    ],
)
def test_labels_that_are_none_are_an_error_that_names_the_task(y, tasks, words):
    X = np.random.default_rng(0).normal(size=(6, 4))
    with pytest.raises(ValueError, match=words):
        MultiTaskTransfer(SMALL, tasks=tasks, max_epochs=2).fit(X, y)


def test_kinds_can_be_stated():
    X, y = machine(60)
    model = MultiTaskTransfer(SMALL, tasks={"severity": "regression"}, max_epochs=2).fit(X, y)
    assert model.tasks_["severity"] == "regression"
    assert "severity" not in model.predict_proba(X)
    with pytest.raises(ValueError, match="has no task 'wear'"):
        model.backbone_for("wear")
