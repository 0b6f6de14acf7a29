"""OnnxModel: what it refuses, and what it says of itself."""

import json

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import helper
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sktransfer import BaselineScaler, OnnxModel, TransferClassifier, export_onnx, make_pipeline
from tests.onnx_pipelines import classifier, regressor, rows, windows


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return export_onnx(classifier("error"), tmp_path_factory.mktemp("onnx") / "a.onnx", X=rows()[0])


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.ones((3, 5)), "X has 5 features, but OnnxModel is expecting 4 features as input"),
        (np.ones(4), r"got X of shape \(4,\), but it takes \(n_samples, n_features\)"),
        (np.ones((2, 4, 6)), r"got X of shape \(2, 4, 6\)"),
        (np.full((2, 4), "1.5"), "got numbers as text: row 0, column 'x0' holds '1.5'"),
        (np.full((2, 4), np.datetime64("2026-01-01")), "got X with the time column 'x0'"),
        (pl.DataFrame({"a": [1.0], "b": ["open"], "c": [1.0], "d": [1.0]}), "row 0, column 'b' holds 'open'"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(file, X, said):
    for method in ("predict", "predict_proba"):
        with pytest.raises(ValueError, match=said):
            getattr(OnnxModel(file), method)(X)


def test_a_network_without_a_scaler_refuses_what_float32_cannot_hold(tmp_path):
    X, y = rows()
    model = TransferClassifier(max_epochs=1, random_state=0).fit(X - 1e7, y)
    scorer = OnnxModel(export_onnx(model, tmp_path / "a.onnx", X=X - 1e7))
    for one in (model, scorer):
        with pytest.raises(ValueError, match=r"got a value of 2e\+15 in column 'x0', too large for a measurement"):
            one.predict(np.full((1, 4), 2e15))


def test_windows_of_another_length_are_refused(tmp_path):
    X, y = windows()
    pipeline = make_pipeline(BaselineScaler(), TransferClassifier("process", random_state=0)).fit(X, y)
    model = OnnxModel(export_onnx(pipeline, tmp_path / "a.onnx", X=X))
    with pytest.raises(ValueError, match="windows of 40 samples, but it was exported for windows of 48"):
        model.predict(X[:, :, :40])
    with pytest.raises(ValueError, match="X has 1 channels, but OnnxModel is expecting 2"):
        model.predict(X[:, :1])
    bad = X.copy()
    bad[2, 1, 5] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN in channel 'x1' \(1 window\)"):
        model.predict(bad)


def test_methods_that_the_pipeline_lacks_are_attribute_errors(file, tmp_path):
    with pytest.raises(AttributeError, match="is a classifier without transform"):
        OnnxModel(file).transform(rows()[0])
    values = OnnxModel(export_onnx(regressor(), tmp_path / "a.onnx"))
    with pytest.raises(AttributeError, match="is a regressor without predict_proba"):
        values.predict_proba(rows()[0])
    assert not hasattr(values, "classes_")
    X, y = rows()
    machine = make_pipeline(StandardScaler(), SVC()).fit(X, y)
    model = OnnxModel(export_onnx(machine, tmp_path / "b.onnx", X=X))
    np.testing.assert_array_equal(model.predict(X), machine.predict(X))
    with pytest.raises(AttributeError, match="has no predict_proba"):
        model.predict_proba(X)
    scaler = OnnxModel(export_onnx(BaselineScaler().fit(X), tmp_path / "c.onnx"))
    np.testing.assert_allclose(scaler.transform(X), BaselineScaler().fit(X).transform(X), rtol=1e-12, atol=1e-12)
    with pytest.raises(AttributeError, match="is a transformer without predict"):
        scaler.predict(X)


def test_outputs_that_are_not_finite_are_an_error(file):
    graph = onnx.load(file)
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2:
            tensor.raw_data = np.full(tuple(tensor.dims), np.nan, dtype=np.float32).tobytes()
    model = OnnxModel.from_bytes(graph.SerializeToString())
    with pytest.raises(ValueError, match="the network returned values that are not finite for these rows"):
        model.predict_proba(rows()[0])


def test_files_that_are_no_such_file_are_refused(file, tmp_path):
    graph = onnx.load(file)
    manifest = json.loads(graph.metadata_props[0].value)
    helper.set_model_props(graph, {"sktransfer": json.dumps({**manifest, "format": 99})})
    (tmp_path / "newer.onnx").write_bytes(graph.SerializeToString())
    del graph.metadata_props[:]
    (tmp_path / "foreign.onnx").write_bytes(graph.SerializeToString())
    (tmp_path / "damaged.onnx").write_bytes(file.read_bytes()[:500])
    for name, said in [
        ("newer", "written in format 99; this version reads up to 1. Upgrade sktransfer"),
        ("foreign", "has no manifest of sktransfer. Write it with export_onnx"),
        ("damaged", r"damaged\.onnx cannot be read as an ONNX file"),
    ]:
        with pytest.raises(ValueError, match=said):
            OnnxModel(tmp_path / f"{name}.onnx")


def test_many_rows_are_computed_in_parts_and_give_the_same(file):
    X = np.resize(rows()[0], (40_000, 4))
    model = OnnxModel(file, n_jobs=1)
    np.testing.assert_array_equal(model.predict(X)[:240], model.predict(X[:240]))
    np.testing.assert_array_equal(model.predict_proba(X)[39_990:], model.predict_proba(X[39_990:]))
