"""Steps of the package as ONNX nodes: what the estimators themselves return."""

import itertools

import numpy as np
import pytest

from sktransfer import (
    BaselineScaler,
    DomainAdaptationClassifier,
    LinearProbing,
    MLPHead,
    OnnxModel,
    SourceClassifier,
    SourceRegressor,
    TransferClassifier,
    TransferRegressor,
    Windows,
    export_onnx,
    make_pipeline,
)
from tests.onnx_pipelines import classifier, far_rows, regressor, rows, run, windows

pytestmark = pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize(("compress", "clip"), itertools.product([False, True], [None, 2.5]))
@pytest.mark.parametrize("missing", ["error", "impute"])
def test_a_scaler_scales_rows_as_it_does_itself(compress, clip, whiten, missing, tmp_path):
    X, _ = rows()
    scaler = BaselineScaler(compress=compress, clip=clip, whiten=whiten, missing=missing, absolute=whiten).fit(X)
    given = far_rows()
    if missing == "impute":
        given[::5, 1] = np.nan
    (found,) = run(export_onnx(scaler, tmp_path / "a.onnx"), given)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, scaler.transform(given), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("whiten", [False, True])
def test_a_scaler_scales_windows_as_it_does_itself(whiten, tmp_path):
    X, _ = windows()
    scaler = BaselineScaler(whiten=whiten, absolute=True, method="robust").fit(X)
    (found,) = run(export_onnx(scaler, tmp_path / "a.onnx", X=X), X * 3)
    np.testing.assert_allclose(found, scaler.transform(X * 3), rtol=1e-12, atol=1e-12)


def test_a_scaler_of_several_machines_asks_which_is_meant(tmp_path):
    X, _ = rows()
    machine = np.repeat(["north", "south"], len(X) // 2)
    scaler = BaselineScaler().fit(X * np.where(machine == "south", 2, 1)[:, None], sample_domain=machine)
    with pytest.raises(
        ValueError, match=r"BaselineScaler was fitted on the domains \['north', 'south'\].*target_domain"
    ):
        export_onnx(scaler, tmp_path / "a.onnx", X=X)
    assert list(tmp_path.iterdir()) == []
    scaler.set_params(target_domain="south")
    (found,) = run(export_onnx(scaler, tmp_path / "a.onnx", X=X), X)
    np.testing.assert_allclose(found, scaler.transform(X, sample_domain=np.repeat("south", len(X))), rtol=1e-12)


def test_a_row_out_of_range_loses_confidence_and_no_central_class_gains(tmp_path):
    X, _ = rows()
    scaled = classifier()[0].transform(X)
    model = classifier()[-1]
    far = scaled[:40] + np.geomspace(0.1, 1e6, 40)[:, None]
    _, found = run(export_onnx(model, tmp_path / "a.onnx", X=scaled), far)
    expected = model.predict_proba(far)
    others = ~model._central()
    assert 0 < others.sum() < 3
    assert np.ptp(expected[-1, others]) < 1e-4  # so far out nothing is known
    assert np.ptp(expected[0]) > 1e-2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["bool", "int8", "int64", "float64", "<U6", "object"])
def test_labels_keep_their_type(kind, tmp_path):
    X, y = rows()
    codes = (y == "leak").astype(int)
    y = y.astype(kind) if kind in ("<U6", "object") else (codes if kind == "bool" else codes * 2 - 1).astype(kind)
    pipeline = make_pipeline(
        BaselineScaler(), TransferClassifier(classifier()[-1].backbone_, strategy=LinearProbing())
    ).fit(X, y)
    model = OnnxModel(export_onnx(pipeline, tmp_path / "a.onnx", X=X))
    found, expected = model.predict(X), pipeline.predict(X)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(model.classes_, pipeline.classes_)
    assert model.classes_.dtype == pipeline.classes_.dtype


def test_heads_with_hidden_layers_and_two_outputs(tmp_path):
    X, y = rows()
    scaled = classifier()[0].transform(X)
    hidden = TransferClassifier(head=MLPHead((8, 6)), max_epochs=2, random_state=0).fit(scaled, y)
    _, found = run(export_onnx(hidden, tmp_path / "a.onnx", X=scaled), scaled)
    np.testing.assert_allclose(found, hidden.predict_proba(scaled), rtol=0, atol=1e-6)
    Y = np.c_[X[:, 0] - 1e7, 5 * X[:, 1]]
    two = make_pipeline(BaselineScaler(), TransferRegressor(max_epochs=2, random_state=0)).fit(X, Y)
    model = OnnxModel(export_onnx(two, tmp_path / "b.onnx", X=X))
    np.testing.assert_allclose(model.predict(X), two.predict(X), rtol=1e-6, atol=1e-6)
    one = make_pipeline(BaselineScaler(), TransferRegressor(max_epochs=2, random_state=0)).fit(X, Y[:, :1])
    assert OnnxModel(export_onnx(one, tmp_path / "c.onnx", X=X)).predict(X).shape == one.predict(X).shape


def test_source_heads_need_no_fit(tmp_path):
    X, _ = rows()
    scaled = classifier()[0].transform(X)
    source = SourceClassifier(classifier()[-1].backbone_, classes=["leak", "normal"])
    labels, found = run(export_onnx(source, tmp_path / "a.onnx", X=scaled), scaled)
    np.testing.assert_array_equal(labels, source.predict(scaled))
    np.testing.assert_allclose(found, source.predict_proba(scaled), rtol=0, atol=1e-6)
    values = SourceRegressor(regressor()[-1].backbone_)
    (found,) = run(export_onnx(values, tmp_path / "b.onnx", X=scaled), scaled)
    np.testing.assert_allclose(found[:, 0], values.predict(scaled), rtol=1e-5, atol=1e-5)


def test_a_joint_fit_is_one_network_too(tmp_path):
    X, y = rows()
    scaled = classifier()[0].transform(X)
    domain = np.where(np.arange(len(X)) < 160, 1, -1)
    joint = DomainAdaptationClassifier(max_epochs=2, random_state=0).fit(scaled, y, sample_domain=domain)
    _, found = run(export_onnx(joint, tmp_path / "a.onnx", X=scaled), scaled)
    np.testing.assert_allclose(found, joint.predict_proba(scaled), rtol=0, atol=1e-6)


def test_a_front_end_is_an_error_that_says_what_to_do(tmp_path):
    X = Windows.of(np.random.default_rng(0).normal(size=(6, 1, 4096)), sampling_rate=12_000.0)
    model = TransferClassifier("vibration", random_state=0).fit(X, [0, 1] * 3)
    with pytest.raises(ValueError, match=r"the front end 'envelope' .* computes spectra .* Score with the joblib file"):
        export_onnx(model, tmp_path / "a.onnx", X=X)
    assert list(tmp_path.iterdir()) == []
