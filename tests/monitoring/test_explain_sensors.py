"""explain_sensors: the sensor that was moved, in its own unit."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline as skl_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from sktransfer import (
    BaselineScaler,
    HotellingT2,
    OpenSetClassifier,
    TagT2,
    TransferClassifier,
    TransferDetector,
    Windows,
    explain_sensors,
    make_pipeline,
)
from sktransfer.windows.window_statistics import window_statistics
from tests.helpers import small_backbone

NAMES = ["flow", "pressure", "temperature", "level"]
CENTER, SCALE = np.array([100.0, 5.0, 20.0, 0.5]), np.array([10.0, 0.1, 2.0, 0.05])


def rows(n=600, seed=0):
    rng = np.random.default_rng(seed)
    mix = np.linalg.cholesky(np.full((4, 4), 0.5) + 0.5 * np.eye(4))
    return pd.DataFrame(CENTER + SCALE * (rng.normal(size=(n, 4)) @ mix.T), columns=NAMES)


def least(statistic, row, column):
    """Smallest distance that another value in one column gives, by a parabola through three values."""
    at = np.array([-1.0, 0.0, 1.0]) * statistic.scale_[column]
    changed = np.tile(row, (3, 1))
    changed[:, column] += at
    a, b, c = np.polyfit(at, statistic.distance(changed), 2)
    return c - b**2 / (4 * a)


def windows(n=100, seed=0):
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(100) / 5 + rng.uniform(0, 6, size=(n, 4, 1))) + 0.3 * rng.normal(size=(n, 4, 100))


@pytest.mark.parametrize("moved", range(4))
@pytest.mark.parametrize("sign", [1, -1])
def test_the_sensor_that_moved_comes_first_with_its_direction_value_and_range(moved, sign):
    healthy = rows()
    pipe = make_pipeline(BaselineScaler(), TransferDetector()).fit(healthy)
    new = rows(20, 1)
    new.iloc[:, moved] += sign * 15 * SCALE[moved]
    found = explain_sensors(pipe, new)
    assert found.columns.tolist() == [
        "sample", "sensor", "share", "direction", "value", "usual_low", "usual_high", "effect",
    ]  # fmt: skip
    assert len(found) == 20 * 4
    first = found.groupby("sample").first()
    assert (first["sensor"] == NAMES[moved]).all()
    assert (first["direction"] == ("high" if sign > 0 else "low")).all()
    np.testing.assert_allclose(first["value"], new.iloc[:, moved])
    scaler = pipe[0]
    np.testing.assert_allclose(first["usual_low"], scaler.center_[0, moved] - 3 * scaler.scale_[0, moved])
    np.testing.assert_allclose(first["usual_high"], scaler.center_[0, moved] + 3 * scaler.scale_[0, moved])
    np.testing.assert_allclose(found.groupby("sample")["share"].sum(), 1)
    assert (found.groupby("sample")["share"].diff().dropna() <= 0).all()


def test_shares_of_columns_are_what_their_best_values_take_off():
    healthy = rows().to_numpy()
    detector = TransferDetector().fit(healthy)
    new = rows(5, 1).to_numpy() + 4 * SCALE
    statistic = HotellingT2().fit(healthy)
    parts = statistic.distance(new)[:, None] - np.column_stack(
        [[least(statistic, row, column) for row in new] for column in range(4)]
    )
    found = explain_sensors(detector, new).pivot_table(index="sample", columns="sensor", values="share")
    np.testing.assert_allclose(found[["x0", "x1", "x2", "x3"]], parts / parts.sum(axis=1, keepdims=True), rtol=1e-5)
    assert explain_sensors(detector, new)["usual_low"].isna().all()  # nobody told the healthy range in a unit


def test_a_network_that_mixes_columns_is_asked_with_each_sensor_put_back():
    backbone = small_backbone(0, max_epochs=8)
    n = backbone.n_features_in
    healthy = np.random.default_rng(0).normal(size=(400, n)).astype(np.float32) / 2
    detector = TransferDetector(backbone).fit(healthy)
    new = healthy[:6].copy()
    new[:, 2] += 8
    found = explain_sensors(detector, new)
    usual = np.broadcast_to(detector.usual_sample_, new.shape)
    effects = []
    for column in range(n):
        removed, added = new.copy(), usual.copy()
        removed[:, column], added[:, column] = usual[:, column], new[:, column]
        off = detector.score_samples(removed) - detector.score_samples(new)
        on = detector.score_samples(usual) - detector.score_samples(added)
        effects.append(np.maximum(off, on))
    table = found.pivot_table(index="sample", columns="sensor", values="effect")[[f"x{k}" for k in range(n)]]
    np.testing.assert_allclose(table, np.transpose(effects), rtol=1e-3, atol=1e-4)
    assert (found.groupby("sample").first()["sensor"] == "x2").all()


@pytest.mark.parametrize("backbone", [None, "process"])
def test_windows_are_explained_by_channel(backbone):
    X = Windows.of(np.clip(windows(), -5, 5), channels=NAMES)
    pipe = make_pipeline(BaselineScaler(), TransferDetector(backbone, statistic=TagT2(), false_alarm_rate=0.1)).fit(X)
    new = np.clip(windows(10, 5), -5, 5)
    new[:, 1] = new[:, 1, :1]
    found = explain_sensors(pipe, Windows.of(new, channels=NAMES))
    first = found.groupby("sample").first()
    assert (first["sensor"] == "pressure").mean() > 0.9
    stuck = found[found["sensor"] == "pressure"].sort_values("sample")
    np.testing.assert_allclose(stuck["value"], new[:, 1].mean(axis=1))


def test_each_machine_has_its_own_range():
    a, b = rows(300), rows(300, 1) + [50, 1, 5, 0.1]
    X, domain = pd.concat([a, b], ignore_index=True), np.repeat([1, 2], 300)
    scaler = BaselineScaler().fit(X, sample_domain=domain)
    detector = TransferDetector().fit(scaler.transform(X, sample_domain=domain))
    pipe = make_pipeline(scaler, detector)
    found = explain_sensors(pipe, X.iloc[[0, 300]], sample_domain=[1, 2])
    flow = found[found["sensor"] == "flow"].sort_values("sample")
    np.testing.assert_allclose(flow["usual_low"], (scaler.center_ - 3 * scaler.scale_)[:, 0])


def labelled(seed=0):
    X, y = rows(seed=seed), np.repeat(["normal", "leak", "wear"], 200)
    X.loc[y == "leak", "pressure"] += 0.6
    X.loc[y == "wear", "flow"] -= 60
    return X, y


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(max_iter=500),
        ExtraTreesClassifier(30, random_state=0),
        TransferClassifier(max_epochs=20, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_classifiers_name_the_sensor_of_their_class(model):
    X, y = labelled()
    pipe = make_pipeline(BaselineScaler("normal"), model).fit(X, y)
    new, truth = labelled(1)
    faulty = np.flatnonzero(truth != "normal")[::20]
    found = explain_sensors(pipe, new.iloc[faulty])
    first = found.groupby("sample").first()
    assert (first["class"] == truth[faulty]).mean() > 0.95
    right = np.where(truth[faulty] == "leak", "pressure", "flow")
    assert (first["sensor"] == right).mean() > 0.95
    np.testing.assert_allclose(found.groupby("sample")["share"].sum(), 1)
    assert first.loc[truth[faulty] == "wear", "direction"].eq("low").all()


def test_the_effect_on_a_linear_classifier_is_weight_times_distance_from_the_baseline():
    X, y = labelled()
    binary = y != "wear"
    model = LogisticRegression(max_iter=2000).fit((X - CENTER)[binary] / SCALE, y[binary] == "leak")
    healthy = (X[y == "normal"] - CENTER) / SCALE
    new = (X[binary].iloc[[0, 5, 300]] - CENTER) / SCALE
    found = explain_sensors(model, new, baseline=healthy, output=True)
    table = found.pivot_table(index="sample", columns="sensor", values="effect")[NAMES]
    expected = model.coef_[0] * (new - healthy.mean())
    np.testing.assert_allclose(table, expected, rtol=0.15, atol=0.05)  # probabilities are smoothed
    assert explain_sensors(model, new, baseline=healthy)["class"].unique().tolist() == [False, True]


def test_being_normal_is_not_explained_and_a_class_can_be_asked_for():
    X, y = labelled()
    pipe = make_pipeline(BaselineScaler("normal"), LogisticRegression(max_iter=500)).fit(X, y)
    sound = X[y == "normal"].iloc[:5]
    assert (pipe.predict(sound) == "normal").all()
    others = np.delete(pipe.predict_proba(sound), 1, axis=1).argmax(axis=1)
    first = explain_sensors(pipe, sound).groupby("sample").first()["class"]
    assert first.tolist() == np.array(["leak", "wear"])[others].tolist()
    assert set(explain_sensors(pipe, sound, normal_label=None)["class"]) == {"normal"}
    assert set(explain_sensors(pipe, sound, output="wear")["class"]) == {"wear"}


def test_a_regressor_is_explained_in_its_unit_with_signs():
    X = rows()
    y = 3 * X["flow"] - 200 * X["pressure"]
    pipe = make_pipeline(BaselineScaler(compress=False), LinearRegression()).fit(X, y)
    new = rows(4, 1)
    found = explain_sensors(pipe, new)
    table = found.pivot_table(index="sample", columns="sensor", values="effect")
    np.testing.assert_allclose(table["flow"], 3 * (new["flow"] - X["flow"].mean()), rtol=1e-6)
    np.testing.assert_allclose(table["pressure"], -200 * (new["pressure"] - X["pressure"].mean()), rtol=1e-6)
    np.testing.assert_allclose(table[["level", "temperature"]], 0, atol=1e-8)
    shares = np.abs(table) / np.abs(table).sum(axis=1).to_numpy()[:, None]
    np.testing.assert_allclose(found.pivot_table(index="sample", columns="sensor", values="share"), shares, atol=1e-9)
    assert "class" not in found


def test_one_of_several_values_is_asked_for():
    X = rows()
    model = LinearRegression().fit(X, np.column_stack([X["flow"], X["level"]]))
    with pytest.raises(ValueError, match="predicts 2 values a sample; expected output to be the number of one, 0 to 1"):
        explain_sensors(model, X.iloc[:2], baseline=X)
    found = explain_sensors(model, X.iloc[:2], baseline=X, output=1)
    assert (found.groupby("sample").first()["sensor"] == "level").all()


def test_the_stretch_that_matters_is_found_in_samples_and_in_time():
    X = Windows.of(windows(), sampling_rate=10, channels=NAMES)
    pipe = make_pipeline(BaselineScaler(), TransferDetector(false_alarm_rate=0.1)).fit(X)
    new = windows(6, 5)
    new[:, 2, 60:] = new[:, 2, [60]]  # stuck
    with pytest.warns(UserWarning, match="stuck"):
        found = explain_sensors(pipe, Windows.of(new, sampling_rate=10, channels=NAMES, time=100.0))
    stuck = found[found["sensor"] == "temperature"]
    assert (np.abs(stuck["start"] - 60) <= 10).mean() > 0.8
    assert (stuck["end"] >= 90).mean() > 0.8
    np.testing.assert_allclose(stuck["start_time"], 100 - 9.9 + stuck["start"].astype(float) / 10)
    np.testing.assert_allclose(stuck["end_time"], 100 - 9.9 + (stuck["end"].astype(float) - 1) / 10)
    assert (found.groupby("sample")["start"].count() == 3).all()
    dated = Windows.of(new, sampling_rate=10, channels=NAMES, time=np.datetime64("2026-01-01T00:00:10"))
    with pytest.warns(UserWarning, match="stuck"):
        found = explain_sensors(pipe, dated[:1])
    first = found.iloc[0]
    assert first["end_time"] - first["start_time"] == pd.Timedelta((first["end"] - 1 - first["start"]) / 10, "s")
    with pytest.warns(UserWarning, match="stuck"):
        assert "start" not in explain_sensors(pipe, dated[:1], n_segments=0)


def test_a_classifier_of_windows_is_put_back_to_healthy_windows():
    X = windows(200)
    y = np.repeat(["normal", "stuck"], 100)
    X[y == "stuck", 1, 50:] = X[y == "stuck", 1, 50:51]
    model = skl_pipeline(FunctionTransformer(window_statistics), ExtraTreesClassifier(30, random_state=0)).fit(X, y)
    found = explain_sensors(model, X[[120, 150]], baseline=X[:100], normal_label="normal")
    first = found.groupby("sample").first()
    assert first["sensor"].tolist() == ["x1", "x1"]
    assert (first["start"] >= 40).all()
    one = explain_sensors(model, X[[120]], baseline=X[:100], normal_label="normal")
    pd.testing.assert_frame_equal(one, found.iloc[:4])


@pytest.mark.parametrize("kind", ["numpy", "polars"])
def test_other_containers_say_the_same(kind):
    X, y = labelled()
    pipe = make_pipeline(BaselineScaler("normal"), LogisticRegression(max_iter=500))
    expected = explain_sensors(pipe.fit(X, y), X.iloc[[250]])
    turned = (lambda frame: frame.to_numpy()) if kind == "numpy" else pl.from_pandas
    found = explain_sensors(pipe.fit(turned(X), y), turned(X.iloc[[250]]))
    np.testing.assert_allclose(found["effect"], expected["effect"])
    names = [f"x{k}" for k in range(4)] if kind == "numpy" else NAMES
    assert [names.index(name) for name in found["sensor"]] == [NAMES.index(name) for name in expected["sensor"]]


def test_a_dropped_sensor_has_no_effect_and_a_reduced_one_is_explained():
    X, y = labelled()
    select = ColumnTransformer([("kept", "passthrough", ["flow", "pressure", "temperature"])])
    pipe = make_pipeline(select, LogisticRegression(max_iter=2000)).fit(X, y)
    found = explain_sensors(pipe, X.iloc[[250, 450]], baseline=X[y == "normal"])
    assert (found.loc[found["sensor"] == "level", ["share", "effect"]] == 0).all(axis=None)
    mixed = make_pipeline(BaselineScaler(), PCA(4), TransferDetector()).fit(X[y == "normal"])
    faulty = X[y == "wear"].iloc[:20]
    assert (explain_sensors(mixed, faulty).groupby("sample").first()["sensor"] == "flow").mean() > 0.8


def test_searches_frozen_steps_open_sets_and_other_detectors_are_opened():
    X, y = labelled()
    scaler = FrozenEstimator(BaselineScaler().fit(X[y == "normal"]))
    for model in (
        GridSearchCV(LogisticRegression(max_iter=500), {"C": [1.0]}, cv=2),
        OpenSetClassifier(LogisticRegression(max_iter=500)),
    ):
        pipe = make_pipeline(scaler, model).fit(X, y)
        assert explain_sensors(pipe, X.iloc[[250]])["sensor"].iloc[0] == "pressure"
    forest = make_pipeline(scaler, IsolationForest(random_state=0)).fit(X[y == "normal"])
    assert explain_sensors(forest, X.iloc[[450]])["sensor"].iloc[0] == "flow"
    with pytest.raises(ValueError, match=r"nobody knows the healthy baseline .* IsolationForest"):
        explain_sensors(IsolationForest(random_state=0).fit(X), X.iloc[[450]])


def test_what_cannot_be_explained_is_an_error():
    X, y = labelled()
    pipe = make_pipeline(BaselineScaler(), LogisticRegression(max_iter=500))
    with pytest.raises(NotFittedError, match="BaselineScaler instance is not fitted"):
        explain_sensors(pipe, X)
    with pytest.raises(NotFittedError, match="TransferClassifier instance is not fitted"):
        explain_sensors(TransferClassifier(), X)
    with pytest.raises(TypeError, match="got PCA: it is none of these"):
        explain_sensors(PCA(2).fit(X), X)
    with pytest.raises(TypeError, match="got LinearSVC: it has no predict_proba"):
        explain_sensors(LinearSVC().fit(X, y), X)
    with pytest.raises(TypeError, match="answers 2 questions at once"):
        explain_sensors(ExtraTreesClassifier(3).fit(X, np.column_stack([y, y])), X, baseline=X)
    model = LogisticRegression(max_iter=500).fit(X, y)
    with pytest.raises(
        ValueError, match=r"nobody knows the healthy baseline .* Begin the pipeline with a BaselineScaler"
    ):
        explain_sensors(model, X)
    with pytest.raises(ValueError, match="output='rust' is no class of LogisticRegression"):
        explain_sensors(model, X, baseline=X, output="rust")
    with pytest.raises(ValueError, match="normal_label='good' is no class"):
        explain_sensors(model, X, baseline=X, normal_label="good")
    with pytest.raises(ValueError, match="'method' parameter of explain_sensors must be one of"):
        explain_sensors(model, X, baseline=X, method="lime")
    with pytest.raises(ValueError, match="'n_segments' parameter"):
        explain_sensors(model, X, baseline=X, n_segments=1.5)


def test_samples_that_the_estimator_refuses_are_refused_by_it():
    X, y = labelled()
    pipe = make_pipeline(BaselineScaler(), LogisticRegression(max_iter=500)).fit(X, y)
    with pytest.raises(ValueError, match="3 features, but BaselineScaler is expecting 4"):
        explain_sensors(pipe, X.to_numpy()[:, :3])
    gap = X.iloc[:2].copy()
    gap.iloc[0, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        explain_sensors(pipe, gap)
    with pytest.raises(ValueError, match="baseline has samples of shape"):
        explain_sensors(pipe, X, baseline=X.iloc[:, :3])
    with pytest.raises(ValueError, match="baseline holds missing values"):
        explain_sensors(pipe, X, baseline=gap)
    machines = np.repeat([1, 2], 300)
    of_two = make_pipeline(BaselineScaler(), LogisticRegression(max_iter=500)).fit(X, y, sample_domain=machines)
    with pytest.raises(ValueError, match="Pass sample_domain"):
        explain_sensors(of_two, X)
    assert len(explain_sensors(of_two, X.iloc[290:310], sample_domain=machines[290:310])) == 80


def test_missing_values_and_constant_sensors_have_defined_results():
    X, y = labelled()
    X["level"] = 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = make_pipeline(BaselineScaler(missing="impute"), LogisticRegression(max_iter=500)).fit(X, y)
        gap = X.iloc[[250]].copy()
        gap["flow"] = np.nan
        found = explain_sensors(pipe, gap).set_index("sensor")
    assert found.loc["flow", "direction"] == "missing"
    assert np.isnan(found.loc["flow", "value"])
    assert abs(found.loc["flow", "effect"]) < 1e-9
    assert found.loc["level", "effect"] == 0
    assert found.loc["level", "usual_low"] <= 0.5 <= found.loc["level", "usual_high"]
    assert found.index[0] == "pressure"


def test_the_samples_of_the_caller_stay_as_they_are_and_nothing_is_said_of_changed_ones():
    X, y = labelled()
    pipe = make_pipeline(BaselineScaler("normal"), LogisticRegression(max_iter=500)).fit(X, y)
    new = X.iloc[[250]].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain_sensors(pipe, new)
    pd.testing.assert_frame_equal(new, X.iloc[[250]])


@pytest.mark.parametrize("absolute", [False, True])
def test_a_column_and_its_absolute_value_are_one_sensor(absolute):
    X = rows()
    pipe = make_pipeline(BaselineScaler(absolute=absolute), TransferDetector()).fit(X)
    new = X.iloc[:5].copy()
    new["level"] += 1.0
    found = explain_sensors(pipe, new)
    assert len(found) == 20
    assert (found.groupby("sample").first()["sensor"] == "level").all()
