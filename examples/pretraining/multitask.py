"""Pretraining on simulations with several tasks at once: shards on disk, checkpoints and a bar.

::

    simulator --shards on disk, skipped where they are--> tensors --epochs, a checkpoint after each--> network and heads

Caruana, Multitask Learning, Machine Learning 28 (1997), doi 10.1023/A:1007379606734: the tasks share all that lies
below their heads. Interrupted, a run goes on where it was and ends with the same weights. Shards and checkpoints carry
the fingerprint of all that they depend on (`datasets/fingerprint.py`); of another run they are made again.
"""

import math
from pathlib import Path

import joblib
import numpy as np
import torch
from tqdm import tqdm

from datasets import fingerprint

_RUN = "fingerprint of the run"


def make_shards(make, n_samples, shard, folder, n_jobs=1, describe="simulating"):
    """Call ``make(start, stop)``, a dict of arrays, for each piece that is not on disk yet; all pieces, in order.

    The list has one dict of arrays a shard. Files appear only when they are complete. A file that another simulator
    wrote, or the same with other constants, is no piece of this corpus and is written again.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [(start, min(start + shard, n_samples)) for start in range(0, n_samples, shard)]
    run = fingerprint.of_code(make)
    missing = [piece for piece in pieces if not _is_of(_file(folder, piece), run)]
    stale = sum(_file(folder, piece).exists() for piece in missing)
    if stale:
        tqdm.write(f"{stale} shards in {folder} are of another run and are made again")
    jobs = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        joblib.delayed(_make_one)(make, folder, piece, run) for piece in missing
    )
    for _ in tqdm(jobs, total=len(missing), desc=describe, unit="shard", disable=not missing):
        continue
    return [_read(_file(folder, piece)) for piece in pieces]


def _file(folder, piece):
    return folder / f"{piece[0]:07d}-{piece[1]:07d}.npz"


def _is_of(file, run):
    """Whether a file is there and carries this fingerprint."""
    if not file.exists():
        return False
    with np.load(file) as arrays:
        return _RUN in arrays and str(arrays[_RUN]) == run


def _read(file):
    with np.load(file) as arrays:
        return {name: arrays[name] for name in arrays if name != _RUN}


def _make_one(make, folder, piece, run):
    torch.set_num_threads(1)
    target = _file(folder, piece)
    half = target.with_suffix(".part.npz")
    np.savez(half, **make(*piece), **{_RUN: np.array(run)})
    half.replace(target)


class MultiTask:
    """Train `network` and the heads of several tasks together; `loss(network, heads, batch)` says how.

    Parameters
    ----------
    network, heads : nn.Module
    loss : callable
        Of network, heads and a batch (a dict of tensors), returning the loss and a dict of figures to show.
    checkpoint : path
        Written after each epoch; read if it is there, and is of this run: same first weights, loss, options and
        groups. The checkpoint of another run is written over.
    """

    def __init__(self, network, heads, loss, checkpoint, *, max_epochs, batch_size=256, lr=2e-3, decay=1e-2, seed=0):
        self.network, self.heads, self.loss, self.checkpoint = network, heads, loss, Path(checkpoint)
        self.max_epochs, self.batch_size, self.lr, self.decay, self.seed = max_epochs, batch_size, lr, decay, seed
        parameters = [*network.parameters(), *heads.parameters()]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=lr)
        self.epoch, self.run = 0, None

    def fit(self, groups):
        """Train on `groups`, dicts of tensors of which each batch takes one: windows of one shape a group."""
        options = {name: getattr(self, name) for name in ("max_epochs", "batch_size", "lr", "decay", "seed")}
        code = [fingerprint.of_code(one) for one in (self.loss, type(self))]
        first = [repr(self.network), self.network.state_dict(), self.heads.state_dict()]
        self.run = fingerprint.of(options, code, first, groups)
        self._load()
        batches = sum(self._n_batches(group) for group in groups)
        total = batches * self.max_epochs
        while self.epoch < self.max_epochs:
            torch.manual_seed(self.seed + self.epoch)  # dropout; the order of batches has a generator of its own
            figures = self._epoch(groups, batches, total)
            self.epoch += 1
            self._save()
            tqdm.write(f"epoch {self.epoch}: " + ", ".join(f"{k} {np.mean(v):.3f}" for k, v in figures.items()))
        return self.network.eval(), self.heads.eval()

    def _epoch(self, groups, batches, total):
        self.network.train(), self.heads.train()
        rng = np.random.default_rng([self.seed, self.epoch])
        order = [
            (g, part)
            for g, group in enumerate(groups)
            for part in np.array_split(rng.permutation(len(_first(group))), self._n_batches(group))
        ]
        figures = {}
        bar = tqdm(rng.permutation(len(order)), desc=f"epoch {self.epoch + 1}/{self.max_epochs}", leave=False)
        for step, i in enumerate(bar):
            g, rows = order[i]
            rate = 0.5 * self.lr * (1 + math.cos(math.pi * (self.epoch * batches + step) / total))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            batch = {key: value[torch.from_numpy(rows)] for key, value in groups[g].items()}
            loss, shown = self.loss(self.network, self.heads, batch, rng)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            self.optimizer.step()
            for key, value in shown.items():
                figures.setdefault(key, []).append(float(value))
        return figures

    def _n_batches(self, group):
        return max(len(_first(group)) // self.batch_size, 1)

    def _save(self):
        state = {
            "network": self.network.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "run": self.run,
        }
        half = self.checkpoint.with_suffix(".part")
        torch.save(state, half)
        half.replace(self.checkpoint)

    def _load(self):
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        if state.get("run") != self.run:
            tqdm.write(f"{self.checkpoint} is of another run; training begins anew")
            return
        self.network.load_state_dict(state["network"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]


def _first(group):
    return next(iter(group.values()))
