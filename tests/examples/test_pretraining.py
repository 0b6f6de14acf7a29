"""Pretraining on simulations: pieces on disk, going on after an interruption, and what is shipped in the end."""

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from datasets import fingerprint
from examples.pretraining import process as pretrain_process
from examples.pretraining import vibration as pretrain_vibration
from examples.pretraining.multitask import MultiTask, make_shards
from sktransfer import FeatureExtractor, Windows, load_backbone, save_backbone
from sktransfer.preprocessing import envelope_spectra as envelope

SEED = 0


def piece(start, stop):
    return {"x": np.arange(start, stop, dtype=np.float32) + 100 * SEED}


def test_pieces_on_disk_are_not_made_again(tmp_path, capsys):
    first = make_shards(piece, 10, 4, tmp_path)
    assert [part["x"].tolist() for part in first] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    times = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    again = make_shards(piece, 10, 4, tmp_path)
    np.testing.assert_array_equal(np.concatenate([part["x"] for part in again]), np.arange(10))
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == times
    assert [list(part) for part in again] == [["x"]] * 3
    make_shards(piece, 12, 4, tmp_path)  # more samples keep the pieces that are whole
    assert sum(file.stat().st_mtime_ns == times.get(file) for file in tmp_path.iterdir()) == 3
    assert "another run" not in capsys.readouterr().out


def other_piece(start, stop):
    return {"x": np.arange(start, stop, dtype=np.float32) + 0.5}


@pytest.mark.parametrize("change", ["seed", "function", "imported file", "no fingerprint"])
def test_pieces_of_another_seed_or_simulator_are_made_again(tmp_path, monkeypatch, capsys, change):
    make_shards(piece, 8, 4, tmp_path)
    make = piece
    if change == "seed":
        monkeypatch.setattr(sys.modules[__name__], "SEED", 1)
    elif change == "function":
        make = other_piece
    elif change == "imported file":
        read = Path.read_bytes
        monkeypatch.setattr(
            Path, "read_bytes", lambda self: read(self) + b"#" * self.as_posix().endswith("datasets/process/plant.py")
        )
    else:
        for file in tmp_path.iterdir():
            np.savez(file, x=np.zeros(4, np.float32))
    found = np.concatenate([part["x"] for part in make_shards(make, 8, 4, tmp_path)])
    np.testing.assert_array_equal(found, make(0, 8)["x"])
    assert "2 shards" in capsys.readouterr().out


def test_the_fingerprint_of_the_corpora_covers_their_simulators(monkeypatch):
    for module in (pretrain_process, pretrain_vibration):
        before = {name: fingerprint.of_code(getattr(module, name)) for name in ("shard", "losses")}
        name = module.__name__.rpartition(".")[2]
        for changed in (f"datasets/{name}/corpus.py", f"pretraining/{name}.py", f"datasets/{name}/faults.py"):
            read = Path.read_bytes
            with monkeypatch.context() as patch:
                patch.setattr(Path, "read_bytes", lambda self, c=changed, r=read: r(self) + b"#" * self.match(f"*/{c}"))
                assert fingerprint.of_code(module.shard) != before["shard"]
        for constant, value in (("SEED", 1), ("SHARD", 100), ("LENGTHS", (64,))):
            with monkeypatch.context() as patch:
                patch.setattr(module, constant, value)
                assert fingerprint.of_code(module.shard) != before["shard"]
        assert fingerprint.of_code(module.shard) == before["shard"]


def test_the_front_end_and_the_network_are_covered():
    with mock.patch.object(Path, "read_bytes", autospec=True, side_effect=Path.read_bytes) as read:
        fingerprint.of_code(pretrain_vibration.shard)
    files = {call.args[0].relative_to(fingerprint.ROOT).as_posix() for call in read.call_args_list}
    for part in ("preprocessing/envelope_spectra", "networks/vibration_net", "windows/windows"):
        assert f"sktransfer/{part}.py" in files
    assert {"datasets/vibration/bearing_faults.py", "datasets/vibration/motor_faults.py"} <= files


def test_half_a_piece_is_no_piece(tmp_path):
    (tmp_path / "0000000-0000004.part.npz").write_bytes(b"half")
    assert make_shards(piece, 4, 4, tmp_path)[0]["x"].tolist() == [0, 1, 2, 3]


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(8, 2)


def loss(network, heads, batch, rng):
    found = functional.cross_entropy(heads.out(network(batch["x"])), batch["y"])
    return found, {"loss": found.detach()}


class Interrupted(Exception):
    pass


def job(checkpoint, max_epochs=4):
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2))
    return MultiTask(network, Heads(), loss, checkpoint, max_epochs=max_epochs, batch_size=16, seed=5)


def two_groups():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(96, 4)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int64)
    return [{"x": torch.from_numpy(X[part]), "y": torch.from_numpy(y[part])} for part in (slice(0, 64), slice(64, 96))]


def test_an_interrupted_job_ends_with_the_same_weights(tmp_path):
    whole, _ = job(tmp_path / "whole.pt").fit(two_groups())
    half = job(tmp_path / "half.pt")
    save, saved = half._save, []

    def interrupt():
        save()
        saved.append(half.epoch)
        if len(saved) == 2:
            raise Interrupted

    half._save = interrupt
    with pytest.raises(Interrupted):
        half.fit(two_groups())
    resumed = job(tmp_path / "half.pt")
    save, epochs = resumed._save, []
    resumed._save = lambda: epochs.append(resumed.epoch) or save()
    network, _ = resumed.fit(two_groups())
    assert epochs == [3, 4]
    for a, b in zip(network.parameters(), whole.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach(), b.detach())


def other_loss(network, heads, batch, rng):
    found = functional.cross_entropy(heads.out(network(batch["x"])), batch["y"], label_smoothing=0.5)
    return found, {"loss": found.detach()}


CHANGES = {
    "epochs": lambda job, groups: setattr(job, "max_epochs", 3),
    "seed": lambda job, groups: setattr(job, "seed", 6),
    "rate": lambda job, groups: setattr(job, "lr", 1e-4),
    "loss": lambda job, groups: setattr(job, "loss", other_loss),
    "first weights": lambda job, groups: nn.init.normal_(job.network[0].weight),
    "one label": lambda job, groups: groups[1]["y"].__setitem__(0, 1 - groups[1]["y"][0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_run_never_ends_with_the_weights_of_the_old_one(tmp_path, capsys, change):
    job(tmp_path / "x.pt").fit(two_groups())
    ended = []
    for file in ("x.pt", "new.pt"):
        torch.manual_seed(0)
        changed, groups = job(tmp_path / file), two_groups()
        torch.manual_seed(1)
        CHANGES[change](changed, groups)
        ended.append(changed.fit(groups)[0].state_dict())
        assert ("another run" in capsys.readouterr().out) is (file == "x.pt")
    for a, b in zip(*(state.values() for state in ended), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_window_is_seen_once_an_epoch(tmp_path):
    seen = []

    def look(network, heads, batch, rng):
        seen.extend(batch["x"][:, 0].tolist())
        return loss(network, heads, batch, rng)

    groups = two_groups()
    worker = job(tmp_path / "x.pt", max_epochs=1)
    worker.loss = look
    worker.fit(groups)
    np.testing.assert_array_equal(np.sort(seen), np.sort(torch.cat([g["x"][:, 0] for g in groups]).numpy()))


@pytest.fixture(scope="module")
def vibration(tmp_path_factory):
    """One shard of the corpus and a network trained on it for one epoch."""
    folder = tmp_path_factory.mktemp("vibration")
    groups = pretrain_vibration.load(60, folder, 1)
    body, heads = pretrain_vibration.pretrain(groups, folder / "checkpoint.pt", max_epochs=1)
    return groups, body, heads, pretrain_vibration.backbone_of(body, heads, groups, 60)


def test_the_shipped_head_answers_as_the_trained_one(vibration, tmp_path):
    groups, body, heads, backbone = vibration
    x = groups[0]["x"].float()[:20]
    with torch.inference_mode():
        expected = heads.fault(body(x)).numpy()
    path = save_backbone(backbone, tmp_path / "v.safetensors")
    loaded = load_backbone(path)
    rng = np.random.default_rng(0)
    X = Windows.of(rng.normal(size=(5, 2, 512)).astype(np.float32), sampling_rate=1000, rpm=600)
    with torch.inference_mode():
        features = body(torch.from_numpy(envelope.EnvelopeSpectra()(X))).numpy()
    source = loaded.source
    np.testing.assert_allclose(
        FeatureExtractor(loaded, standardize=False).fit_transform(X), features, rtol=1e-4, atol=1e-4
    )
    with torch.inference_mode():
        standardized = (body(x).numpy() - source.feature_mean) / source.feature_scale
    np.testing.assert_allclose(standardized @ source.weight.T + source.bias, expected, rtol=1e-3, atol=1e-3)
    assert list(source.classes) == pretrain_vibration.CLASSES
    assert loaded.inputs.sampling_rate == (50.0, 100_000.0)
    assert path.stat().st_size < 4e6


def test_what_passes_is_standardised_by_what_operation_changes(vibration):
    groups, _, _, backbone = vibration
    changes = []
    for group in groups:
        rows = group["fault"].numpy() == pretrain_vibration.CLASSES.index("healthy")
        for x, healthy in zip(group["x"][rows].numpy(), group["healthy"][rows].numpy(), strict=True):
            both = [np.concatenate([a[:, 1624:1663].mean(axis=0), a[:, 1624:1663].max(axis=0)]) for a in (x, healthy)]
            changes.append(both[0].astype(np.float64) - both[1])
    assert len(changes) > 2
    norm = backbone.copy_blocks()[0].scalars
    scale = norm.weight.detach().numpy() / np.sqrt(norm.running_var.numpy() + norm.eps)
    expected = np.std(changes, axis=0) * np.tile(scale[:39], 2) / np.sqrt(2)
    np.testing.assert_allclose(backbone.source.feature_scale[160:], expected, rtol=0.02)
    np.testing.assert_array_equal(backbone.source.weight[:, 160:], 0)


def test_the_unit_of_the_sensor_enters_the_level_alone():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 1, 1024)).astype(np.float32)
    numbers = envelope.EnvelopeSpectra()
    a, b = numbers(X), numbers(X * 8)
    moved = np.abs(a - b).max(axis=(0, 1))
    assert moved[envelope.LEVEL] == pytest.approx(np.log(8), rel=1e-4)
    assert np.delete(moved, envelope.LEVEL).max() < 1e-3


def test_knowledge_is_left_out_at_random():
    made = pretrain_vibration.shard(0, 60)
    lines = np.abs(made["x"][:, 0, : envelope.N_VIEWS * envelope.N_LINES]).max(axis=1) > 0
    assert 0.4 < lines.mean() < 0.9  # the orders are known for 65 %
    assert made["x"].dtype == np.float16
    assert np.isfinite(made["x"].astype(np.float32)).all()


def test_process_corpus_trains_and_ships(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain_process, "SHARD", 32)
    monkeypatch.setattr(pretrain_process, "TAGS", (5, 8))
    monkeypatch.setattr(pretrain_process, "LENGTHS", (60, 32))
    groups = pretrain_process.load(64, tmp_path, 1)
    assert [tuple(g["x"].shape) for g in groups] == [(32, 5, 60), (32, 8, 32)]
    assert max(float(g["x"].abs().max()) for g in groups) <= 20
    body, heads = pretrain_process.pretrain(groups, tmp_path / "c.pt", max_epochs=1)
    backbone = pretrain_process.backbone_of(body, heads, groups, 64)
    loaded = load_backbone(save_backbone(backbone, tmp_path / "p.safetensors"))
    X = groups[0]["x"].float().numpy()
    with torch.inference_mode():
        tags = body.tag(torch.from_numpy(X)).flatten(1).numpy()
    np.testing.assert_allclose(
        FeatureExtractor(loaded, block="tag", standardize=False).fit_transform(X), tags, rtol=1e-4, atol=1e-4
    )


def test_the_command_makes_the_file_and_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretrain_process, "SHARD", 32)
    monkeypatch.setattr(pretrain_process, "LENGTHS", (60, 32))
    out, corpus = tmp_path / "p.safetensors", tmp_path / "corpus"
    options = ["--samples", "64", "--epochs", "1", "--jobs", "1", "--folder", str(corpus), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["pretrain_process.py", *options])
    pretrain_process.main()
    assert f"{out}: 0." in capsys.readouterr().out
    first, shards = load_backbone(out), {file: file.stat().st_mtime_ns for file in corpus.glob("*.npz")}
    assert (first.name, first.provenance["n_samples"], len(shards)) == ("process", 64, 2)
    out.unlink()
    pretrain_process.main()  # the corpus and the checkpoint are there: nothing is made or trained again
    assert {file: file.stat().st_mtime_ns for file in corpus.glob("*.npz")} == shards
    np.testing.assert_array_equal(load_backbone(out).source.weight, first.source.weight)
