"""explain_sensors: the sensor that was moved, in its own unit."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from sktransfer import (
    BaselineScaler,
    HotellingT2,
    TagT2,
    TransferDetector,
    Windows,
    explain_sensors,
    make_pipeline,
)
from tests.helpers import small_backbone

NAMES = ["flow", "pressure", "temperature", "level"]
CENTER, SCALE = np.array([100.0, 5.0, 20.0, 0.5]), np.array([10.0, 0.1, 2.0, 0.05])


def rows(n=600, seed=0):
    rng = np.random.default_rng(seed)
    mix = np.linalg.cholesky(np.full((4, 4), 0.5) + 0.5 * np.eye(4))
    return pd.DataFrame(CENTER + SCALE * (rng.normal(size=(n, 4)) @ mix.T), columns=NAMES)


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
    assert found.columns.tolist() == ["sample", "sensor", "share", "direction", "value", "usual_low", "usual_high"]
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


def test_shares_are_the_parts_above_zero():
    healthy = rows().to_numpy()
    detector = TransferDetector().fit(healthy)
    new = rows(5, 1).to_numpy() + 4 * SCALE
    parts = np.maximum(HotellingT2().fit(healthy).contributions(new), 0)
    found = explain_sensors(detector, new).pivot_table(index="sample", columns="sensor", values="share")
    np.testing.assert_allclose(found[["x0", "x1", "x2", "x3"]], parts / parts.sum(axis=1, keepdims=True))
    assert explain_sensors(detector, new)["usual_low"].isna().all()  # nobody told the healthy range in a unit


def test_a_network_that_mixes_columns_is_asked_with_each_sensor_put_back():
    backbone = small_backbone(0, max_epochs=8)
    n = backbone.n_features_in
    healthy = np.random.default_rng(0).normal(size=(400, n)).astype(np.float32) / 2
    detector = TransferDetector(backbone).fit(healthy)
    new = healthy[:6].copy()
    new[:, 2] += 8
    found = explain_sensors(detector, new)
    back = new.copy()
    back[:, 2] = detector.usual_sample_[2]
    drop = detector.score_samples(back) - detector.score_samples(new)
    others = []
    for column in range(n):
        put_back = new.copy()
        put_back[:, column] = detector.usual_sample_[column]
        others.append(np.maximum(detector.score_samples(put_back) - detector.score_samples(new), 0))
    shares = found[found["sensor"] == "x2"].sort_values("sample")["share"]
    np.testing.assert_allclose(shares, drop / np.sum(others, axis=0), rtol=1e-4)
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


def test_what_cannot_be_explained_is_an_error():
    X = rows()
    with pytest.raises(
        TypeError, match="takes a TransferDetector, or a pipeline that ends in one; got LogisticRegression"
    ):
        explain_sensors(make_pipeline(BaselineScaler(), LogisticRegression()), X)
    mixed = make_pipeline(BaselineScaler(), PCA(2), TransferDetector()).fit(X)
    with pytest.raises(ValueError, match="the detector watches 2 columns, X has 4"):
        explain_sensors(mixed, X)
