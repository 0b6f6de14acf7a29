"""Fitted estimators on disk: joblib, pickle and skops hold the same state, and damage is seen."""

import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
import torch
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import make_pipeline

from sktransfer import (
    BaselineScaler,
    FromScratch,
    LayerDecay,
    LinearHead,
    LinearProbing,
    MLPHead,
    ModelFileError,
    ModelVersionWarning,
    ProbeThenTune,
    TransferClassifier,
    TransferRegressor,
    save_backbone,
)
from sktransfer.backbones.weights import Weights
from sktransfer.estimators import base
from sktransfer.utils.checksums import seal
from sktransfer.utils.versions import minor_versions, running_versions
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


@pytest.fixture(scope="module")
def fitted(backbone):
    return TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).fit(*moons(60, seed=1))


def by_skops(model):
    stored = skops.io.dumps(model)
    return skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))


def by_joblib(model):
    stream = io.BytesIO()
    joblib.dump(model, stream)
    stream.seek(0)
    return joblib.load(stream)


def by_pickle(model):
    return pickle.loads(pickle.dumps(model))


def assert_equal_params(first, second):
    for name, value in first.get_params(deep=True).items():
        other = second.get_params(deep=True)[name]
        assert type(other) is type(value)
        assert repr(other) == repr(value)


@pytest.mark.parametrize("trip", [by_joblib, by_pickle, by_skops])
@pytest.mark.parametrize(
    "params",
    [
        {"max_epochs": 3},
        {"head": MLPHead((8,), dropout=0.2), "max_epochs": 3},
        {"strategy": ProbeThenTune(0.3), "max_epochs": 3},
        {
            "strategy": LayerDecay(0.5),
            "head": LinearHead(init="random"),
            "max_epochs": 3,
            "class_weight": {"leak": 2.0},
        },
    ],
    ids=["default", "mlp head", "tuned", "decayed"],
)
def test_a_loaded_classifier_predicts_the_same_bits(backbone, params, trip):
    X, y = moons(60, seed=1)
    model = TransferClassifier(backbone, random_state=0, **params).fit(X, y)
    loaded = trip(model)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.classes_, model.classes_)
    assert loaded.history_ == model.history_
    assert loaded.n_iter_ == model.n_iter_
    assert_equal_params(model, loaded)
    again = loaded.fit(X, y)  # a loaded estimator is not a dead end
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("trip", [by_joblib, by_pickle, by_skops])
def test_a_loaded_regressor_predicts_the_same_bits(backbone, trip):
    X, _ = moons(60, seed=1)
    model = TransferRegressor(backbone, strategy=LinearProbing(), random_state=0).fit(X, X[:, :2] * 100)
    np.testing.assert_array_equal(trip(model).predict(X), model.predict(X))


@pytest.mark.parametrize("trip", [by_joblib, by_pickle, by_skops])
def test_an_unfitted_estimator_stays_unfitted(trip):
    model = TransferClassifier(FromScratch(arguments={"hidden_layer_sizes": [8]}), lr=0.1, class_weight="balanced")
    loaded = trip(model)
    assert not hasattr(loaded, "module_")
    assert_equal_params(model, loaded)


def test_parameters_set_after_the_fit_do_not_change_what_was_fitted(fitted, backbone):
    X, y = moons(60, seed=1)
    model = (
        TransferClassifier(backbone, strategy=LinearProbing(), random_state=0)
        .fit(X, y)
        .set_params(head=MLPHead((8,)), backbone=None)
    )
    np.testing.assert_array_equal(model.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(by_pickle(model).predict_proba(X), fitted.predict_proba(X))


def test_a_tuned_pipeline_holds_its_weights_and_those_of_its_source_unless_it_names_the_source(tmp_path):
    X, y = moons(100)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (256, 256, 256)})
    source = TransferClassifier(recipe, max_epochs=1, random_state=0).fit(X, y).backbone_
    file = save_backbone(source, tmp_path / "source.safetensors")
    for backbone, held in ((source, 2 * source.nbytes), (str(file), source.nbytes)):
        pipeline = make_pipeline(BaselineScaler(), TransferClassifier(backbone, max_epochs=2)).fit(X, y)
        joblib.dump(pipeline, tmp_path / "model.joblib")
        assert (tmp_path / "model.joblib").stat().st_size <= 1.2 * held + 30_000


def test_a_frozen_backbone_is_written_once(tmp_path):
    X, y = moons(100)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (256, 256, 256)})
    source = TransferClassifier(recipe, max_epochs=1, random_state=0).fit(X, y).backbone_
    pipeline = make_pipeline(BaselineScaler(), TransferClassifier(source, strategy=LinearProbing())).fit(X, y)
    path = tmp_path / "model.joblib"
    joblib.dump(pipeline, path)
    assert path.stat().st_size <= 1.2 * source.nbytes + 30_000
    loaded = joblib.load(path)
    assert loaded[-1].backbone.weights[0] is loaded[-1].backbone_.weights[0]
    np.testing.assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))


def test_no_torch_object_is_stored(fitted):
    class NoTorch(pickle.Unpickler):
        def find_class(self, module, name):
            assert module.partition(".")[0] in {"sktransfer", "numpy", "builtins", "copyreg", "joblib"}, module
            return super().find_class(module, name)

    assert NoTorch(io.BytesIO(pickle.dumps(fitted))).load().n_outputs_ == 3


@pytest.mark.parametrize("place", ["backbone", "head"])
def test_a_flipped_weight_is_seen(fitted, tmp_path, place):
    path = tmp_path / "model.joblib"
    joblib.dump(fitted, path)
    arrays = fitted.backbone_.weights[1]["0.weight"], fitted.module_.head.output.weight.numpy()
    needle = arrays[place == "head"].tobytes()[:64]
    content = bytearray(path.read_bytes())
    assert needle in content
    content[content.index(needle) + 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="checksum"):
        joblib.load(path)


def test_weights_that_were_mapped_read_only_still_predict(fitted, tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump(fitted, path)
    X, _ = moons(20, seed=2)
    np.testing.assert_array_equal(joblib.load(path, mmap_mode="r").predict_proba(X), fitted.predict_proba(X))


def with_versions(monkeypatch, model, **changes):
    """The model as another installation would have written it."""
    versions = {**running_versions(), **changes}
    with monkeypatch.context() as patch:
        patch.setattr(base, "running_versions", lambda: versions)
        return pickle.dumps(model)


@pytest.mark.parametrize("package", ["scikit-learn", "torch", "numpy", "sktransfer", "python"])
def test_another_minor_version_warns_and_names_it(fitted, monkeypatch, package):
    stored = with_versions(monkeypatch, fitted, **{package: "0.0.7"})
    with pytest.warns(InconsistentVersionWarning, match=f"{package} 0.0.7 -> ") as caught:
        pickle.loads(stored)
    ours = [w.message for w in caught if isinstance(w.message, ModelVersionWarning)]
    assert [(w.estimator_name, w.saved_with[package]) for w in ours] == [("TransferClassifier", "0.0.7")]
    assert ours[0].original_sklearn_version == ours[0].saved_with["scikit-learn"]


def test_another_patch_release_is_silent(fitted, monkeypatch):
    patches = {name: ".".join(version.split(".")[:2]) + ".99" for name, version in running_versions().items()}
    stored = with_versions(monkeypatch, fitted, **patches)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(stored)
    assert minor_versions({"a": "1.9.1", "b": "2.13.0"}) == {"a": "1.9", "b": "2.13"}


@pytest.mark.parametrize("found", [base.STATE_FORMAT + 1, None, "one"])
def test_a_newer_or_foreign_state_is_refused_with_advice(fitted, monkeypatch, found):
    with monkeypatch.context() as patch:
        patch.setattr(base, "STATE_FORMAT", found)
        stored = pickle.dumps(fitted)
    with pytest.raises(ModelFileError, match="Upgrade sktransfer"):
        pickle.loads(stored)


def test_a_head_that_does_not_fit_the_parameters_is_refused(fitted):
    state = fitted.__getstate__()
    state["_fitted_head"] = MLPHead((5,))
    with pytest.raises(ModelFileError, match="head"):
        object.__new__(TransferClassifier).__setstate__(seal(state))


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.OutOfRangeWarning")
def test_progress_bars_are_not_stored_with_our_estimator():
    callback = pytest.importorskip("sklearn.callback", reason=f"scikit-learn {sklearn.__version__} has no callbacks")
    X, y = moons(40)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    alone = TransferClassifier(recipe, max_epochs=2, random_state=0).set_callbacks(callback.ProgressBar()).fit(X, y)
    inside = make_pipeline(BaselineScaler(), TransferClassifier(recipe, max_epochs=2, random_state=0))
    inside.set_callbacks(callback.ProgressBar()).fit(X, y)
    for model, last in ((alone, alone), (inside[-1], inside[-1]), (inside, inside[-1])):
        loaded = by_pickle(model)
        assert [name for name in by_pickle(last).__dict__ if "callback" in name] == ["callbacks"]
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_skops_asks_for_nothing_but_types_of_this_package(fitted):
    asked = skops.io.get_untrusted_types(data=skops.io.dumps(fitted))
    assert asked
    assert all(name.startswith("sktransfer.") for name in asked)


def test_digest_covers_names_types_shapes_and_bytes():
    base = Weights({"a": np.zeros(4, np.float32)})
    others = [{"b": np.zeros(4, np.float32)}, {"a": np.zeros((2, 2), np.float32)}, {"a": np.zeros(2)},
              {"a": np.array([0, 0, 0, 1e-45], np.float32)}]  # fmt: skip
    digests = {Weights(other).sha256 for other in others} | {base.sha256}
    assert len(digests) == 5
    assert Weights({"a": np.zeros(4, np.float32)}).sha256 == base.sha256


@pytest.mark.parametrize(
    "state",
    [{}, {"arrays": None}, {"arrays": {"a": [1.0]}}, {"arrays": {"a": np.zeros(2)}, "sha256": "0"},
     {"arrays": {"a": np.array([print], dtype=object)}, "sha256": "0"}],
)  # fmt: skip
def test_weights_refuse_anything_but_checked_arrays(state):
    with pytest.raises(ModelFileError):
        object.__new__(Weights).__setstate__(state)


def test_weights_are_what_a_module_holds_without_a_copy():
    array = torch.arange(4.0).numpy()
    weights = Weights({"a": array})
    assert weights["a"] is array
    assert (len(weights), list(weights), weights.nbytes) == (1, ["a"], 16)
