"""TransferRegressor: values in any unit, and what the source knew is kept."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score

from sktransfer import (
    FeatureExtractor,
    FineTuning,
    FromScratch,
    LinearHead,
    LinearProbing,
    MLPHead,
    OutOfRangeWarning,
    ProbeThenTune,
    TransferRegressor,
)
from tests.helpers import moons, small_backbone

SMALL = FromScratch(arguments={"hidden_layer_sizes": (16, 8)})


def wear(n_rows=400, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    return X, 50.0 + 20.0 * np.abs(X[:, 0]) - 10.0 * X[:, 1] * (X[:, 2] > 0)


@pytest.fixture(scope="module")
def source():
    recipe = FromScratch(arguments={"hidden_layer_sizes": (32, 32, 16)})
    X, y = wear(800)
    return TransferRegressor(recipe, max_epochs=60, lr=0.01, batch_size=64, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def faults():
    return small_backbone(max_epochs=20)


def test_the_source_task_is_learned(source):
    X, y = wear(500, seed=9)
    assert source.score(X, y) > 0.9


@pytest.mark.parametrize("strategy", [None, FineTuning(1), ProbeThenTune()])
def test_fitting_twice_is_fitting_once(source, strategy):
    X, y = wear(40, seed=1)
    model = TransferRegressor(source.backbone_, strategy=strategy, max_epochs=3, random_state=0)
    once = clone(model).fit(X, y).predict(X)
    twice = model.fit(-X, y * 7).fit(X, y).predict(X)
    np.testing.assert_array_equal(once, twice)


def test_the_unit_of_the_values_does_not_matter(source):
    X, y = wear(60, seed=1)
    for model in (
        TransferRegressor(SMALL, max_epochs=5, random_state=0),
        TransferRegressor(source.backbone_, strategy=LinearProbing()),
    ):
        model.set_params(backbone=model.backbone)
        hours = clone(model).fit(X, y).predict(X)
        seconds = clone(model).fit(X, y * 3600.0).predict(X)
        if model.backbone is SMALL:
            np.testing.assert_allclose(seconds, hours * 3600.0, rtol=1e-3)
        assert r2_score(y * 3600.0, seconds) > (0.9 if model.backbone is not SMALL else -1)


def test_several_values_a_row(source):
    X, y = wear(60, seed=1)
    Y = np.column_stack([y, -1000 * y, X[:, 0]])
    model = TransferRegressor(source.backbone_, strategy=LinearProbing()).fit(X, Y)
    assert model.predict(X).shape == (60, 3)
    assert model.n_outputs_ == 3
    assert r2_score(Y[:, 0], model.predict(X)[:, 0]) > 0.9
    np.testing.assert_allclose(model.predict(X)[:, 1], -1000 * model.predict(X)[:, 0], rtol=1e-4)
    assert TransferRegressor(source.backbone_, strategy=LinearProbing()).fit(X, y).predict(X).shape == (60,)
    with pytest.warns(Warning, match="column-vector"):
        assert TransferRegressor(source.backbone_, strategy=LinearProbing()).fit(X, y[:, None]).predict(X).shape == (
            60,
        )


def test_a_constant_value_is_predicted_as_it_is(source):
    X, _ = wear(30, seed=1)
    for backbone in (SMALL, source.backbone_):
        model = TransferRegressor(backbone, max_epochs=20, random_state=0).fit(X, np.full(30, 7.5))
        np.testing.assert_allclose(model.predict(X), 7.5, atol=0.75)


def test_the_source_head_is_used_again_in_new_units(source):
    """With an infinite pull the head is the source's, whatever unit and offset the new labels came in."""
    X, _ = wear(30, seed=1)
    for labels in (X[:, 3], 1e4 + 1e3 * X[:, 3]):
        model = TransferRegressor(source.backbone_, strategy=LinearProbing(alpha=np.inf)).fit(X, labels)
        np.testing.assert_allclose(model.predict(X), source.predict(X), rtol=1e-3, atol=1e-3)


def test_the_loop_closes(source):
    X, y = wear(50, seed=2)
    for strategy in (None, FineTuning(2)):
        first = TransferRegressor(source.backbone_, strategy=strategy, max_epochs=3, random_state=0).fit(X, y + 30)
        again = TransferRegressor(first.backbone_, strategy=LinearProbing(alpha=np.inf)).fit(X[:20], y[:20])
        np.testing.assert_allclose(again.predict(X), first.predict(X), rtol=1e-3, atol=0.02)


def test_the_source_head_in_label_units_is_the_prediction(source):
    X, _ = wear(30, seed=3)
    head = source.backbone_.source
    features = FeatureExtractor(source.backbone_).fit_transform(X).astype(np.float64)
    np.testing.assert_allclose(features @ head.weight[0] + head.bias[0], source.predict(X), rtol=1e-3)
    assert head.classes is None


def test_a_classification_backbone_serves_a_regression(faults):
    X, _ = moons(300, seed=1)
    y = 10.0 + 3.0 * (X[:, 0] * X[:, 1] > 0)
    X_test, _ = moons(300, seed=2)
    y_test = 10.0 + 3.0 * (X_test[:, 0] * X_test[:, 1] > 0)
    assert TransferRegressor(faults, strategy=LinearProbing()).fit(X, y).score(X_test, y_test) > 0.5
    with pytest.raises(ValueError, match="no regression head"):
        TransferRegressor(faults, strategy=LinearProbing(), head=LinearHead(init="source")).fit(X, y)


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.OutOfRangeWarning")
def test_transfer_helps_where_rows_are_few(source):
    X_test, y_test = wear(500, seed=9)
    gains = []
    for seed in range(3):
        X, y = wear(15, seed=20 + seed)
        y = 2.0 * y - 40.0  # another gauge
        transfer = TransferRegressor(source.backbone_, strategy=LinearProbing()).fit(X, y).predict(X_test)
        scratch = TransferRegressor(SMALL, max_epochs=100, random_state=0).fit(X, y).predict(X_test)
        gains.append(r2_score(2.0 * y_test - 40.0, transfer) - r2_score(2.0 * y_test - 40.0, scratch))
    assert min(gains) > 0.2


def test_row_weights_are_repeats(source):
    X, y = wear(30, seed=1)
    counts = np.random.default_rng(0).integers(0, 4, size=30)
    for model in (
        TransferRegressor(source.backbone_, strategy=LinearProbing()),
        TransferRegressor(source.backbone_, strategy=FineTuning(), max_epochs=2, random_state=0),
        TransferRegressor(SMALL, max_epochs=2, random_state=0),
    ):
        weighted = clone(model).fit(X, y, sample_weight=counts).predict(X)
        repeated = clone(model).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts)).predict(X)
        np.testing.assert_allclose(weighted, repeated, rtol=1e-4)


def test_an_mlp_head_trains_on_frozen_blocks(source):
    X, y = wear(100, seed=1)
    model = TransferRegressor(
        source.backbone_,
        strategy=LinearProbing(),
        head=MLPHead((16,), dropout=0.0),
        lr=0.02,
        max_epochs=60,
        random_state=0,
    )
    assert model.fit(X, y).score(X, y) > 0.8
    assert all(a is b for a, b in zip(model.backbone_.weights, source.backbone_.weights, strict=True))


def test_rows_far_outside_are_named_in_a_warning(source):
    with pytest.warns(OutOfRangeWarning, match="1 of 1 rows"):
        source.predict(np.full((1, 4), 1e5))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_values_are_an_error_that_names_the_rows(bad):
    X, y = wear(30)
    y[[3, 8]] = bad
    with pytest.raises(ValueError, match=r"rows \[3, 8\]"):
        TransferRegressor(SMALL).fit(X, y)


X, y = moons(60)


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


def test_labels_too_large_to_square_are_an_error_and_never_nan(backbone):
    with pytest.raises(ValueError, match="Change its unit"):
        TransferRegressor(backbone).fit(X, X[:, 0] * 1e160)
