"""Kept transformers are those of the present file, and of the present fields of windows."""

import pickle
import shutil

import joblib
import numpy as np
import pytest
import sklearn.pipeline
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from sktransfer import (
    EnvelopeSpectra,
    FeatureExtractor,
    Pipeline,
    TransferClassifier,
    Windows,
    load_backbone,
    save_backbone,
)
from tests.helpers import moons, small_backbone

X, Y = moons(60)


@pytest.fixture
def files(tmp_path):
    """Two networks of one shape in two files, and a path to be filled with either."""
    paths = []
    for seed in (0, 1):
        source = TransferClassifier(small_backbone(max_epochs=1), max_epochs=1, random_state=seed).fit(X, Y)
        paths.append(save_backbone(source.backbone_.describe(name="net"), tmp_path / f"{seed}.safetensors"))
    return paths


@pytest.mark.parametrize("kind", [Pipeline, sklearn.pipeline.Pipeline])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_file_that_was_replaced_is_read_again(files, tmp_path, kind, as_text):
    path = tmp_path / "net.safetensors"
    name = str(path) if as_text else path
    pipe = kind(
        [("net", FeatureExtractor(name)), ("head", LogisticRegression())],
        memory=joblib.Memory(tmp_path / "kept", verbose=0),
    )
    answers = []
    for file in (*files, files[0]):
        shutil.copy(file, path)
        found = clone(pipe).fit(X, Y).predict_proba(X)
        backbone = load_backbone(file)
        plain = kind([("net", FeatureExtractor(backbone)), ("head", LogisticRegression())]).fit(X, Y)
        np.testing.assert_array_equal(found, plain.predict_proba(X))
        answers.append(found)
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    np.testing.assert_array_equal(answers[0], answers[2])


def test_what_did_not_change_is_kept(files, tmp_path):
    extractor = FeatureExtractor(str(files[0]))
    assert joblib.hash(extractor) == joblib.hash(clone(extractor))
    shutil.copy(files[0], tmp_path / "copy.safetensors")
    before = joblib.hash(FeatureExtractor(str(tmp_path / "copy.safetensors")))
    shutil.copy(files[1], tmp_path / "copy.safetensors")
    assert joblib.hash(FeatureExtractor(str(tmp_path / "copy.safetensors"))) != before
    classifier = TransferClassifier(str(tmp_path / "copy.safetensors"))
    before = joblib.hash(classifier)
    shutil.copy(files[0], tmp_path / "copy.safetensors")
    assert joblib.hash(classifier) != before


@pytest.mark.parametrize("kind", [FeatureExtractor, TransferClassifier])
@pytest.mark.parametrize("backbone", ["process", "no such file", None])
def test_the_content_is_no_part_of_the_object(kind, backbone):
    copied = pickle.loads(pickle.dumps(kind(backbone)))
    assert copied.get_params() == kind(backbone).get_params()
    assert vars(copied).keys() <= vars(kind(backbone)).keys()


@pytest.mark.parametrize("kind", [Pipeline, sklearn.pipeline.Pipeline])
@pytest.mark.parametrize("field", ["rpm", "orders", "sampling_rate"])
def test_corrected_fields_of_the_same_samples_are_another_key(tmp_path, kind, field):
    rng = np.random.default_rng(0)
    signals, y = rng.normal(size=(30, 1, 512)), np.resize([0, 1], 30)
    fields = {"rpm": 1800.0, "orders": [3.5, 5.4, 4.7, 0.4], "sampling_rate": 12_000}
    wrong = {"rpm": 900.0, "orders": [2.5, 4.4, 3.7, 0.3], "sampling_rate": 48_000}
    memory = joblib.Memory(tmp_path, verbose=0)
    steps = [("spectra", EnvelopeSpectra()), ("head", LogisticRegression())]
    found = []
    for changed in (wrong[field], fields[field]):
        X = Windows.of(signals, **{**fields, field: changed})
        kept = kind(steps, memory=memory).fit(X, y)[-1].coef_
        np.testing.assert_array_equal(kept, kind(steps).fit(X, y)[-1].coef_)
        found.append(kept)
    assert np.abs(found[0] - found[1]).max() > 1e-3
