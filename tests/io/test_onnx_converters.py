"""`skl2onnx.to_onnx` on pipelines of this package, as a user of skl2onnx calls it."""

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.preprocessing import StandardScaler

from sktransfer import BaselineScaler, FeatureExtractor, make_pipeline, register_onnx_converters
from tests.onnx_pipelines import classifier, regressor, rows, run

skl2onnx = pytest.importorskip("skl2onnx")
register_onnx_converters()
register_onnx_converters()  # twice is once


def types(graph):
    kinds = {onnx.TensorProto.DOUBLE: "double", onnx.TensorProto.FLOAT: "float", onnx.TensorProto.STRING: "text"}
    return [kinds[one.type.tensor_type.elem_type] for one in graph.graph.output]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("opset", [18, 21, None])
def test_a_pipeline_is_converted_in_the_type_of_its_rows(dtype, opset):
    X = (rows()[0] - 1e7).astype(dtype)
    pipeline = make_pipeline(BaselineScaler().fit(X), classifier()[-1])
    graph = skl2onnx.to_onnx(pipeline, X[:1], target_opset=opset, options={id(pipeline): {"zipmap": False}})
    assert types(graph) == ["text", "double" if dtype is np.float64 else "float"]
    labels, probabilities = run(graph.SerializeToString(), X)
    np.testing.assert_array_equal(labels, pipeline.predict(X))
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), rtol=0, atol=1e-6)


def test_without_options_each_row_is_a_dict_of_probabilities():
    X = rows()[0]
    _, found = run(skl2onnx.to_onnx(classifier(), X[:1]).SerializeToString(), X[:5])
    expected = [dict(zip(classifier().classes_, row, strict=True)) for row in classifier().predict_proba(X[:5])]
    assert [list(one) for one in found] == [list(one) for one in expected]
    np.testing.assert_allclose(
        [list(one.values()) for one in found], [list(one.values()) for one in expected], atol=1e-6
    )


def test_values_and_features():
    X = rows()[0]
    (values,) = run(skl2onnx.to_onnx(regressor(), X[:1]).SerializeToString(), X)
    np.testing.assert_allclose(values[:, 0], regressor().predict(X), rtol=1e-5, atol=1e-6)
    extractor = make_pipeline(BaselineScaler(), FeatureExtractor(classifier()[-1].backbone_)).fit(X)
    graph = skl2onnx.to_onnx(extractor, X[:1])
    assert types(graph) == ["float"]
    (features,) = run(graph.SerializeToString(), X)
    np.testing.assert_allclose(features, extractor.transform(X), rtol=1e-4, atol=1e-5)


def test_the_threshold_of_a_network_is_read():
    X, y = rows()
    leak = np.where(y == "leak", "leak", "normal")
    head = LogisticRegression(class_weight={"leak": 0.3})
    inner = make_pipeline(BaselineScaler(), FeatureExtractor(classifier()[-1].backbone_), head)
    model = FixedThresholdClassifier(inner, threshold=0.02, pos_label="leak").fit(X, leak)
    labels, _ = run(skl2onnx.to_onnx(model, X[:1], options={id(model): {"zipmap": False}}).SerializeToString(), X)
    np.testing.assert_array_equal(labels, model.predict(X))
    assert (labels != model.estimator_.predict(X)).any()


def test_an_opset_before_18_and_a_frame_are_errors_with_a_remedy():
    X = rows()[0]
    with pytest.raises(ValueError, match="write opset 18 and later; got target_opset=17"):
        skl2onnx.to_onnx(classifier(), X[:1], target_opset=17)
    with pytest.raises(ValueError, match=r"BaselineScaler is converted with one input of known shape.*Pass an array"):
        skl2onnx.to_onnx(classifier(), pd.DataFrame(X[:1], columns=list("abcd")))


def test_what_skl2onnx_converted_before_is_as_it_was():
    X, y = rows()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    labels, _ = run(skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False}).SerializeToString(), X)
    np.testing.assert_array_equal(labels, pipeline.predict(X))
