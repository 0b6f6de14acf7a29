"""Models on disk: what travels, what is said of it, and what is refused before anything is written."""

import hashlib
import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

import sktransfer
from sktransfer import (
    TRUSTED_TYPES,
    Backbone,
    BaselineScaler,
    FromScratch,
    Inputs,
    LinearProbing,
    MLPHead,
    ModelFileError,
    ModelVersionWarning,
    TransferClassifier,
    inspect_file,
    load,
    save,
    save_backbone,
)
from sktransfer.io import model_file
from sktransfer.io.stored_frame import StoredFrame
from sktransfer.utils.versions import running_versions
from tests.helpers import moons, small_backbone
from tests.io.forge import number, objects, parts, write

X, y = moons(60)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def backbone():
    inputs = Inputs(n=4, names=("p", "T", "F", "L"), units=("bar", "K", "m3/h", "%"))
    return small_backbone(max_epochs=2).describe(inputs=inputs)


@pytest.fixture(scope="module")
def fitted(backbone):
    frame = pd.DataFrame(X, columns=["p", "T", "F", "L"])
    scaler = BaselineScaler(normal_label="normal")
    return make_pipeline(scaler, TransferClassifier(backbone, strategy=LinearProbing(), random_state=0)).fit(frame, y)


@pytest.fixture
def file(fitted, tmp_path):
    return save(fitted, tmp_path / "model.skops", metrics={"accuracy": 0.9}, licence="CC0-1.0", notes="pump A")


def frame():
    return pd.DataFrame(X, columns=["p", "T", "F", "L"])


# ---- the same bytes


def test_the_same_model_gives_the_same_bytes(fitted, file, tmp_path):
    again = save(
        load(file, device=None), tmp_path / "again.skops", metrics={"accuracy": 0.9}, licence="CC0-1.0", notes="pump A"
    )
    assert again.read_bytes() == file.read_bytes()


SAME = """
import hashlib, sys, numpy as np, sktransfer
from sklearn.pipeline import make_pipeline
model = sktransfer.load(sys.argv[1])
print(hashlib.sha256(sktransfer.save(model, sys.argv[2]).read_bytes()).hexdigest())
backbone = model[-1].backbone.describe(provenance={"z": 1, "a": {"k": [2], "b": "c"}})
print(hashlib.sha256(sktransfer.save_backbone(backbone, sys.argv[3]).read_bytes()).hexdigest())
"""


@pytest.mark.slow
def test_another_process_with_another_order_of_hashes_gives_the_same_bytes(file, tmp_path):
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        paths = [str(tmp_path / f"{seed}.{kind}") for kind in ("skops", "safetensors")]
        done = subprocess.run(
            [sys.executable, "-c", SAME, str(file), *paths], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


# ---- the card


def test_the_card_says_columns_units_ranges_classes_and_what_was_given(fitted, file):
    card = inspect_file(file)
    assert (card.what, card.model, card.format) == ("model", "Pipeline(BaselineScaler, TransferClassifier)", 1)
    assert [(column["name"], column["unit"]) for column in card.columns] == [
        ("p", "bar"), ("T", "K"), ("F", "m3/h"), ("L", "%")]  # fmt: skip
    np.testing.assert_array_equal([c["minimum"] for c in card.columns], fitted[0].lowest_)
    assert (card.classes, card.normal_label) == (["leak", "normal", "wear"], "normal")
    assert (card.metrics, card.licence, card.notes) == ({"accuracy": 0.9}, "CC0-1.0", "pump A")
    assert card.versions == running_versions()
    assert f"scikit-learn=={sklearn.__version__}" in card.requirements
    assert card.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert card.n_bytes == file.stat().st_size
    assert "sktransfer.preprocessing.baseline_scaler.BaselineScaler" in card.types
    for text in ("p (bar)", "T (K)", "leak, normal, wear", "accuracy 0.9", "CC0-1.0", "pump A", card.sha256):
        assert text in " ".join(str(card).split())
    assert "<table>" in card._repr_html_()


def test_a_card_is_read_without_building_the_model(file, monkeypatch):
    monkeypatch.setattr(model_file, "model_of", None)
    assert inspect_file(file).classes == ["leak", "normal", "wear"]


def test_a_card_of_a_hostile_file_is_read_all_the_same(file, tmp_path):
    schema, manifest, entries = parts(file)
    objects(schema, "LinearProbing")[0].update({"__module__": "os", "__class__": "system"})
    forged = write(tmp_path / "forged.skops", schema, {**manifest, "notes": "\x1b[31mred"}, entries)
    assert "\x1b" not in str(inspect_file(forged))


def test_the_card_of_a_backbone_says_the_same_as_the_backbone(backbone, tmp_path):
    described = backbone.describe(provenance={"licence": "CC0-1.0", "task": "moons"})
    card = inspect_file(save_backbone(described, tmp_path / "b.safetensors"))
    assert (card.what, card.model) == ("backbone", "fitted (mlp, 3 blocks)")
    assert card.columns[0] == {"name": "p", "unit": "bar"}
    assert (card.classes, card.licence, card.notes) == (["leak", "normal", "wear"], "CC0-1.0", "task: moons")
    assert card.sha256 == hashlib.sha256((tmp_path / "b.safetensors").read_bytes()).hexdigest()


def test_a_backbone_without_names_units_and_classes_has_a_card(tmp_path):
    plain = Backbone(nn.Sequential(nn.Linear(3, 2)))
    card = inspect_file(save_backbone(plain, tmp_path / "b.safetensors"))
    assert (card.columns, card.classes) == ([], None)
    assert "not said" in str(card)


def test_a_normal_label_and_metrics_that_are_no_json_are_told(fitted, tmp_path):
    assert inspect_file(save(fitted[-1], tmp_path / "a.skops", normal_label=np.str_("normal"))).normal_label == "normal"
    for given in ({"metrics": {"a": object()}}, {"metrics": [1]}, {"metrics": {"a": float("nan")}}, {"notes": 3}):
        with pytest.raises(TypeError, match=r"metrics|notes"):
            save(fitted, tmp_path / "b.skops", **given)
    assert not (tmp_path / "b.skops").exists()


# ---- devices


@pytest.mark.parametrize("stored", ["auto", "cuda", torch.device("cuda:1")])
def test_the_device_is_the_reader_s(fitted, tmp_path, stored):
    model = (
        TransferClassifier(**{**fitted[-1].get_params(deep=False), "device": "cpu"}).fit(X, y).set_params(device=stored)
    )
    file = save(model, tmp_path / "model.skops")
    assert load(file).device == "cpu"
    assert load(file, device="auto").device == "auto"
    assert load(file, device=None).device == str(stored)
    assert model.device is stored


@pytest.mark.parametrize("device", ["gpu", "", 3, True, "cuda:", "cpu; import os"])
def test_a_device_that_is_none_is_refused(file, device):
    with pytest.raises(ValueError, match="device is 'cpu'"):
        load(file, device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_cuda_is_asked_for_where_there_is_none(file):
    with pytest.raises(RuntimeError, match="there is no CUDA here"):
        load(file, device="cuda")


# ---- versions


def with_manifest(file, tmp_path, **changes):
    schema, manifest, entries = parts(file)
    return write(tmp_path / "changed.skops", schema, {**manifest, **changes}, entries)


def test_another_minor_version_is_one_warning(file, tmp_path):
    versions = {**running_versions(), "scikit-learn": "1.6.0", "sktransfer": "0.0.9"}
    older = with_manifest(file, tmp_path, versions=versions)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(older)
    assert [w.category for w in caught] == [ModelVersionWarning]
    assert "sktransfer 0.0.9 -> 0.1.0" in str(caught[0].message)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        with pytest.raises(ModelVersionWarning):
            load(older)


def test_versions_inside_belong_to_the_sum_of_the_estimator(file, tmp_path):
    schema, manifest, entries = parts(file)
    for node in objects(schema, "TransferClassifier"):
        node["content"]["content"]["_saved_with"]["content"]["torch"] = number("2.6.0")
    versions = {**running_versions(), "torch": "2.6.0"}
    older = write(tmp_path / "older.skops", schema, {**manifest, "versions": versions}, entries)
    with pytest.warns(ModelVersionWarning), pytest.raises(ModelFileError, match="does not match its checksum"):
        load(older)  # the estimator's own sum is over its versions


def test_another_patch_release_is_silent(file, tmp_path):
    versions = {name: ".".join(v.split(".")[:2]) + ".99" for name, v in running_versions().items()}
    changed = with_manifest(file, tmp_path, versions=versions)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(changed)


def test_a_newer_format_is_refused_with_advice(file, tmp_path):
    newer = with_manifest(file, tmp_path, format=2, versions={"sktransfer": "7.1"}, columns="new")
    for reader in (load, inspect_file):
        with pytest.raises(ModelFileError, match=r"format 2 by sktransfer 7\.1; this version reads up to 1. Upgrade"):
            reader(newer)


@pytest.mark.parametrize(
    "changes",
    [{"format": None}, {"format": True}, {"format": "1"}, {"versions": None}, {"versions": {"numpy": 1}},
     {"columns": {}}, {"columns": [1]}, {"types": None}, {"versions": {}}],
)  # fmt: skip
def test_a_manifest_that_means_nothing_is_refused(file, tmp_path, changes):
    with pytest.raises(ModelFileError):
        load(with_manifest(file, tmp_path, **changes))


def test_a_manifest_of_another_model_is_refused(file, tmp_path):
    from sktransfer.io.model_file_zip import pack

    _, manifest, entries = parts(file)
    manifest["sha256"] = "0" * 64
    (tmp_path / "f.skops").write_bytes(pack({**entries, "manifest.json": json.dumps(manifest).encode()}))
    with pytest.raises(ModelFileError, match="another model"):
        load(tmp_path / "f.skops")


# ---- what does not travel


def test_callbacks_loggers_and_caches_stay_with_the_caller(backbone, tmp_path):
    import joblib
    import skorch.callbacks

    callbacks = [
        skorch.callbacks.PrintLog(sink=lambda text: None),
        ("stop", skorch.callbacks.EarlyStopping("train_loss")),
    ]
    classifier = TransferClassifier(backbone, callbacks=callbacks, max_epochs=2, random_state=0)
    model = make_pipeline(StandardScaler(), classifier, memory=joblib.Memory(None)).fit(X, y)
    model[0].logger_ = logging.getLogger("plant")
    before = dict(vars(model[0]))
    with pytest.warns(UserWarning, match=r"callbacks \['EarlyStopping'\] of Pipeline are not stored") as caught:
        file = save(model, tmp_path / "model.skops")
    assert caught[0].filename == __file__
    loaded = load(file)
    assert (loaded[1].callbacks, loaded.memory, hasattr(loaded[0], "logger_")) == (None, None, False)
    assert model[1].callbacks is callbacks
    assert vars(model[0]) == before
    assert model.memory is not None
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def local_function():
    def inner(x):
        return x

    return inner


class Numbers:
    """Holds anything."""

    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    ("function", "said"),
    [(lambda x: x, "func is a lambda"), (local_function(), "'inner', which is defined inside a function"),
     (type("Local", (), {"__call__": lambda self, x: x})(), "'Local', which is defined inside a function")],
    ids=["lambda", "local function", "local class"],
)  # fmt: skip
def test_what_no_other_process_finds_is_refused_before_anything_is_written(tmp_path, function, said):
    model = make_pipeline(StandardScaler(), FunctionTransformer(function)).fit(X)
    with pytest.raises(TypeError, match=said) as caught:
        save(model, tmp_path / "model.skops")
    assert "Move it to the top of a module" in str(caught.value)
    assert "Pipeline.steps[1][1]" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_bytes_and_what_skops_cannot_hold_are_refused(tmp_path):
    for value, said in ((b"\x80\x04.", "bytes object"), (bytearray(3), "bytes object"), (iter([1]), "list_iterator"),
                        (torch.ones(2), "cannot"), (np.random.PCG64(0), "cannot|SeedSequence")):  # fmt: skip
        model = StandardScaler().fit(X)
        model.extra_ = {"inner": [value]}
        with pytest.raises((TypeError, ModelFileError), match=said):
            save(model, tmp_path / "model.skops")
    model.extra_ = model  # without end
    with pytest.raises(TypeError, match="recursion"):
        save(model, tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


def test_only_fitted_estimators_are_written(backbone, tmp_path):
    with pytest.raises(TypeError, match="save_backbone"):
        save(backbone, tmp_path / "a")
    for value in (3, None, TransferClassifier, {"model": 1}):
        with pytest.raises(TypeError, match="takes a fitted estimator"):
            save(value, tmp_path / "a")
    for model in (TransferClassifier(), make_pipeline(StandardScaler(), TransferClassifier())):
        with pytest.raises(NotFittedError):
            save(model, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_reads_back_as_something_else_is_not_written(tmp_path):
    class Forgetful(StandardScaler):
        pass

    Forgetful.__module__, Forgetful.__qualname__ = __name__, "StandardScaler"
    Forgetful.__name__ = "StandardScaler"  # this module has one of that name, which will be built
    old = save(StandardScaler().fit(X), tmp_path / "model.skops").read_bytes()
    model = Forgetful().fit(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_file, "types_in", lambda entries: [])
        with pytest.raises(Exception, match="StandardScaler"):
            save(model, tmp_path / "model.skops")
    assert (tmp_path / "model.skops").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]


def test_a_class_of_the_caller_is_named_and_loaded_if_it_is_trusted(tmp_path):
    model = StandardScaler().fit(X)
    model.extra_ = Numbers([1, 2])
    file = save(model, tmp_path / "model.skops")
    name = f"{Numbers.__module__}.Numbers"
    assert name in inspect_file(file).types
    with pytest.raises(ModelFileError, match=r"types that are not trusted: .*Numbers'\].*trusted=\(\*sktransfer"):
        load(file)
    assert load(file, trusted=(*TRUSTED_TYPES, name)).extra_.value == [1, 2]
    for trusted in (True, name):
        with pytest.raises(TypeError, match="list of full names"):
            load(file, trusted=trusted)
    with pytest.raises(ModelFileError, match="StandardScaler"):
        load(file, trusted=())


def test_a_table_travels_as_arrays(tmp_path):
    table = pd.DataFrame(
        {"name": ["a", "b"], "score": [0.5, np.nan], "ok": [True, False]}, index=pd.Index([3, 4], name="id")
    )
    model = StandardScaler().fit(X)
    model.report_ = table
    loaded = load(save(model, tmp_path / "model.skops"))
    pd.testing.assert_frame_equal(loaded.report_, table)
    assert model.report_ is table
    with pytest.raises(TypeError, match="categories"):
        StoredFrame(pd.DataFrame({"a": pd.Categorical(["x", "y"])}))


# ---- states that ask for too much


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("Backbone", "format", 2), ("Backbone", "format", None), ("TransferClassifier", "_state_format", 9),
     ("TransferClassifier", "n_outputs_", 10**9), ("TransferClassifier", "n_outputs_", -1),
     ("TransferClassifier", "_checksum", "1:0")],
)  # fmt: skip
def test_a_state_that_was_changed_is_refused(file, tmp_path, name, key, value):
    schema, manifest, entries = parts(file)
    objects(schema, name)[0]["content"]["content"][key] = number(value)
    with pytest.raises(ModelFileError):
        load(write(tmp_path / "forged.skops", schema, manifest, entries))


def unsealed(node):
    """A state whose sum was taken out, as in files of versions before there was one."""
    node["content"]["content"].pop("_checksum")
    node["content"]["key_types"]["content"].pop()
    return node["content"]["content"]


def within_memory(function, megabytes):
    """Run `function` in a process that may take no more than so much beyond what it has."""
    import resource

    child = os.fork()
    if child == 0:
        with Path("/proc/self/statm").open() as stream:
            used = int(stream.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20,) * 2)
        try:
            function()
            os._exit(3)
        except ModelFileError:
            os._exit(0)
        except BaseException:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
@pytest.mark.parametrize("where", ["backbone", "outputs", "head"])
def test_a_header_that_asks_for_a_billion_units_takes_no_memory(tmp_path, where):
    recipe = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    model = TransferClassifier(recipe, head=MLPHead((4,)), max_epochs=1, random_state=0).fit(X, y)
    schema, manifest, entries = parts(save(model, tmp_path / "model.skops"))
    outer = unsealed(objects(schema, "TransferClassifier")[0])
    if where == "backbone":
        network = unsealed(objects(schema, "Backbone")[0])["network"]["content"]["arguments"]["content"]
        assert network["hidden_layer_sizes"]["content"][0]["content"] == "8"
        network["hidden_layer_sizes"]["content"][0]["content"] = "1000000000"
    elif where == "outputs":
        outer["n_outputs_"] = number(10**9)
    else:
        sizes = objects(schema, "MLPHead")[-1]["content"]["content"]["hidden_layer_sizes"]["content"]
        sizes[0]["content"] = "1000000000"
    forged = write(tmp_path / "forged.skops", schema, manifest, entries)
    assert within_memory(lambda: load(forged), 500) == 0


def test_a_network_that_pads_a_sample_to_gigabytes_is_refused_in_a_model_file(tmp_path):
    network = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = np.random.default_rng(0).normal(size=(20, 1, 6, 6))
    backbone = Backbone(network, inputs=Inputs(shape=(1, 6, 6)))
    model = TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).fit(images, np.arange(20) % 2)
    schema, manifest, entries = parts(save(model, tmp_path / "model.skops"))
    unsealed(objects(schema, "TransferClassifier")[0])
    text = json.dumps(unsealed(objects(schema, "Backbone")[0])["network"])
    assert "ZeroPad2d" in text
    layers = unsealed_layers(schema)
    layers["padding"] = number(40_000)
    with pytest.raises(ModelFileError, match=r"asks for .* for a single sample"):
        load(write(tmp_path / "forged.skops", schema, manifest, entries))


def unsealed_layers(schema):
    """Arguments of the first layer of the network."""
    network = objects(schema, "Backbone")[0]["content"]["content"]["network"]["content"]["arguments"]["content"]
    return network["layers"]["content"][0]["content"][2]["content"]


def test_the_public_names():
    assert sktransfer.save is save
    assert sktransfer.TRUSTED_TYPES is TRUSTED_TYPES
