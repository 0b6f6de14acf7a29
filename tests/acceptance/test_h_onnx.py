"""Acceptance, section H: ONNX files. The name of a test begins with its id."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.preprocessing import StandardScaler

from sktransfer import BaselineScaler, FeatureExtractor, OnnxModel, TransferClassifier, export_onnx, make_pipeline
from tests.onnx_pipelines import classifier, far_rows, regressor, rows, run, windows

# rows out of range are what these tests are about
pytestmark = pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return export_onnx(classifier(), tmp_path_factory.mktemp("onnx") / "pump.onnx", X=rows()[0])


def with_gaps():
    X = far_rows()
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    return X


def other_steps(kind):
    X, y = rows()
    backbone = classifier()[-1].backbone_
    network = TransferClassifier(backbone, random_state=0)
    if kind == "imputer":
        gaps = X.copy()
        gaps[::9, 2] = np.nan
        return make_pipeline(SimpleImputer(), StandardScaler(), network).fit(gaps, y), with_gaps()
    if kind == "features":
        return make_pipeline(BaselineScaler(), FeatureExtractor(backbone), LogisticRegression()).fit(X, y), far_rows()
    numbers = np.unique(y, return_inverse=True)[1].astype(np.int32)
    return make_pipeline(BaselineScaler(), network).fit(X, numbers), far_rows()


def test_H1_labels_and_probabilities_are_those_of_the_pipeline_with_text_NaN_and_offset(file):
    for X in (far_rows(), with_gaps()):
        labels, probabilities = run(file, X)
        np.testing.assert_array_equal(labels, classifier().predict(X))
        np.testing.assert_allclose(probabilities, classifier().predict_proba(X), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["imputer", "features", "whole numbers"])
def test_H1_other_steps(kind, tmp_path):
    pipeline, X = other_steps(kind)
    labels, probabilities = run(export_onnx(pipeline, tmp_path / "a.onnx", X=rows()[0]), X)
    np.testing.assert_array_equal(labels, pipeline.predict(X))
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), rtol=0, atol=1e-5)
    found = OnnxModel(tmp_path / "a.onnx").predict(X)
    assert found.dtype == pipeline.predict(X).dtype


def test_H1_values_of_a_regression(tmp_path):
    (values,) = run(export_onnx(regressor(), tmp_path / "a.onnx"), far_rows())
    np.testing.assert_allclose(values[:, 0], regressor().predict(far_rows()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_rows", [0, 1, 10_000])
def test_H2_any_number_of_rows(file, n_rows):
    X = np.resize(far_rows(), (n_rows, 4))
    labels, probabilities = run(file, X)
    assert labels.shape == (n_rows,)
    assert probabilities.shape == (n_rows, 3)
    model = OnnxModel(file)
    np.testing.assert_array_equal(model.predict(X), labels)
    np.testing.assert_array_equal(model.predict_proba(X), probabilities)
    if n_rows:
        np.testing.assert_array_equal(labels, classifier().predict(X))


def test_H2_any_number_of_windows(tmp_path):
    X, y = windows()
    pipeline = make_pipeline(BaselineScaler(), TransferClassifier("process", random_state=0)).fit(X, y)
    model = OnnxModel(export_onnx(pipeline, tmp_path / "a.onnx", X=X))
    assert model.predict(X[:0]).shape == (0,)
    np.testing.assert_array_equal(model.predict(X[:1]), pipeline.predict(X[:1]))
    many = np.resize(X, (1000, *X.shape[1:]))
    np.testing.assert_allclose(model.predict_proba(many), pipeline.predict_proba(many), rtol=0, atol=1e-5)


def test_H3_there_is_one_file(file):
    assert [path.name for path in file.parent.iterdir()] == ["pump.onnx"]


def sentence(function, X):
    with pytest.raises(ValueError, match="Input X contains") as caught:
        function(X)
    return str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_H4_what_is_not_finite_is_refused_in_the_words_of_the_library(tmp_path, bad):
    model = OnnxModel(export_onnx(classifier("error"), tmp_path / "a.onnx", X=rows()[0]))
    X = rows()[0].copy()
    X[3, 1] = bad
    said = sentence(classifier("error").predict, X)
    assert sentence(model.predict, X) == said.replace("BaselineScaler: ", "OnnxModel: ")
    assert "column 'x1' (1 row)" in said


def test_H4_infinity_is_refused_where_NaN_is_taken(file):
    X = rows()[0].copy()
    X[0, 0] = np.inf
    assert sentence(OnnxModel(file).predict, X) == sentence(classifier().predict, X).replace(
        "BaselineScaler", "OnnxModel"
    )


def test_H4_numbers_of_every_type_are_taken(file):
    model, X = OnnxModel(file), np.rint(rows()[0])
    expected = classifier().predict(X)
    for given in (X, X.astype(np.float32), X.astype(np.int64), X.tolist(), pd.DataFrame(X), np.asfortranarray(X)):
        np.testing.assert_array_equal(model.predict(given), expected)


def test_H5_a_step_without_a_converter_is_named(tmp_path):
    class Cubed(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.n_features_in_ = X.shape[1]
            return self

        def transform(self, X):
            return X**3

    X, y = rows()
    pipeline = make_pipeline(Cubed(), StandardScaler(), LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match=r"no ONNX converter for Cubed\. Replace the step"):
        export_onnx(pipeline, tmp_path / "a.onnx", X=X)
    assert list(tmp_path.iterdir()) == []


def test_H5_frozen_steps_are_what_they_hold(tmp_path):
    X, y = rows()
    scaler = FrozenEstimator(BaselineScaler().fit(X[y == "normal"]))
    pipeline = make_pipeline(scaler, TransferClassifier(classifier()[-1].backbone_, random_state=0)).fit(X, y)
    for one in (pipeline, FrozenEstimator(pipeline)):
        labels, _ = run(export_onnx(one, tmp_path / "a.onnx", X=X), far_rows())
        np.testing.assert_array_equal(labels, pipeline.predict(far_rows()))


@pytest.mark.parametrize("kind", ["fixed", "tuned"])
def test_H5_thresholds_are_applied(tmp_path, kind):
    X, _ = rows()
    y = np.where(X[:, 0] > X[:, 0].mean() + 4, "leak", "normal")
    inner = make_pipeline(StandardScaler(), LogisticRegression(C=0.02))
    if kind == "fixed":
        model = FixedThresholdClassifier(inner, threshold=0.12, pos_label="leak").fit(X, y)
    else:
        model = TunedThresholdClassifierCV(inner, scoring="balanced_accuracy", cv=3).fit(X, y)
    labels, probabilities = run(export_onnx(model, tmp_path / "a.onnx", X=X), X)
    np.testing.assert_array_equal(labels, model.predict(X))
    assert (labels != model.estimator_.predict(X)).sum() > 2  # the threshold is another one than 0.5
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)


def test_H5_a_threshold_on_a_decision_function_is_an_error(tmp_path):
    X, y = rows()
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    model = FixedThresholdClassifier(inner, threshold=0.2, response_method="decision_function")
    with pytest.raises(ValueError, match="FixedThresholdClassifier on decision_function has no ONNX nodes"):
        export_onnx(model.fit(X, (y == "leak").astype(int)), tmp_path / "a.onnx", X=X)


def test_H6_scoring_needs_neither_torch_nor_scikit_learn(file, tmp_path):
    X = far_rows()
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys\n"
        "for name in ('torch', 'sklearn', 'skorch', 'scipy', 'joblib', 'onnx', 'skl2onnx'): sys.modules[name] = None\n"
        "import numpy as np; from sktransfer import OnnxModel\n"
        "X = np.load(sys.argv[2]); np.save(sys.argv[3], OnnxModel(sys.argv[1]).predict_proba(X))"
    )
    arguments = [str(file), str(tmp_path / "X.npy"), str(tmp_path / "found.npy")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), classifier().predict_proba(X), rtol=0, atol=1e-5)
