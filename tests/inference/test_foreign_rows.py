"""Rows that are not scaled as those of the source were: said at fit and at predict, and only then."""

import dataclasses
import pickle
import re
import warnings
from collections import OrderedDict

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

from sktransfer import (
    Backbone,
    BaselineScaler,
    BatchedGridSearchCV,
    FeatureExtractor,
    FromScratch,
    Inputs,
    LinearProbing,
    OutOfRangeWarning,
    Source,
    TransferClassifier,
    TransferRegressor,
    load_backbone,
    make_pipeline,
)
from sktransfer.inference.foreign_rows import are_far, look_foreign
from tests.helpers import moons, small_backbone

RNG = np.random.default_rng(0)
UNITS = np.array([120.0, 3.4e5, 0.02, 55.0, 900.0, 7.0])  # typical values of six sensors in their units


def machine(n_rows=90, seed=0):
    """Rows in physical units, three classes, and the scaler of their healthy rows."""
    rng = np.random.default_rng(seed)
    y = np.repeat(["normal", "leak", "wear"], n_rows // 3)
    z = rng.normal(size=(n_rows, 6))
    z[y == "leak", 0] += 6
    z[y == "wear", 3] -= 6
    X = UNITS * (1 + 0.02 * z)
    return X, y, FrozenEstimator(BaselineScaler().fit(X[y == "normal"]))


@pytest.fixture(scope="module")
def source():
    X, y, scaler = machine(300, seed=1)
    network = FromScratch(arguments={"hidden_layer_sizes": (32, 16)})
    return TransferClassifier(network, random_state=0).fit(scaler.transform(X), y).backbone_


def found_in(call, *arguments):
    """Result of a call and the sentences about foreign rows that it gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*arguments)
    return result, [str(w.message) for w in caught if "like none of its source" in str(w.message)]


@pytest.mark.parametrize(
    "estimator",
    [
        TransferClassifier(max_epochs=2, random_state=0),
        TransferRegressor(max_epochs=2, random_state=0),
        FeatureExtractor(),
    ],
)
@pytest.mark.parametrize("ranged", [True, False], ids=["range known", "features alone"])
def test_rows_in_physical_units_are_said_at_fit_and_at_predict(source, estimator, ranged):
    X, y, _ = machine()
    backbone = source if ranged else without_range(source)
    estimator.set_params(backbone=backbone)
    y = y if isinstance(estimator, TransferClassifier) else X[:, 0]
    fitted, said = found_in(lambda: estimator.fit(X, y))
    assert len(said) == 1
    assert said[0].startswith(f"{type(estimator).__name__} got rows")
    assert "BaselineScaler(normal_label" in said[0]
    ask = fitted.transform if isinstance(estimator, FeatureExtractor) else fitted.predict
    assert len(found_in(lambda: ask(X))[1]) == 1
    again = pickle.loads(pickle.dumps(fitted))
    assert len(found_in(lambda: getattr(again, ask.__name__)(X[:7]))[1]) == 1


def without_range(backbone):
    inputs = dataclasses.replace(backbone.inputs, minimum=None, maximum=None)
    network = nn.Sequential(OrderedDict(zip(backbone.blocks, backbone.copy_blocks(), strict=True)))
    return Backbone(network, backbone.blocks, inputs=inputs, source=backbone.source)


@pytest.mark.parametrize("divided", ["in percent", "from 0 to 1"])
def test_rows_that_hardly_move_are_said(source, divided):
    X, y, _ = machine()
    rows = X / UNITS / 100
    if divided == "from 0 to 1":
        rows = MinMaxScaler().fit_transform(np.vstack([X, 0 * X, 3 * X]))[: len(X)]
    assert len(found_in(TransferClassifier(source, max_epochs=2, random_state=0).fit, rows, y)[1]) == 1


@pytest.mark.parametrize("n_labels", [1, 5, 30])
@pytest.mark.parametrize("scaling", ["healthy", "standard"])
@pytest.mark.parametrize("seed", range(5))
def test_scaled_rows_are_not_remarked_on(source, n_labels, scaling, seed):
    X, y, scaler = machine(90, seed=10 + seed)
    scaler = scaler if scaling == "healthy" else FrozenEstimator(StandardScaler().fit(X))
    few = np.concatenate([np.flatnonzero(y == label)[:n_labels] for label in np.unique(y)])
    model = make_pipeline(scaler, TransferClassifier(source, random_state=0, strategy=LinearProbing()))
    assert found_in(model.fit, X[few], y[few])[1] == []
    assert model[-1].fits_source_
    healthy = X[y == "normal"]
    extracted = make_pipeline(scaler, FeatureExtractor(source), LogisticRegression())
    assert found_in(extracted.fit, X, y)[1] == []
    for predict in (model.predict, extracted.predict):
        assert found_in(predict, X)[1] == found_in(predict, healthy[:12])[1] == []


def test_a_network_from_scratch_has_no_source_to_differ_from():
    X, y, _ = machine()
    model, said = found_in(lambda: TransferClassifier(max_epochs=2, random_state=0).fit(X, y))
    assert said == []
    assert model.fits_source_


def test_windows_in_physical_units_before_the_shipped_network_of_tags():
    rng = np.random.default_rng(0)
    y = np.repeat(["normal", "leak"], 12)
    X = rng.normal(size=(24, 3, 64)) * (1 + 3 * (y == "leak"))[:, None, None]
    raw = 100 + 5 * X
    scaled = BaselineScaler().fit(raw[y == "normal"]).transform(raw)
    model = TransferClassifier("process", strategy=LinearProbing(), random_state=0)
    assert len(found_in(lambda: model.fit(raw, y))[1]) == 1
    assert len(found_in(lambda: model.predict(raw[:3]))[1]) == 1
    assert found_in(lambda: model.fit(scaled, y).predict(scaled))[1] == []
    assert len(found_in(lambda: FeatureExtractor("process").fit(scaled).transform(raw))[1]) == 1


def test_a_pipeline_in_chunks_and_a_search_say_it_once_a_line(source):
    X, y, scaler = machine(9000)
    pipe = make_pipeline(
        FrozenEstimator(StandardScaler(with_mean=False, with_std=False).fit(X)), FeatureExtractor(source)
    )
    pipe.chunk_rows = 1000
    pipe = pipe.fit(X[:90])
    said = found_in(lambda: pipe.transform(X))[1]
    assert len(said) == 1
    grid = {"strategy": [LinearProbing(), LinearProbing(alpha=1.0)]}
    search = BatchedGridSearchCV(TransferClassifier(source, random_state=0), grid, cv=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        search.fit(*machine()[:2])
    assert len({str(w.message) for w in caught if "got rows" in str(w.message)}) == 1
    search, said = found_in(lambda: search.fit(scaler.transform(X[::100]), y[::100]))
    assert said == []
    assert search.best_estimator_.fits_source_


def test_two_backbones_in_a_search_are_each_asked(source):
    X, y, scaler = machine()
    scaled = scaler.transform(X)
    other = TransferClassifier(FromScratch(arguments={"hidden_layer_sizes": (8,)}), random_state=0, max_epochs=3)
    other = other.fit(1000 + 300 * scaled, y).backbone_
    estimator = TransferClassifier(random_state=0, strategy=LinearProbing())
    both = BatchedGridSearchCV(estimator, {"backbone": [source, other]}, cv=2, refit=False)
    assert len(found_in(both.fit, scaled, y)[1]) >= 1
    one = BatchedGridSearchCV(estimator, {"backbone": [source]}, cv=2)
    assert found_in(one.fit, scaled, y)[1] == []


def test_the_sentence_is_a_warning_of_range_and_names_the_scaling():
    backbone = load_backbone("tep-process")
    X = 500 + RNG.normal(size=(20, 53))
    with pytest.warns(OutOfRangeWarning, match=r"backbone 'tep-process'.*\(BaselineScaler\(\) fitted on healthy rows"):
        model = TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).fit(X, np.arange(20) % 2)
    with pytest.warns(OutOfRangeWarning, match=r"was fitted to rows.*backbone 'tep-process'"):
        model.predict(X)


def test_a_backbone_may_have_braces_in_its_name():
    X, y = moons(200)
    named = small_backbone(max_epochs=2).describe(name="plant {1} {x}")
    with pytest.warns(OutOfRangeWarning, match=re.escape("to backbone 'plant {1} {x}' like none of its source")):
        TransferClassifier(named, strategy=LinearProbing()).fit(1000 * X, y)


def test_most_rows_must_lie_out_of_range_or_far():
    inputs = Inputs(n=6, minimum=np.full(6, -1.0), maximum=np.ones(6))
    ranged = Backbone(nn.Sequential(OrderedDict(a=nn.Identity())), inputs=inputs)
    rows = np.zeros((20, 6))
    rows[:10, 3] = 50.0
    assert not look_foreign(ranged, rows, "cpu", None)
    rows[10, 0] = -50.0
    assert look_foreign(ranged, rows, "cpu", None)
    features = np.zeros((21, 6))
    features[:10] = 1e3
    assert not are_far(features)
    features[10] = 1e3
    assert are_far(features)
    assert are_far(np.full((3, 2), np.nan))


def test_rows_that_hardly_move_are_foreign_where_there_are_ten_of_several_classes():
    known = Source(np.zeros(6), np.ones(6))
    backbone = Backbone(nn.Sequential(OrderedDict(a=nn.Identity())), inputs=Inputs(n=6), source=known)
    still = 0.05 * RNG.normal(size=(32, 6))
    assert look_foreign(backbone, still, "cpu", None)
    assert not look_foreign(backbone, still, "cpu", None, of_classes=False)
    assert look_foreign(backbone, still[:10], "cpu", None)
    assert not look_foreign(backbone, still[:9], "cpu", None)
