"""Labels of a regression that are not what they seem, and weights that only their ratios tell."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import AdaBoostRegressor
from sklearn.metrics import r2_score

from sktransfer import (
    L2SP,
    DataQualityWarning,
    FineTuning,
    FromScratch,
    GradualUnfreezing,
    LinearHead,
    LinearProbing,
    OutOfRangeWarning,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.training.label_unit import LabelUnit, in_unit_of_labels
from sktransfer.training.rows import TrainingRows
from tests.helpers import moons, small_backbone

SMALL = FromScratch(arguments={"hidden_layer_sizes": (32, 16)})


def life(n, seed, offset=0.0):
    """Remaining life between 0 and 1 from four columns."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    return X + offset, 1 / (1 + np.exp(-X[:, 0] + 0.7 * X[:, 1] * X[:, 2]))


@pytest.fixture(scope="module")
def source():
    return TransferRegressor(SMALL, max_epochs=150, random_state=0).fit(*life(500, 0)).backbone_


def said_in(call, *arguments, words):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*arguments)
    return result, [str(w.message) for w in caught if words in str(w.message)]


# ---- weights


@pytest.mark.parametrize("factor", [0.5, 0.2, 0.025, 1 / 3, 2.5])
@pytest.mark.parametrize("strategy", [LinearProbing(), None], ids=["solved", "default"])
def test_equal_weights_that_are_no_counts_are_no_weights(source, factor, strategy):
    X, y = life(40, 1)
    model = TransferRegressor(source, strategy=strategy, max_epochs=3, random_state=0)
    expected = clone(model).fit(X, y).predict(X)
    np.testing.assert_allclose(
        clone(model).fit(X, y, sample_weight=np.full(40, factor)).predict(X), expected, atol=1e-4
    )


@pytest.mark.parametrize("class_weight", [{"leak": 0.5, "normal": 0.5, "wear": 0.5}, "balanced", None])
def test_classes_too_know_ratios_alone(class_weight):
    X, y = moons(60, seed=1)
    model = TransferClassifier(small_backbone(), strategy=LinearProbing(), random_state=0)
    weight = np.random.default_rng(0).uniform(0.2, 3.0, size=60)
    model.set_params(class_weight=class_weight)
    one, other = (clone(model).fit(X, y, sample_weight=w).predict_proba(X) for w in (weight, weight / 1000))
    np.testing.assert_allclose(one, other, atol=1e-4)
    if isinstance(class_weight, dict):
        plain = clone(model).set_params(class_weight=None)
        np.testing.assert_allclose(clone(model).fit(X, y).predict_proba(X), plain.fit(X, y).predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("class_weight", [None, "balanced", {"leak": 2, "normal": 1, "wear": 1}])
def test_whole_numbers_still_count_rows(class_weight):
    X, y = moons(50, seed=1)
    counts = np.random.default_rng(0).integers(0, 4, size=50)
    model = TransferClassifier(small_backbone(), strategy=LinearProbing(), class_weight=class_weight, random_state=0)
    weighted = clone(model).fit(X, y, sample_weight=counts).predict_proba(X)
    repeated = clone(model).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts)).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, atol=1e-6)
    assert np.abs(weighted - clone(model).fit(X, y).predict_proba(X)).max() > 1e-3


def test_boosting_five_is_no_worse_than_one(source):
    X, y = life(40, 2)
    X_test, y_test = life(400, 3)
    one = TransferRegressor(source, strategy=LinearProbing())
    alone = r2_score(y_test, clone(one).fit(X, y).predict(X_test))
    five = AdaBoostRegressor(one, n_estimators=5, random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfRangeWarning)
        assert r2_score(y_test, five.predict(X_test)) > alone - 0.05


# ---- constants and codes


@pytest.mark.parametrize("constant", [0.1, 0.7, -1.3e5, 0.0])
def test_a_constant_is_predicted_as_such(constant):
    X, _ = life(37, 0)
    model = TransferRegressor(SMALL, max_epochs=3, random_state=0).fit(X, np.full(37, constant))
    assert model.y_scale_ == 1.0
    assert all(record["train_loss"] < 1 for record in model.history_ if "train_loss" in record)
    np.testing.assert_allclose(model.predict(X), constant, rtol=1e-3, atol=0.1)


@pytest.mark.parametrize(("code", "n"), [(-9999.0, 1), (-999.25, 2), (65535.0, 1), (-5.0e4, 3)])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_code_of_missing_data_in_y_is_said(code, n, n_outputs):
    X, y = life(60, 0)
    y[7 : 7 + n] = code
    y = y if n_outputs == 1 else np.column_stack([X[:, 0], y])
    _, said = said_in(TransferRegressor(SMALL, max_epochs=1).fit, X, y, words="If it marks missing data")
    assert len(said) == 1
    assert f"{code:g} in {n} of 60 rows" in said[0]


def test_ordinary_labels_are_not_remarked_on(source):
    for seed in range(4):
        X, y = life(60, seed)
        for labels in (y, np.round(y), 9999 * y / y.max(), np.exp(5 * X[:, 0]), np.r_[np.zeros(30), y[30:]]):
            fresh = TransferRegressor(SMALL, max_epochs=1)
            assert said_in(fresh.fit, X, labels, words="missing data")[1] == []
        few = TransferRegressor(source, max_epochs=3, random_state=0)
        assert said_in(few.fit, X[:8], y[:8], words="unit")[1] == []


# ---- another unit


UNITS = {"percent": lambda y: 100 * y, "hours": lambda y: 8760 * y + 40, "thousandths": lambda y: 5 + y / 1000}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("strategy", [FineTuning(), GradualUnfreezing(), FineTuning() & L2SP(0.01), None])
def test_labels_in_another_unit_are_learned_as_well_as_in_the_source_s(source, unit, strategy):
    X, y = life(60, 4)
    X_test, y_test = life(300, 5)
    model = TransferRegressor(source, strategy=strategy, max_epochs=15, random_state=0)
    expected = r2_score(y_test, clone(model).fit(X, y).predict(X_test))
    assert expected > 0.8
    changed, said = said_in(clone(model).fit, X, UNITS[unit](y), words="another unit")
    assert len(said) == 1
    assert "its outputs times" in said[0]
    assert r2_score(UNITS[unit](y_test), changed.predict(X_test)) > expected - 0.05


def test_a_source_head_of_something_else_is_left_out(source):
    X, _ = life(60, 4)
    other = 500 + 3 * np.random.default_rng(0).normal(size=60)
    model, said = said_in(TransferRegressor(source, strategy=LinearProbing()).fit, X, other, words="another unit")
    assert "not used" in said[0]
    # the mean of the labels
    assert np.abs(model.predict(X) - 500).max() < 3


def test_few_labels_that_lie_together_do_not_rescale_the_source_head(source):
    X, y = life(400, 4)
    for n in (3, 5, 9):
        near = np.argsort(y)[100 : 100 + 2 * n : 2]  # spread of labels much smaller than the error of the source
        _, said = said_in(
            TransferRegressor(source, strategy=LinearProbing()).fit, X[near], y[near] + 0.03, words="unit"
        )
        assert said == []
    _, said = said_in(
        TransferRegressor(source, strategy=FineTuning(), max_epochs=2).fit, X[:6], 5 + y[:6] / 1e3, words="unit"
    )
    assert len(said) == 1


def test_the_head_as_it_is_is_given_to_those_who_ask(source):
    X, y = life(30, 4)
    model = TransferRegressor(source, head=LinearHead(init="source"), strategy=LinearProbing(alpha=np.inf))
    model, said = said_in(model.fit, X, 100 * y, words="another unit")
    assert said == []
    assert np.abs(model.predict(X)).max() < 3


def test_the_unit_by_formula():
    rng = np.random.default_rng(0)
    features, W = rng.normal(size=(30, 3)), rng.normal(size=(2, 3))
    outputs = features @ W.T + [1.0, -2.0]
    y = np.column_stack([(outputs[:, 0] - outputs[:, 0].mean()) / 40, outputs[:, 1]])
    given = LabelUnit(W * 7, np.array([7.0, -2.0]), np.ones(2, dtype=bool))
    given.weight[1] /= 7
    given.weight[0] *= 10
    given.bias[0] *= 10
    found = in_unit_of_labels(given, features, TrainingRows(features, y, np.ones(30)))
    np.testing.assert_allclose(features @ found.weight.T + found.bias, y, atol=1e-9)
    assert found.known.all()
    assert found.changed == f"its outputs times {1 / 2800:.3g}, moved to the mean of the labels"
    few = slice(0, 2)
    assert in_unit_of_labels(given, features[few], TrainingRows(features[few], y[few], np.ones(2))) is given
    assert in_unit_of_labels(given, None, TrainingRows(features, y, np.ones(30))) is given


# ---- beyond the labels


def test_predictions_far_beyond_the_labels_are_counted(source):
    X, y = life(60, 4)
    model = TransferRegressor(source, strategy=LinearProbing()).fit(X, y)
    np.testing.assert_allclose(model.y_range_[:, 0], [y.min(), y.max()])
    assert said_in(model.predict, life(400, 6)[0], words="whole range")[1] == []
    model.y_scale_ = 20 * model.y_scale_
    far = model.predict(X)
    span = np.ptp(y)
    expected = int(((far < y.min() - span) | (far > y.max() + span)).sum())
    assert 0 < expected < 60
    found = said_in(model.predict, X, words="whole range")[1]
    assert len(found) == 1
    assert f"{expected} of 60 predictions" in found[0]
    few = TransferRegressor(source, strategy=LinearProbing()).fit(X[:5], y[:5])
    assert few.y_range_ is None


def test_the_warnings_are_of_data_and_of_range(source):
    X, y = life(30, 4)
    with pytest.warns(DataQualityWarning, match="LinearHead"):
        model = TransferRegressor(source, strategy=LinearProbing()).fit(X, 100 * y)
    model.y_scale_ = 90 * model.y_scale_
    with pytest.warns(OutOfRangeWarning, match="clip what cannot be"):
        model.predict(X)


@pytest.mark.parametrize(("offset", "kept"), [(1.79, True), (1.95, False)])
def test_another_unit_must_be_four_times_better(offset, kept):
    """Twenty labels of mean 0 and deviation 1, and a head that says `offset`: the mean misses by (1 / (1 - 1/20))^2."""
    label = np.resize([-1.0, 1.0], 20)
    rows = TrainingRows(np.zeros((20, 1)), label[:, None], np.ones(20))
    given = LabelUnit(np.zeros((1, 1)), np.array([offset]), np.array([True]))
    assert (offset**2 + 1 < 4 / (1 - 1 / 20) ** 2) is kept
    assert in_unit_of_labels(given, np.zeros((20, 1)), rows).known[0] == kept
