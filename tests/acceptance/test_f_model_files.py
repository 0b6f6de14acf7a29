"""F: model files. They are written at once, read without running code, and every kind of damage is an error."""

import hashlib
import io
import os
import pickle
import random
import shutil
import signal
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktransfer import FromScratch, ModelFileError, ModelVersionWarning, TransferClassifier, inspect_file, load, save
from sktransfer.utils import files
from sktransfer.utils.versions import running_versions
from tests.acceptance.cases import X, quick, scaled, y
from tests.io.forge import nodes, number, objects, parts, write

GOLDEN = Path(__file__).parents[1] / "io" / "golden"


@pytest.fixture(scope="module")
def model():
    recipe = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    return scaled(quick(backbone=recipe, max_epochs=2)).fit(X, y)


@pytest.fixture
def file(model, tmp_path):
    return save(model, tmp_path / "model.skops")


class Bomb:
    """Leaves a mark where it runs."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (Path(self.mark),))


def test_f1_a_loaded_model_answers_the_same_bits(model, file, tmp_path):
    joblib.dump(model, tmp_path / "model.joblib")
    skops.io.dump(model, tmp_path / "plain.skops")
    asked = skops.io.get_untrusted_types(file=tmp_path / "plain.skops")
    for loaded in (
        load(file), joblib.load(tmp_path / "model.joblib"), pickle.loads(pickle.dumps(model)),
        skops.io.load(tmp_path / "plain.skops", trusted=asked),
    ):  # fmt: skip
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    again = load(file).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.filterwarnings("ignore::sktransfer.utils.model_version_warning.ModelVersionWarning")
def test_f2_a_file_of_a_cuda_box_loads_on_the_cpu_and_is_fitted_again():
    loaded = load(GOLDEN / "cuda.skops")
    assert (loaded.device, loaded.device_) == ("cpu", "cpu")
    assert loaded.fit(X, y).predict(X).shape == (80,)


def test_f3_other_versions_are_one_warning_and_a_newer_format_is_refused(file, tmp_path):
    schema, manifest, entries = parts(file)
    older = {**manifest, "versions": {**running_versions(), "sktransfer": "0.0.1"}}
    with pytest.warns(ModelVersionWarning, match=r"sktransfer 0\.0\.1 -> ") as caught:
        load(write(tmp_path / "older.skops", schema, older, entries))
    assert len(caught) == 1
    with pytest.raises(ModelFileError, match="Upgrade sktransfer"):
        load(write(tmp_path / "newer.skops", schema, {**manifest, "format": 9}, entries))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_f4_a_process_killed_while_it_saves_leaves_a_whole_file(model, file):
    draw = random.Random(0)
    for _ in range(5):  # a hundred in benchmarks/files.py
        child = os.fork()
        if child == 0:
            while True:
                save(model, file)
        time.sleep(draw.uniform(0.02, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        np.testing.assert_array_equal(load(file).predict(X), model.predict(X))
    save(model, file)
    assert [path.name for path in file.parent.iterdir()] == ["model.skops"]  # what was left is removed


def test_f5_a_full_disk_and_a_missing_or_read_only_folder_leave_the_old_file(model, file, tmp_path, monkeypatch):
    before = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            save(model, file)
    with pytest.raises(FileNotFoundError):
        save(model, tmp_path / "missing" / "model.skops")
    with pytest.raises(IsADirectoryError):
        save(model, tmp_path)
    file.chmod(0o444)
    if not os.access(file, os.W_OK):
        with pytest.raises(PermissionError):
            save(model, file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]


def test_f6_all_of_400_flipped_bits_are_refused(file, tmp_path):
    content, draw = bytearray(file.read_bytes()), random.Random(0)
    damaged = tmp_path / "damaged.skops"
    for place in draw.sample(range(8 * len(content)), 400):
        content[place // 8] ^= 1 << place % 8
        damaged.write_bytes(content)
        content[place // 8] ^= 1 << place % 8
        for reader in (load, inspect_file):
            with pytest.raises(ModelFileError):
                reader(damaged)


def test_f7_a_file_cut_short_an_empty_one_and_one_of_another_kind_are_named(file, tmp_path):
    content, damaged = file.read_bytes(), tmp_path / "damaged.skops"
    for place in np.linspace(1, len(content) - 1, 60).astype(int):
        damaged.write_bytes(content[:place])
        with pytest.raises(ModelFileError, match=r"cut short|begins with|holds text"):
            load(damaged)
    torch.save({"a": torch.ones(2)}, tmp_path / "model.pt")
    for other, said in ((b"", "is empty"), (b"\x89PNG\r\n", "PNG image"), (b"a,b\n1,2\n", "holds text"),
                        ((tmp_path / "model.pt").read_bytes(), "torch.save")):  # fmt: skip
        damaged.write_bytes(other)
        with pytest.raises(ModelFileError, match=said):
            load(damaged)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing.skops")


@pytest.mark.parametrize("name", ["model.joblib", "model.skops", "model.pt", "model.safetensors"])
def test_f8_a_pickle_is_never_run_whatever_it_is_called(tmp_path, name):
    mark = tmp_path / "ran"
    bombs = [pickle.dumps(Bomb(mark), protocol) for protocol in range(6)]
    for compress in (0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3)):
        stream = io.BytesIO()
        joblib.dump(Bomb(mark), stream, compress=compress)
        bombs.append(stream.getvalue())
    stream = io.BytesIO()
    torch.save(Bomb(mark), stream)
    bombs.append(stream.getvalue())
    for bomb in bombs:
        (tmp_path / name).write_bytes(bomb)
        for reader in (load, inspect_file):
            with pytest.raises(ModelFileError):
                reader(tmp_path / name)
    assert not mark.exists()
    pickle.loads(bombs[2])
    assert mark.exists()  # so the bomb is one


def test_f9_a_foreign_type_and_bytes_in_the_state_are_refused(model, file, tmp_path):
    schema, manifest, entries = parts(file)
    loaders = {node["__loader__"] for node in nodes(schema)}
    assert loaders.isdisjoint({"BytesNode", "BytearrayNode", "MethodNode", "PartialNode"})
    mark = tmp_path / "ran"
    entries["99.npy"] = pickle.dumps(Bomb(mark))
    hidden = {"__class__": "bytes", "__module__": "builtins", "__loader__": "BytesNode", "file": "99.npy"}
    popen = {"__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode", "content": number(None)}
    net = {"__class__": "NeuralNetClassifier", "__module__": "skorch.classifier", "__loader__": "ObjectNode",
           "content": number(None)}  # fmt: skip
    for hostile in (hidden, popen, net):
        objects(schema, "TransferClassifier")[0]["content"]["content"]["callbacks"] = hostile
        with pytest.raises(ModelFileError, match=r"not read|not trusted"):
            load(write(tmp_path / "forged.skops", schema, manifest, entries))
    honest = model[-1].callbacks
    model[-1].callbacks_seen_ = b"\x80\x04."
    try:
        with pytest.raises(TypeError, match="bytes object"):
            save(model, tmp_path / "b.skops")
    finally:
        del model[-1].callbacks_seen_
    assert model[-1].callbacks is honest
    assert not mark.exists()


def test_f10_headers_zip_bombs_and_paths_are_refused_before_memory_is_taken(file, tmp_path):
    schema, manifest, entries = parts(file)
    outer = objects(schema, "TransferClassifier")[0]["content"]
    outer["content"]["n_outputs_"] = number(10**9)
    outer["content"].pop("_checksum")
    outer["key_types"]["content"].pop()
    forged = [write(tmp_path / "wide.skops", schema, manifest, entries)]
    for name, compression, inside in (("bomb", zipfile.ZIP_DEFLATED, "0.npy"), ("path", zipfile.ZIP_STORED, "../../x")):
        forged.append(tmp_path / f"{name}.skops")
        with zipfile.ZipFile(forged[-1], "w", compression) as archive:
            for entry, content in parts(file)[2].items():
                archive.writestr(entry, content)
            archive.writestr(inside.replace("0", "98"), bytes(2**28 if name == "bomb" else 3))
            archive.comment = b"sktransfer-sha256:" + b"0" * 64
        body = forged[-1].read_bytes()[:-64]
        forged[-1].write_bytes(body + sum_of(body))
    tracemalloc.start()
    for path in forged:
        with pytest.raises(ModelFileError):
            load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert not (tmp_path.parent.parent / "x").exists()
    with pytest.raises(ModelFileError, match="max_bytes"):
        load(file, max_bytes=1000)


def sum_of(body):
    return hashlib.sha256(body).hexdigest().encode()


def test_f11_a_reader_sees_one_file_and_the_last_writer_wins(model, file, tmp_path, monkeypatch):
    other = quick(max_epochs=1, random_state=7).fit(X, y)
    read = Path.open

    def replaced_while_reading(path, *args, **kwargs):
        stream = read(path, *args, **kwargs)
        if path == file:
            content = save(other, tmp_path / "other.skops")
            content.replace(file)
        return stream

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", replaced_while_reading)
        np.testing.assert_array_equal(load(file).predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(load(file).predict_proba(X), other.predict_proba(X))
    save(other, file)
    save(model, file)
    np.testing.assert_array_equal(load(file).predict_proba(X), model.predict_proba(X))
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]


def test_f12_a_model_of_other_columns_or_classes_is_told_before_it_is_built(model, file):
    card = inspect_file(file)
    assert (len(card.columns), card.classes) == (4, sorted(set(y)))
    with pytest.raises(ValueError, match=r"5 features, but .* 4"):
        load(file).predict(np.ones((3, 5)))


def test_f13_another_file_than_expected_is_refused_before_it_is_looked_into(file, monkeypatch):
    digest = inspect_file(file).sha256
    for expected in (digest, digest.upper()):
        load(file, expect_sha256=expected)
    file.write_bytes(b"\x80\x04 anything")
    with pytest.raises(ModelFileError, match=f"another file than expected: its SHA-256 is .* not {digest}"):
        load(file, expect_sha256=digest)
    for expected in ("", "0" * 63, 5, digest + "\n"):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            load(file, expect_sha256=expected)


def test_f14_progress_bars_are_left_out_and_a_lambda_is_refused_before_writing(model, file, tmp_path):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    watched = make_pipeline(FrozenEstimator(model[0]), quick(max_epochs=1)).set_callbacks(callback.ProgressBar())
    watched.fit(X, y)
    assert "_skl_callbacks" in vars(watched)
    loaded = load(save(watched, tmp_path / "watched.skops"))
    assert "_skl_callbacks" not in vars(loaded)
    assert "_skl_callbacks" in vars(watched)
    np.testing.assert_array_equal(loaded.predict_proba(X), watched.predict_proba(X))
    before = file.read_bytes()
    with pytest.raises(TypeError, match=r"is a lambda.*Move it to the top of a module"):
        save(make_pipeline(FunctionTransformer(lambda x: x), quick()).fit(X, y), file)
    assert file.read_bytes() == before


def test_f15_what_scikit_learn_puts_around_a_model_loads_with_the_default_list(model, tmp_path):
    inner = quick(max_epochs=1)
    faulty = y != "normal"
    for number_, around in enumerate([
        GridSearchCV(inner, {"lr": [0.01, 0.02]}, cv=2, scoring="balanced_accuracy").fit(X, y),
        GridSearchCV(scaled(inner), {"transferclassifier__lr": [0.01]}, cv=2).fit(X, y),
        CalibratedClassifierCV(FrozenEstimator(model), method="sigmoid").fit(X, y),
        CalibratedClassifierCV(inner, method="isotonic", cv=2).fit(X, y),
        TunedThresholdClassifierCV(inner, cv=2).fit(X, faulty),
        FixedThresholdClassifier(inner, threshold=0.3).fit(X, faulty),
    ]):  # fmt: skip
        loaded = load(save(around, tmp_path / f"{number_}.skops"))
        np.testing.assert_array_equal(loaded.predict_proba(X), around.predict_proba(X))
        np.testing.assert_array_equal(loaded.predict(X), around.predict(X))


def test_f16_paths_with_other_letters_spaces_backslashes_and_links(model, tmp_path):
    for name in ("Pumpe Süd, ölig.skops", "ポンプ.skops", "C:\\models\\pump a.skops", "x" * 200):
        for path in (tmp_path / name, str(tmp_path / name)):
            np.testing.assert_array_equal(load(save(model, path)).predict(X), model.predict(X))
    target, link = tmp_path / "v1.skops", tmp_path / "current.skops"
    shutil.copy(tmp_path / "ポンプ.skops", target)
    try:
        link.symlink_to(target)
    except OSError:  # Windows asks for a right to make links
        pytest.skip("this user may not make links")
    save(quick(max_epochs=1).fit(X, y), link)
    assert link.is_symlink()
    assert type(load(target)) is type(load(link)) is TransferClassifier
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="pipe"):
            save(model, tmp_path / "pipe")
        for place in (tmp_path / "pipe", tmp_path):
            with pytest.raises(ModelFileError, match="a folder, a pipe"):
                load(place)


def test_f17_the_same_model_gives_the_same_bytes(model, file, tmp_path):
    assert save(model, tmp_path / "b.skops").read_bytes() == file.read_bytes()
    assert save(load(file, device=None), tmp_path / "c.skops").read_bytes() == file.read_bytes()
