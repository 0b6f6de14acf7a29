"""The problems of the speed benchmark: synthetic rows with a nonlinear rule, and pretrained backbones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from sktransfer import Backbone, FromScratch, Inputs, MLPHead, TransferClassifier

WINDOW = 2048  # samples


@dataclass(frozen=True)
class Settings:
    """What the command line asks for; `quick` only shows that everything runs."""

    quick: bool = False
    repeats: int = 5
    device: str = "cpu"

    def pick(self, full: Any, quick: Any) -> Any:
        """The full or the quick value."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Size:
    """A network and, where a row is run again on few rows, how many."""

    suffix: str = ""
    widths: tuple[int, ...] = (256,) * 4
    n_rows: int | None = None

    def __str__(self) -> str:
        return f"{len(self.widths)} x {self.widths[0]}"


STANDARD = Size()
SMALL = Size("@2x64", (64,) * 2)
FEW_ROWS = Size("@500", n_rows=500)


@dataclass(frozen=True)
class Problem:
    """A pretrained backbone and labelled rows of the target machine; labels are 0 .. n_classes - 1."""

    backbone: Backbone
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.y_test.max()) + 1

    def blocks(self) -> nn.Sequential:
        """The backbone's blocks with the same weights, as a plain torch module for the peers."""
        return nn.Sequential(*self.backbone.copy_blocks())


def labelled_rows(
    n_rows: int, n_inputs: int = 32, n_classes: int = 4, *, shift: float = 0.0, state: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of shape (n_rows, n_inputs), float32, and classes by a nonlinear rule that is the same for every `state`."""
    rule, rng = np.random.default_rng(7), np.random.default_rng(state)
    X = rng.normal(size=(n_rows, n_inputs)).astype(np.float32)
    mixing, classes = rule.normal(size=(n_inputs, 24)) / np.sqrt(n_inputs), rule.normal(size=(24, n_classes))
    changed = classes + shift * rule.normal(size=classes.shape)  # the target machine follows a somewhat other rule
    return X, (np.tanh(2 * X @ mixing) @ changed).argmax(axis=1)


@lru_cache(maxsize=8)
def pretrained(widths: tuple[int, ...], n_inputs: int = 32, n_classes: int = 4, epochs: int = 2) -> Backbone:
    """An MLP with BatchNorm that has seen the source machine."""
    X, y = labelled_rows(4000, n_inputs, n_classes)
    network = FromScratch(arguments={"hidden_layer_sizes": widths, "dropout": 0.0})
    return TransferClassifier(network, max_epochs=epochs, random_state=0, device="cpu").fit(X, y).backbone_


def make_problem(widths: tuple[int, ...], n_rows: int, n_inputs: int = 32, n_classes: int = 4) -> Problem:
    """Rows of the target machine for the network of these widths."""
    X, y = labelled_rows(n_rows, n_inputs, n_classes, shift=0.3, state=1)
    test = labelled_rows(2000, n_inputs, n_classes, shift=0.3, state=2)
    return Problem(pretrained(widths, n_inputs, n_classes), X, y, *test)


def vibration_windows(n_rows: int, state: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy windows of shape (n_rows, 2048), float32, whose class is the frequency of their tone."""
    rng = np.random.default_rng(state)
    y = rng.integers(4, size=n_rows)
    step = np.arange(WINDOW, dtype=np.float32)
    phase = rng.uniform(0, 2 * np.pi, size=(n_rows, 1)).astype(np.float32)
    tone = np.sin(step * np.float32(0.05) * (1 + y[:, None]).astype(np.float32) + phase)
    return tone + rng.standard_normal((n_rows, WINDOW), dtype=np.float32), y


def window_problem(n_rows: int) -> Problem:
    """A frozen 1-D convolutional network on windows of one channel."""
    torch.manual_seed(0)
    network = nn.Sequential()
    network.add_module("rows", nn.Unflatten(1, (1, WINDOW)))
    channels = 1
    for number, (width, kernel, stride) in enumerate(((16, 64, 8), (32, 3, 1), (64, 3, 1)), start=1):
        layers = [nn.Conv1d(channels, width, kernel, stride=stride, padding=kernel // 2), nn.BatchNorm1d(width)]
        network.add_module(f"conv{number}", nn.Sequential(*layers, nn.ReLU(), nn.MaxPool1d(2)))
        channels = width
    network.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten()))
    X, y = vibration_windows(n_rows, 1)
    with torch.no_grad():  # BatchNorm sees some windows, as it would have in pretraining
        for _ in range(20):
            network(torch.from_numpy(X[:256]))
    names = [name for name, _ in network.named_children()]
    return Problem(Backbone(network, names, inputs=Inputs(n=WINDOW)), X, y, *vibration_windows(1000, 2))


def ours(backbone: Backbone, settings: Settings, *, dropout: float = 0.5, **changes: Any) -> TransferClassifier:
    """Our estimator with the benchmark's head."""
    given = {"head": MLPHead((64,), dropout=dropout), "batch_size": 256, "lr": 1e-3, "random_state": 0}
    return TransferClassifier(backbone, **{**given, "device": settings.device, **changes})


def training_flops(n_inputs: int, widths: Sequence[int], n_frozen: int, rows: int, epochs: int, n_classes: int) -> int:
    """Multiplications and additions that training cannot do without.

    A layer costs ``2 * in * out`` forward, as much for its weights' gradient, and as much for its input's gradient
    unless it is the lowest one that learns. Frozen layers run once.

    Examples
    --------
    >>> training_flops(32, [256] * 4, 4, rows=1, epochs=1, n_classes=4) - 409_600  # 67 kFLOP a step of the head
    67072
    """
    sizes = [n_inputs, *widths, 64, n_classes]
    layers = [a * b for a, b in pairwise(sizes)]
    frozen, learning = layers[:n_frozen], layers[n_frozen:]
    return rows * (2 * sum(frozen) + epochs * (6 * sum(learning) - 2 * learning[0]))


def peak_rate(device: str) -> float:
    """FLOP/s of a large float32 matrix product, the best of five."""
    from benchmarks.speed.measure import seconds

    n = 8192 if device.startswith("cuda") else 2048
    a = torch.rand(n, n, device=device)
    seconds(lambda: a @ a)
    return 2 * n**3 / min(seconds(lambda: a @ a)[0] for _ in range(5))


def silence() -> None:
    """Few epochs do not converge, and that is not what is measured."""
    warnings.filterwarnings("ignore", category=UserWarning)
