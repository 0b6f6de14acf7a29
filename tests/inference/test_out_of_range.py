"""What says "I do not know" never says "healthy": probabilities of rows outside the range of training."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from sktransfer import (
    BaselineScaler,
    FromScratch,
    Inputs,
    OutOfRangeWarning,
    TransferClassifier,
    TransferRegressor,
    make_pipeline,
)
from sktransfer.inference.out_of_range import central_classes, confidence_weights, count_out_of_range, lowered
from sktransfer.training.rows import TrainingRows, class_distances
from tests.helpers import small_backbone

pytestmark = pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")


def faults(n_classes, n_rows=60, n_columns=4, seed=0, strength=8.0):
    """Healthy rows around zero, and of each fault rows moved along a direction of its own."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n_classes, n_columns))
    directions *= strength / np.linalg.norm(directions, axis=1, keepdims=True)
    directions[0] = 0.0
    y = np.repeat(np.arange(n_classes), n_rows)
    return rng.normal(size=(len(y), n_columns)) + directions[y], np.array([f"c{i}" for i in range(n_classes)])[y]


def windows_of(n_windows=40, seed=0):
    """Windows of two classes: the fault c1 is five times as loud as the healthy c0."""
    rng = np.random.default_rng(seed)
    y = np.repeat(["c0", "c1"], n_windows)
    return rng.normal(size=(len(y), 2, 64)) * np.where(y == "c0", 1.0, 5.0)[:, None, None], y


def small(**parameters):
    return TransferClassifier(
        FromScratch(arguments={"hidden_layer_sizes": (16, 16)}), random_state=0, **{"max_epochs": 30, **parameters}
    )


# ---- the rule


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(2, 9), st.integers(0, 10_000), st.floats(0.1, 8.0))
def test_the_further_out_the_less_of_what_is_central_and_the_order_stays(n_classes, seed, sharpness):
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.normal(size=n_classes)
    given_ = np.exp(logits - logits.max())
    given_ /= given_.sum()
    central = rng.random(n_classes) < 0.5
    central = central if not central.all() else np.zeros(n_classes, dtype=bool)
    weights = np.linspace(1, 0, 11)
    found = lowered(np.tile(given_, (11, 1)), weights, central)
    np.testing.assert_allclose(found[0], given_, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert (found >= 0).all()
    if central.any():
        assert (np.diff(found[:, central], axis=0) <= 1e-12).all()
    assert (found.max(axis=1) - found[:, given_.argmax()] <= 1e-12).all()
    outer = np.argsort(given_[~central], kind="stable")
    assert (np.diff(found[:, ~central][:, outer], axis=1) >= -1e-12).all()
    # where nothing is known any more, the share of the others by another way
    level = brentq(
        lambda t: np.minimum(given_[central], t).sum() + t * (~central).sum() - 1, 1e-9, 1 + 1e-9, xtol=1e-14
    )
    np.testing.assert_allclose(found[-1], np.where(central, np.minimum(given_, level), level), atol=1e-9)


def test_without_a_class_in_the_middle_shares_are_equal():
    none = np.zeros(4, dtype=bool)
    found = lowered(np.array([[1.0, 0.0, 0.0, 0.0]]), np.array([0.2]), none)
    np.testing.assert_allclose(found, [[0.2 + 0.2, 0.2, 0.2, 0.2]])


@pytest.mark.parametrize(
    ("at_center", "distances", "expected"),
    [
        ([0.8, 0.2], None, [0]),
        ([0.8, 0.2], [3.0, 9.0], [0]),
        ([0.2, 0.8], [3.0, 9.0], []),  # the network contradicts the rows: nothing is known
        ([0.5, 0.5], [3.0, 9.0], []),
        ([0.1, 0.5, 0.4], [3.0, 3.5, 9.0], [1, 2]),
        ([0.1, 0.2, 0.7], [3.0, 3.5, 9.0], [0, 2]),
        (None, [3.0, 3.5, 9.0], [0, 1]),
        (None, [3.0, 3.5, 3.2], []),
        (None, None, []),
        (None, [np.inf, 3.5, 9.0], [1]),
    ],
)
def test_classes_in_the_middle_are_told_by_the_network_and_the_rows(at_center, distances, expected):
    n_classes = len(at_center or distances or [0, 0])
    given_ = [None if values is None else np.array(values) for values in (at_center, distances)]
    assert np.flatnonzero(central_classes(*given_, n_classes)).tolist() == expected


@pytest.mark.parametrize("shape", [(50, 3), (50, 3, 7)])
def test_distances_of_classes_are_weighted_means_over_rows(shape):
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=shape).astype(np.float32), rng.integers(0, 3, size=50), rng.random(50)
    weight[y == 2] = 0
    center = np.array([0.0, 1.0, -2.0])
    far = [max(abs(float(v) - c) for row, c in zip(x, center, strict=True) for v in np.ravel(row)) for x in X]
    expected = [np.average(np.array(far)[y == k], weights=weight[y == k]) for k in (0, 1)]
    found = class_distances(TrainingRows(X, y, weight), 3, center)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-6)
    assert found[2] == np.inf


# ---- fitted networks


def rays(X, columns, distances):
    """Each row of `X`, moved along each column to both sides; shape (n_rays, n_distances, n_columns)."""
    out = []
    for x in X:
        for column in columns:
            for sign in (1.0, -1.0):
                ray = np.tile(x, (len(distances), 1))
                ray[:, column] = sign * np.asarray(distances)
                out.append(ray)
    return np.array(out)


@pytest.mark.parametrize("n_classes", [2, 9])
@pytest.mark.parametrize("max_epochs", [1, 30], ids=["almost random", "trained"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_beyond_the_range_no_ray_of_a_column_becomes_healthier(n_classes, max_epochs, seed):
    X, y = faults(n_classes, seed=seed)
    model = small(max_epochs=max_epochs).fit(X, y)
    edge = 3.1 * np.abs(X).max()  # beyond the edge on both sides, whatever the middle
    lines = rays(X[::29], range(X.shape[1]), edge * np.geomspace(1, 1e6, 8))
    found = model.predict_proba(lines.reshape(-1, X.shape[1])).reshape(*lines.shape[:2], -1)
    labels = model.predict(lines.reshape(-1, X.shape[1])).reshape(lines.shape[:2])
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-9)
    central = model._central()
    assert central.any()
    assert not central.all()
    if max_epochs == 30:
        assert central[0]
    assert (np.diff(found[:, :, central], axis=1) <= 1e-7).all()
    assert (np.diff(found[:, :, ~central].sum(axis=2), axis=1) >= -1e-7).all()
    assert (labels == labels[:, :1]).all()
    # far out nothing is certain but that it is none of the middle
    assert (found[:, -1][:, central] <= 0.5 + 1e-6).all()
    if (~central).sum() > 1:
        assert found[:, -1].max() < 0.6


@pytest.mark.parametrize("compress", [True, False])
def test_an_alarm_is_not_lost_as_the_leak_grows(compress):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6))
    y = np.repeat(["normal", "leak"], 200)
    X[200:, 2] += rng.uniform(4, 15, size=200)
    model = make_pipeline(BaselineScaler(normal_label="normal", compress=compress, clip=None), small()).fit(X, y)
    row = np.tile(X[0], (6, 1))
    row[:, 2] = [20, 50, 200, 1e3, 1e4, 1e6]
    alarm = model.predict_proba(row)[:, list(model.classes_).index("leak")]
    assert alarm[0] > 0.95
    assert (np.diff(alarm) >= -1e-7).all()


def test_a_calm_row_far_away_is_not_reported_as_surely_healthy():
    X, y = faults(3)
    model = small().fit(X, y)
    calm = np.zeros((5, 4))
    calm[:, 3] = -np.geomspace(30, 1e6, 5)
    found = model.predict_proba(calm)
    healthy = found[:, 0]
    assert (np.diff(healthy) <= 1e-7).all()
    assert healthy[-1] <= 0.5


def test_windows_that_drift_out_of_range_do_not_become_healthier():
    X, y = windows_of()
    model = TransferClassifier(max_epochs=15, random_state=0).fit(X, y)
    assert model._central().tolist() == [True, False]
    offsets = 3.1 * np.abs(X).max() * np.geomspace(1, 1e5, 6)
    for window in X[::17]:
        for sign in (1, -1):
            drifting = np.array([window + sign * offset for offset in offsets])
            found = model.predict_proba(drifting)
            assert (np.diff(found[:, 0]) <= 1e-7).all()
            assert found[-1, 0] <= 0.5 + 1e-6


def test_behind_a_backbone_with_one_label_a_class_the_law_holds():
    X, y = faults(2, seed=3)
    source = small().fit(X, y).backbone_
    X_target, y_target = X[[0, 60]] * 1.1, y[[0, 60]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TransferClassifier(source, random_state=0).fit(X_target, y_target)
    assert model._central().tolist() == [True, False]
    lines = rays(X[::11], range(4), 50 * np.geomspace(1, 1e5, 6))
    found = model.predict_proba(lines.reshape(-1, 4)).reshape(*lines.shape[:2], -1)
    assert (np.diff(found[:, :, 0], axis=1) <= 1e-7).all()


def test_the_network_is_asked_at_the_edge_of_what_was_seen():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    model = TransferRegressor(FromScratch(arguments={"hidden_layer_sizes": (16,)}), max_epochs=20, random_state=0).fit(
        X, X[:, 0]
    )
    inputs = model.backbone_.inputs
    middle, half = (inputs.maximum + inputs.minimum) / 2.0, (inputs.maximum - inputs.minimum) / 2.0
    far = np.array([[1e4, 0.1, -0.2], [0.3, -1e6, 1e9]])
    edge = np.clip(far, middle - 2 * half, middle + 2 * half)
    with pytest.warns(OutOfRangeWarning):
        found = model.predict(far)
    np.testing.assert_allclose(found, model.predict(edge), atol=1e-5)


def test_a_state_of_before_without_distances_loads_and_predicts():
    (X, y), (W, labels) = faults(3), windows_of()
    rows = small().fit(X, y)
    windows = TransferClassifier(max_epochs=3, random_state=0).fit(W, labels)
    for model, far in ((rows, 1e4 * X[::40]), (windows, 1e4 * W[::20])):
        expected = model.predict_proba(far)
        state = model.__getstate__()
        del state["class_distances_"], state["_checksum"]  # neither was there before
        old = TransferClassifier.__new__(TransferClassifier)
        old.__setstate__(pickle.loads(pickle.dumps(state)))
        found = old.predict_proba(far)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)
        np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert old._central().tolist() == [False, False]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(rows))._central(), rows._central())


def test_torch_and_numpy_agree_on_the_middle():
    model = TransferClassifier(small_backbone(), max_epochs=5, random_state=0).fit(*faults(3, n_rows=20))
    in_numpy = model._predictor.at_center
    model._predictor._at_center, model._predictor._network, model._predictor._layers = None, None, None
    np.testing.assert_allclose(model._predictor.at_center, in_numpy, atol=1e-5)


def test_a_column_that_hardly_moved_is_far_only_where_others_would_be_near():
    inputs = Inputs(n=3, minimum=np.zeros(3), maximum=np.array([1.0, 1.0, 1e-9]))
    near, far = [0.5, 0.5, 9e-4], [0.5, 0.5, 1e-2]
    np.testing.assert_allclose(confidence_weights(np.array([near, far]), inputs), [1.0, 2 / (1e-2 / 5e-4)], rtol=1e-6)


def test_rows_are_said_whose_confidence_falls_by_a_third():
    assert count_out_of_range(np.array([1.0, 0.9, 0.67, 0.66, 0.1])) == 2
    assert count_out_of_range(None) == 0


def test_a_row_is_as_far_as_its_farthest_value():
    inputs = Inputs(n=2, minimum=np.full(2, -1.0), maximum=np.ones(2))
    np.testing.assert_allclose(confidence_weights(np.array([[0.0, 8.0], [3.0, 4.0]]), inputs), [0.25, 0.5])
