"""FleetClassifier: heads are those of fits alone; who answers without labels; files, names and searches."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV

from sktransfer import (
    BaselineScaler,
    DataQualityWarning,
    FleetClassifier,
    LinearHead,
    LinearProbing,
    SourceClassifier,
    TransferClassifier,
    make_pipeline,
)
from tests.helpers import computing_in, moons, small_backbone

NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module")
def backbone():
    return small_backbone()


def fleet_rows(n_rows=24, names=NAMES):
    """Rows of several machines, each a little apart, in mixed order, of different numbers."""
    parts = [moons(n_rows - 2 * k, seed=k + 5, offset=0.05 * k) for k in range(len(names))]
    X, y = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    machine = np.concatenate([np.full(len(part[0]), name) for part, name in zip(parts, names, strict=True)])
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], y[order], machine[order]


def alone(backbone, fleet, X, y):
    """The fit of one machine with what the fleet shares."""
    if fleet.source_classes_ is None:
        return TransferClassifier(backbone, strategy=fleet.strategy or LinearProbing()).fit(X, y)
    stated = dict(zip(fleet.classes_.tolist(), fleet.source_classes_, strict=True))
    head = LinearHead(source_classes=stated if any(stated.values()) else None)
    alpha = "auto" if fleet.alpha_ is None else fleet.alpha_  # more than 32 rows choose for themselves
    return TransferClassifier(backbone, head=head, strategy=LinearProbing(alpha)).fit(X, y)


@pytest.mark.parametrize(
    ("dtype", "parameters"),
    [
        (np.float64, {"shared": False}),
        (np.float64, {"shared": True}),
        (np.float32, {"shared": False}),
        (np.float32, {"shared": True}),
        (np.float64, {"shared": False, "strategy": LinearProbing(solver="ridge")}),
        (np.float64, {"shared": False, "strategy": LinearProbing(0.01)}),
    ],
)
def test_each_machine_gets_the_head_of_a_fit_alone(backbone, dtype, parameters):
    X, y, machine = fleet_rows()
    X_new = np.concatenate([moons(40, 77)[0], 15 * moons(20, 78)[0]])  # the last ones are far out of range
    with computing_in(dtype):
        fleet = FleetClassifier(backbone, **parameters).fit(X, y, sample_domain=machine)
        for name in NAMES:
            own = machine == name
            expected = alone(backbone, fleet, X[own], y[own]).predict_proba(X_new)
            found = fleet.predict_proba(X_new, sample_domain=np.full(len(X_new), name))
            np.testing.assert_allclose(found, expected, atol=1e-6)
    assert fleet.has_own_head_.all()


def test_many_rows_and_an_untrained_network_are_as_alone(backbone):
    X, y = moons(400, 3)
    machine = np.repeat([1, 2], [180, 220])  # beyond the rows that are solved together
    for network in (backbone, None):
        fleet = FleetClassifier(network, shared=False, random_state=0).fit(X, y, sample_domain=machine)
        for name in (1, 2):
            one = TransferClassifier(network, strategy=LinearProbing(), random_state=0)
            expected = one.fit(X[machine == name], y[machine == name]).predict_proba(X[:50])
            found = fleet.predict_proba(X[:50], sample_domain=np.full(50, name))
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_baselines_are_those_of_each_machine(backbone):
    X, y, machine = fleet_rows()
    factor = 1.0 + np.searchsorted(NAMES, machine)[:, None]
    X = X * factor + 100 * factor
    fleet = FleetClassifier(backbone, baseline=BaselineScaler("normal"), shared=False).fit(X, y, sample_domain=machine)
    own = machine == "c"
    pipeline = make_pipeline(BaselineScaler("normal"), TransferClassifier(backbone, strategy=LinearProbing()))
    expected = pipeline.fit(X[own], y[own]).predict_proba(X[own])
    np.testing.assert_allclose(fleet.predict_proba(X, sample_domain=machine)[own], expected, atol=1e-6)


def test_a_machine_fitted_later_leaves_the_others_to_the_bit(backbone):
    X, y, machine = fleet_rows()
    scaler = BaselineScaler()
    together = FleetClassifier(backbone, baseline=scaler, shared=False).fit(X, y, sample_domain=machine)
    first = machine != "c"
    fleet = FleetClassifier(backbone, baseline=scaler, shared=False).fit(
        X[first], y[first], sample_domain=machine[first]
    )
    before = fleet.predict_proba(X[first], sample_domain=machine[first])
    fleet.partial_fit(X[~first], y[~first], sample_domain=machine[~first])
    np.testing.assert_array_equal(fleet.predict_proba(X[first], sample_domain=machine[first]), before)
    np.testing.assert_array_equal(fleet.machines_, together.machines_)
    np.testing.assert_array_equal(fleet.n_labels_, together.n_labels_)
    found, expected = (one.predict_proba(X, sample_domain=machine) for one in (fleet, together))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # a class that comes later has no probability on the machines before, whose others stay
    y_new = np.where(y == "leak", "crack", y)[~first]
    fleet.partial_fit(X[~first], y_new, sample_domain=machine[~first])
    assert fleet.classes_.tolist() == ["crack", "leak", "normal", "wear"]
    np.testing.assert_array_equal(fleet.predict_proba(X[first], sample_domain=machine[first])[:, 1:], before)
    assert fleet.predict_proba(X[~first], sample_domain=machine[~first])[:, 0].max() > 0.5


def test_a_class_without_rows_keeps_the_row_of_the_source_head(backbone):
    X, y = moons(400, 0)  # as the source
    machine = np.where(np.arange(400) < 200, "whole", "part")
    some = (machine == "whole") | (y != "wear")
    fleet = FleetClassifier(backbone).fit(X[some], y[some], sample_domain=machine[some])
    assert fleet.source_classes_ == ["leak", "normal", "wear"]
    part = (machine == "part") & (y == "wear")
    found = fleet.predict_proba(X[part], sample_domain=machine[part])
    own = some & (machine == "part")
    one = alone(backbone, fleet, X[own], y[own])
    row = fleet.heads_.coef[fleet.machines_.tolist().index("part"), 2]
    np.testing.assert_allclose(row, backbone.source.weight[2] / one.history_[0]["temperature"], rtol=1e-4, atol=1e-6)
    others = found[:, :2] / found[:, :2].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(others, one.predict_proba(X[part]), atol=1e-6)
    new = np.where(y == "wear", "unheard of", y)  # nor does the source know it: it has no probability
    fleet = FleetClassifier(backbone).fit(X[some], new[some], sample_domain=machine[some])
    assert fleet.predict_proba(X[part], sample_domain=machine[part])[:, 2].max() == 0


def test_machines_without_labels_of_two_classes_get_the_source_head_where_one_machine_has_a_head(backbone):
    X, y, machine = fleet_rows()
    y = y.astype(object)
    y[machine == "e"] = None
    y[machine == "b"] = None  # none labelled
    y[(machine == "c") & (y != "normal")] = None  # one class
    y[np.flatnonzero(machine == "d")[1:]] = None  # one row
    with pytest.warns(
        DataQualityWarning, match="4 of 5 machines have no two different rows.*'b', 'c', 'd', 'e'.*source head"
    ):
        fleet = FleetClassifier(backbone).fit(X, y, sample_domain=machine)
    assert fleet.has_own_head_.tolist() == [True, False, False, False, False]
    assert fleet.fallback_ == "source"
    source = SourceClassifier(backbone)
    for name in ("b", "c", "d"):
        found = fleet.predict_proba(X[machine == name], sample_domain=machine[machine == name])
        np.testing.assert_allclose(found, source.predict_proba(X[machine == name]), atol=1e-6)
    unseen = np.full(len(X), "zz")
    with pytest.warns(DataQualityWarning, match=r"of 1 machine that was never seen .*zz.*; the source head answers"):
        found = fleet.predict_proba(X, sample_domain=unseen)
    np.testing.assert_allclose(found, source.predict_proba(X), atol=1e-6)


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_the_mean_of_several_heads_answers_with_and_without_a_source_head(backbone):
    for given in (backbone, backbone.describe(source=None)):
        X, y, machine = fleet_rows()
        fleet = FleetClassifier(given).fit(X, y, sample_domain=machine)
        assert fleet.fallback_ == "mean"
        np.testing.assert_allclose(fleet.heads_.coef[-1], fleet.heads_.coef[:-1].mean(axis=0), rtol=1e-5, atol=1e-7)
    bare = backbone.describe(source=None)
    X, y, machine = fleet_rows()
    fleet = FleetClassifier(bare).fit(X, y, sample_domain=machine)
    assert fleet.fallback_ == "mean"
    np.testing.assert_allclose(fleet.heads_.coef[-1], fleet.heads_.coef[:-1].mean(axis=0), rtol=1e-5, atol=1e-7)
    assert np.isfinite(fleet.predict_proba(X, sample_domain=np.full(len(X), "zz"))).all()
    with pytest.raises(ValueError, match="needs two different rows with labels of at least two classes on one machine"):
        FleetClassifier(bare).fit(X, np.full(len(X), "normal"), sample_domain=machine)


def test_a_scale_that_all_heads_share_is_stored_once(backbone):
    X, y, machine = fleet_rows()
    many = np.concatenate([np.char.add(machine.astype(str), f"-{k}") for k in range(8)])
    fleet = FleetClassifier(backbone).fit(np.tile(X, (8, 1)), np.tile(y, 8), sample_domain=many)
    assert (len(fleet.heads_.coef), fleet.fallback_) == (41, "mean")
    assert len(fleet.heads_.mean) == len(fleet.heads_.scale) == 1
    np.testing.assert_array_equal(fleet.heads_.mean[0], np.float32(backbone.source.feature_mean))


def test_a_column_of_a_frame_names_the_machine(backbone):
    pl = pytest.importorskip("polars")
    X, y, machine = fleet_rows()
    expected = FleetClassifier(backbone).fit(X, y, sample_domain=machine).predict_proba(X, sample_domain=machine)
    for kind in (pd.DataFrame, pl.DataFrame):
        frame = kind({"p": X[:, 0], "unit": machine, "q": X[:, 1], "r": X[:, 2], "s": X[:, 3]})
        fleet = FleetClassifier(backbone, machine="unit").fit(frame, y)
        np.testing.assert_array_equal(fleet.predict_proba(frame), expected)
        assert fleet.feature_names_in_.tolist() == ["p", "q", "r", "s"]
    with pytest.raises(ValueError, match=r"FleetClassifier\(machine='unit'\) takes a frame with that column"):
        fleet.predict(X)


def test_names_must_say_who_is_meant(backbone):
    X, y, machine = fleet_rows()
    fleet = FleetClassifier(backbone).fit(X, y, sample_domain=machine)
    with pytest.raises(ValueError, match="knows 5 machines and got rows without names"):
        fleet.predict(X)
    with pytest.raises(ValueError, match="Name them in the same kind"):
        fleet.predict(X, sample_domain=np.ones(len(X), dtype=int))
    numbers = np.where(machine == "c", -7, np.searchsorted(NAMES, machine) + 1)
    fleet = FleetClassifier(backbone).fit(X, y, sample_domain=numbers)
    own = machine == "c"
    np.testing.assert_array_equal(fleet.predict(X[own]), fleet.predict(X[own], sample_domain=numbers[own]))


@pytest.mark.parametrize("routing", [False, True])
def test_machines_go_through_pipelines_and_searches(backbone, routing):
    X, y, machine = fleet_rows(60)
    scaler = BaselineScaler(compress=False)
    z = scaler.fit_transform(X, sample_domain=machine)
    expected = FleetClassifier(backbone).fit(z, y, sample_domain=machine)
    with sklearn.config_context(enable_metadata_routing=routing):
        pipeline = make_pipeline(scaler, FleetClassifier(backbone)).fit(X, y, sample_domain=machine)
        found = pipeline.predict_proba(X, sample_domain=machine)
        np.testing.assert_allclose(found, expected.predict_proba(z, sample_domain=machine), atol=1e-9)
        grid = {"strategy": [LinearProbing(0.001), LinearProbing(10.0)]}
        if routing:
            search = GridSearchCV(FleetClassifier(backbone), grid, cv=2).fit(X, y, sample_domain=machine)
        else:
            frame = pd.DataFrame(X, columns=list("pqrs")).assign(unit=machine)
            search = GridSearchCV(FleetClassifier(backbone, machine="unit"), grid, cv=2).fit(frame, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.5


def test_a_file_holds_the_backbone_once_and_predicts_the_same(backbone):
    names = [f"m{k}" for k in range(40)]
    X = np.random.default_rng(0).normal(size=(400, 4))
    y, machine = np.where(X[:, 0] > 0, "leak", "normal"), np.repeat(names, 10)
    fleet = FleetClassifier(backbone).fit(X, y, sample_domain=machine)
    data = pickle.dumps(fleet)
    heads = fleet.heads_.coef.nbytes + fleet.heads_.intercept.nbytes
    small = FleetClassifier(backbone).fit(X[:100], y[:100], sample_domain=machine[:100])
    growth = len(data) - len(pickle.dumps(small))
    assert growth < 2.5 * 30 / 41 * heads  # ranges and names are as large as these small heads; no backbone fits in
    loaded = pickle.loads(data)
    expected = fleet.predict_proba(X, sample_domain=machine)
    np.testing.assert_array_equal(loaded.predict_proba(X, sample_domain=machine), expected)
    loaded.partial_fit(X[:10], y[:10], sample_domain=np.full(10, "new"))
    np.testing.assert_array_equal(loaded.predict_proba(X, sample_domain=machine), expected)


def test_windows_are_taken(backbone):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2, 64)).astype(np.float32)
    y, machine = np.where(np.arange(60) % 2, "on", "off"), np.repeat(["a", "b"], 30)
    X[y == "on"] *= 3
    network = TransferClassifier(max_epochs=2, random_state=0).fit(X, y).backbone_
    fleet = FleetClassifier(network, shared=False).fit(X, y, sample_domain=machine)
    one = TransferClassifier(network, strategy=LinearProbing()).fit(X[:30], y[:30])
    np.testing.assert_allclose(fleet.predict_proba(X, sample_domain=machine)[:30], one.predict_proba(X[:30]), atol=1e-5)


def test_a_strategy_that_trains_by_epochs_is_refused(backbone):
    X, y, machine = fleet_rows()
    with pytest.raises(ValueError, match="The heads of a fleet are solved together"):
        FleetClassifier(backbone, strategy=LinearProbing(solver="sgd")).fit(X, y, sample_domain=machine)
