"""Our estimators in the pipelines of skada, and its adapters in ours: the same numbers as by hand."""

import importlib

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline as sklearn_pipeline

from sktransfer import (
    BaselineScaler,
    BatchedGridSearchCV,
    DeepCORAL,
    DomainAdaptationClassifier,
    DomainAdaptationRegressor,
    FeatureExtractor,
    Pooled,
    TransferClassifier,
    make_pipeline,
)

N_SOURCE, N_TARGET, N_LABELLED = 120, 80, 12


@pytest.fixture(scope="module")
def skada():
    """Importing skada turns scikit-learn's metadata routing on for the whole process; here it is put back."""
    before = sklearn.get_config()["enable_metadata_routing"]
    try:
        yield pytest.importorskip("skada", reason="skada is not installed (it is in the extra 'test')")
    finally:
        sklearn.set_config(enable_metadata_routing=before)


@pytest.fixture
def routing(skada):
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def data():
    """Two machines with other offsets and gains: X, y (all labels), y masked, sample_domain, rows to score."""
    rng = np.random.default_rng(0)

    def machine(n, offset, gain):
        Z = rng.normal(size=(n, 4))
        return offset + gain * Z, (Z[:, 0] + Z[:, 1] > 0).astype(int)

    (X_source, y_source), (X_target, y_target) = machine(N_SOURCE, 0.0, 1.0), machine(N_TARGET, 4.0, 3.0)
    X_new, y_new = machine(60, 4.0, 3.0)
    y = np.r_[y_source, y_target]
    masked = y.copy()
    masked[N_SOURCE + N_LABELLED :] = -1
    domain = np.repeat([1, -1], [N_SOURCE, N_TARGET])
    return {"X": np.r_[X_source, X_target], "y": y, "masked": masked, "domain": domain, "new": (X_new, y_new)}


def at_target(X):
    return {"sample_domain": np.full(len(X), -1)}


def adapted(**parameters):
    return DomainAdaptationClassifier(max_epochs=3, random_state=0, **parameters)


def scaled(data):
    scaler = BaselineScaler(compress=False).fit(data["X"], sample_domain=data["domain"])
    X_new = data["new"][0]
    return scaler.transform(data["X"], sample_domain=data["domain"]), scaler.transform(X_new, **at_target(X_new))


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("few_labels", [True, False])
def test_our_scaler_and_joint_network_in_a_pipeline_of_skada(skada, data, few_labels):
    """Without labels of the target as skada masks them, and with the few that the caller leaves."""
    X, X_new = scaled(data)
    y = data["masked"].copy()
    if not few_labels:
        y[data["domain"] < 0] = -1
    expected = adapted().fit(X, y, sample_domain=data["domain"])
    pipe = skada.make_da_pipeline(BaselineScaler(compress=False), adapted(), mask_target_labels=not few_labels)
    pipe.fit(data["X"], data["y" if not few_labels else "masked"].copy(), sample_domain=data["domain"])
    X_raw = data["new"][0]
    np.testing.assert_array_equal(pipe.predict_proba(X_raw, **at_target(X_raw)), expected.predict_proba(X_new))
    np.testing.assert_array_equal(pipe.predict_proba(X_raw), expected.predict_proba(X_new))
    assert pipe[-1].base_estimator_.n_unlabelled_ == N_TARGET - N_LABELLED * few_labels


@pytest.mark.usefixtures("routing")
def test_our_regressor_takes_the_labels_that_skada_masks(skada, data):
    X, X_new = scaled(data)
    y = X[:, 0] - X[:, 1]
    masked = np.where(data["domain"] < 0, np.nan, y)
    model = DomainAdaptationRegressor(alignment=DeepCORAL(), max_epochs=3, random_state=0)
    expected = sklearn.base.clone(model).fit(X, masked, sample_domain=data["domain"]).predict(X_new)
    pipe = skada.make_da_pipeline(model).fit(X, y.copy(), sample_domain=data["domain"])
    np.testing.assert_array_equal(pipe.predict(X_new), expected)


@pytest.mark.usefixtures("routing")
def test_pooled_in_a_pipeline_of_skada(skada, data):
    X, X_new = scaled(data)
    expected = Pooled(LogisticRegression()).fit(X, data["masked"], sample_domain=data["domain"])
    pipe = skada.make_da_pipeline(Pooled(LogisticRegression()), mask_target_labels=False)
    pipe.fit(X, data["masked"].copy(), sample_domain=data["domain"])
    np.testing.assert_array_equal(pipe.predict_proba(X_new), expected.predict_proba(X_new))


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("adapter", ["CORALAdapter", "SubspaceAlignmentAdapter", "OTMappingAdapter"])
def test_our_classifier_behind_an_adapter_of_skada(skada, data, adapter):
    """skada drops the rows that it masks before a classifier that knows no domains."""
    make = getattr(skada, adapter)
    X, X_new = scaled(data)
    y = np.where(data["domain"] > 0, data["y"], -1)
    by_hand = make()
    mapped = by_hand.fit_transform(X, y, sample_domain=data["domain"])
    model = TransferClassifier(max_epochs=3, random_state=0)
    expected = sklearn.base.clone(model).fit(mapped[data["domain"] > 0], data["y"][data["domain"] > 0])
    pipe = skada.make_da_pipeline(BaselineScaler(compress=False), make(), model)
    pipe.fit(data["X"], data["y"].copy(), sample_domain=data["domain"])
    X_raw = data["new"][0]
    np.testing.assert_allclose(
        pipe.predict_proba(X_raw, **at_target(X_raw)), expected.predict_proba(by_hand.transform(X_new)), atol=1e-5
    )


@pytest.mark.usefixtures("routing")
def test_our_features_before_an_adapter_of_skada(skada, data):
    X, X_new = scaled(data)
    backbone = TransferClassifier(max_epochs=3, random_state=0).fit(X[:N_SOURCE], data["y"][:N_SOURCE]).backbone_
    features = FeatureExtractor(backbone).fit(X)
    by_hand = skada.SubspaceAlignmentAdapter(n_components=3, random_state=0)
    y = np.where(data["domain"] > 0, data["y"], -1)
    mapped = by_hand.fit_transform(features.transform(X), y, sample_domain=data["domain"])
    expected = LogisticRegression().fit(mapped[:N_SOURCE], data["y"][:N_SOURCE])
    adapter = skada.SubspaceAlignmentAdapter(n_components=3, random_state=0)
    pipe = skada.make_da_pipeline(FeatureExtractor(backbone), adapter, LogisticRegression())
    pipe.fit(X, data["y"].copy(), sample_domain=data["domain"])
    found = pipe.predict_proba(X_new)
    np.testing.assert_allclose(found, expected.predict_proba(by_hand.transform(features.transform(X_new))), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "routed"),
    [(make_pipeline, True), (make_pipeline, False), (sklearn_pipeline, True)],
    ids=["ours", "ours, routing off", "scikit-learn's"],
)
@pytest.mark.parametrize("names_target", [True, False])
def test_an_adapter_of_skada_in_a_pipeline(skada, data, make, routed, names_target):
    """Rows to predict are those of the target machine, whether they say so or not."""
    X, X_new = scaled(data)
    by_hand = skada.CORALAdapter()
    mapped = by_hand.fit_transform(X, data["masked"], sample_domain=data["domain"])
    expected = adapted().fit(mapped, data["masked"], sample_domain=data["domain"])
    pipe = make(BaselineScaler(compress=False), skada.CORALAdapter(), adapted())
    X_raw = data["new"][0]
    with sklearn.config_context(enable_metadata_routing=routed):
        pipe.fit(data["X"], data["masked"], sample_domain=data["domain"])
        found = pipe.predict_proba(X_raw, **(at_target(X_raw) if names_target else {}))
    np.testing.assert_allclose(found, expected.predict_proba(by_hand.transform(X_new)), atol=1e-5)


@pytest.mark.usefixtures("routing")
def test_a_pipeline_of_skada_as_the_estimator_of_pooled(skada, data):
    X, X_new = scaled(data)
    rows = np.flatnonzero(data["masked"] >= 0)
    pooled = Pooled(skada.make_da_pipeline(Ridge())).fit(X, data["masked"], sample_domain=data["domain"])
    copies = round(N_SOURCE / N_LABELLED)  # its fit takes no weights, so that the target's rows come several times
    kept = np.repeat(rows, np.where(data["domain"][rows] < 0, copies, 1))
    expected = Ridge().fit(X[kept], data["y"][kept])
    np.testing.assert_allclose(pooled.predict(X_new), expected.predict(X_new))


@pytest.mark.usefixtures("routing")
def test_scores_and_splits_of_skada_on_our_estimators(skada, data):
    """Label-free scores over its splits of source and target, by scikit-learn's cross_validate."""
    metrics = importlib.import_module("skada.metrics")
    selection = importlib.import_module("skada.model_selection")
    scores = cross_validate(
        make_pipeline(BaselineScaler(compress=False), adapted()),
        data["X"],
        data["masked"],
        cv=selection.SourceTargetShuffleSplit(n_splits=2, random_state=0),
        scoring={"entropy": metrics.PredictionEntropyScorer(), "density": metrics.SoftNeighborhoodDensity()},
        params={"sample_domain": data["domain"]},
        error_score="raise",
    )
    assert np.isfinite(scores["test_entropy"]).all()
    assert np.isfinite(scores["test_density"]).all()


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
@pytest.mark.parametrize("outside", ["skada", "ours"])
def test_a_search_by_splits_and_scores_of_skada_reaches_our_parameters(skada, data, search, outside):
    """A clone of skada's pipeline forgets `mask_target_labels`; few labels go through ours or scikit-learn's."""
    metrics = importlib.import_module("skada.metrics")
    selection = importlib.import_module("skada.model_selection")
    name, values = {
        "skada": ("alignment", [DeepCORAL(weight=0.01), DeepCORAL(weight=100.0)]),
        "ours": ("target_weight", [0.2, 0.9]),
    }[outside]

    def pipe(**parameters):
        make = skada.make_da_pipeline if outside == "skada" else make_pipeline
        return make(BaselineScaler(compress=False), adapted(**parameters))

    cv = selection.SourceTargetShuffleSplit(n_splits=2, random_state=0)
    options = {"cv": cv, "scoring": metrics.PredictionEntropyScorer(), "error_score": "raise"}
    grid = {f"domainadaptationclassifier__{name}": values}
    X, domain = data["X"], data["domain"]
    found = search(pipe(), grid, **options).fit(X, data["masked"].copy(), sample_domain=domain)
    by_hand = [
        cross_validate(pipe(**{name: value}), X, data["masked"].copy(), params={"sample_domain": domain}, **options)
        for value in values
    ]
    by_hand = [scores["test_score"].mean() for scores in by_hand]
    np.testing.assert_allclose(found.cv_results_["mean_test_score"], by_hand)
    assert by_hand[0] != by_hand[1]


@pytest.mark.usefixtures("routing")
def test_a_pipeline_of_both_is_saved_and_loaded(skada, data, tmp_path):
    pipe = skada.make_da_pipeline(BaselineScaler(compress=False), adapted(), mask_target_labels=False)
    pipe.fit(data["X"], data["masked"].copy(), sample_domain=data["domain"])
    loaded = joblib.load(joblib.dump(pipe, tmp_path / "model.joblib")[0])
    X = data["new"][0]
    np.testing.assert_array_equal(loaded.predict_proba(X, **at_target(X)), pipe.predict_proba(X, **at_target(X)))


def test_our_package_leaves_the_routing_of_scikit_learn_as_it_is(data):
    before = sklearn.get_config()
    adapted().fit(data["X"], data["masked"], sample_domain=data["domain"])
    assert sklearn.get_config() == before
