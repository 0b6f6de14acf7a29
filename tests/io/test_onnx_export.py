"""The file that `export_onnx` writes: manifest, names, paths, and what it refuses."""

import json

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sktransfer import BaselineScaler, OnnxModel, TransferClassifier, export_onnx, make_pipeline
from sktransfer.exceptions import ModelFileError
from sktransfer.io import onnx_export
from tests.onnx_pipelines import classifier, rows, windows


def test_the_graph_is_of_float64_with_any_number_of_rows_and_the_manifest_tells_where_it_is_from(tmp_path):
    X, y = rows()
    frame = pd.DataFrame(X, columns=["flow", "level", "p", "T"])
    pipeline = make_pipeline(BaselineScaler(normal_label="normal"), TransferClassifier(max_epochs=2, random_state=0))
    path = export_onnx(pipeline.fit(frame, y), tmp_path / "pump.onnx", X=frame)
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    (given,) = graph.graph.input
    assert given.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    rows_size, columns_size = given.type.tensor_type.shape.dim
    assert not rows_size.HasField("dim_value")
    assert columns_size.dim_value == 4
    manifest = json.loads({one.key: one.value for one in graph.metadata_props}["sktransfer"])
    assert manifest["columns"] == ["flow", "level", "p", "T"]
    assert manifest["classes"] == ["leak", "normal", "stuck"]
    assert manifest["steps"] == ["BaselineScaler", "TransferClassifier"]
    assert {"sktransfer", "scikit-learn", "numpy", "onnx", "skl2onnx", "onnxruntime"} <= set(manifest["versions"])
    assert all(difference <= 1e-5 for _, difference in manifest["compared"].values())
    assert graph.producer_name == "sktransfer"
    # other weights have another digest, the same weights the same
    digests = [json.loads(one.metadata_props[0].value)["weights_sha256"] for one in (graph, onnx.load(path))]
    other = OnnxModel(export_onnx(classifier(), tmp_path / "other.onnx")).manifest_["weights_sha256"]
    assert digests[0] == digests[1] != other


def test_columns_are_compared_by_name_and_the_error_is_that_of_the_pipeline(tmp_path):
    X, y = rows()
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(BaselineScaler(), TransferClassifier(classifier()[-1].backbone_, random_state=0))
    model = OnnxModel(export_onnx(pipeline.fit(frame, y), tmp_path / "a.onnx", X=frame))
    np.testing.assert_array_equal(model.feature_names_in_, list("abcd"))
    np.testing.assert_array_equal(model.predict(frame), pipeline.predict(frame))
    changed = [frame[list("bacd")], frame[list("abc")], frame.assign(e=1.0), frame.rename(columns={"a": "z"})]
    for bad in changed:
        with pytest.raises(ValueError, match="feature names should match") as theirs:
            pipeline.predict(bad)
        with pytest.raises(ValueError, match="feature names should match") as ours:
            model.predict(bad)
        expected = str(theirs.value).replace("BaselineScaler", "OnnxModel").replace("estimator.", "model.")
        assert str(ours.value) == expected


def test_units_of_the_backbone_are_in_the_manifest(tiny, tmp_path):
    X, y = rows()
    X = X[:, :2] - 1e7
    model = TransferClassifier(tiny, random_state=0).fit(X, y)
    assert OnnxModel(export_onnx(model, tmp_path / "a.onnx", X=X)).manifest_["units"] == ["bar", "K"]


def test_an_unfitted_pipeline_and_windows_without_X_are_refused(tmp_path):
    with pytest.raises(NotFittedError):
        export_onnx(make_pipeline(BaselineScaler(), TransferClassifier()), tmp_path / "a.onnx")
    X, y = windows()
    model = make_pipeline(BaselineScaler(), TransferClassifier("process", random_state=0)).fit(X, y)
    with pytest.raises(ValueError, match="takes windows, or does not say how many columns; pass some as X"):
        export_onnx(model, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="target_opset is 18 or later, got 15"):
        export_onnx(classifier(), tmp_path / "a.onnx", target_opset=15)
    assert list(tmp_path.iterdir()) == []


def test_columns_by_name_inside_a_pipeline_are_refused_with_a_remedy(tmp_path):
    X, y = rows()
    frame = pd.DataFrame(X, columns=list("abcd"))
    some = ColumnTransformer([("two", StandardScaler(), ["a", "c"])])
    with pytest.raises(ValueError, match="Name columns by their numbers in a ColumnTransformer"):
        export_onnx(make_pipeline(some, LogisticRegression()).fit(frame, y), tmp_path / "a.onnx", X=frame)
    some = ColumnTransformer([("two", StandardScaler(), [0, 2])])
    pipeline = make_pipeline(some, LogisticRegression()).fit(frame, y)
    model = OnnxModel(export_onnx(pipeline, tmp_path / "a.onnx", X=frame))
    np.testing.assert_array_equal(model.predict(frame), pipeline.predict(frame))


def test_a_file_that_is_read_back_otherwise_leaves_the_old_one(monkeypatch, tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"yesterday")
    digests = iter(["one", "another"])
    monkeypatch.setattr(onnx_export, "_weights_sha256", lambda content: next(digests))
    with pytest.raises(ModelFileError, match="read back from the disk"):
        export_onnx(classifier(), path)
    assert path.read_bytes() == b"yesterday"
    assert [one.name for one in tmp_path.iterdir()] == ["a.onnx"]
