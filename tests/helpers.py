"""Small networks and data that several tests share."""

from contextlib import contextmanager
from functools import cache
from unittest import mock

import numpy as np
import sklearn.pipeline
import torch
from torch import nn

from sktransfer import Backbone, FleetClassifier, FromScratch, Pipeline, TransferClassifier, register_network
from sktransfer.estimators.base import TransferEstimator


@register_network("width-free")
class WidthFree(nn.Module):
    """Takes any number of columns: fixed cosines of the column's place mix them into `width` numbers."""

    class Mix(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.register_buffer("phase", torch.linspace(0.3, 9.7, width))
            self.scale = nn.Parameter(torch.ones(width))

        def forward(self, x):
            place = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
            return self.scale * (x @ torch.cos(place[:, None] * self.phase))

    def __init__(self, width=64):
        super().__init__()
        self.mix = self.Mix(width)
        self.upper = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1))

    def forward(self, x):
        return self.upper(self.mix(x))


def width_free_backbone():
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    try:
        return Backbone(WidthFree(), name="width-free")
    finally:
        torch.random.set_rng_state(torch_state)


def moons(n_rows=400, seed=0, offset=0.0):
    """Three classes in four columns that no linear model separates."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    y = np.where(X[:, 0] * X[:, 1] > 0, "normal", np.where(X[:, 2] > 0, "leak", "wear"))
    return X + offset, y


def noise(n_samples, n_channels=None, seed=0):
    shape = (n_samples,) if n_channels is None else (n_samples, n_channels)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@cache
def small_backbone(seed=0, max_epochs=40):
    """A backbone is immutable, so that one training serves all tests of a process."""
    X, y = moons(600, seed)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (32, 32, 16), "dropout": 0.1})
    return TransferClassifier(recipe, max_epochs=max_epochs, lr=0.01, batch_size=64, random_state=0).fit(X, y).backbone_


def both_pipelines(steps, X, y):
    """The same fitted steps in scikit-learn's pipeline and in ours."""
    theirs = sklearn.pipeline.Pipeline(steps).fit(X, y)
    return theirs, Pipeline(theirs.steps)


@contextmanager
def computing_in(dtype):
    """Fits and their predictions in another number format, where rounding is in question.

    Two ways to compute the same thing differ in float32 by what rounding is amplified to in training; in float64 they
    can be compared digit by digit.
    """
    with (
        mock.patch.object(TransferEstimator, "_dtype", dtype),
        mock.patch.object(FleetClassifier, "_dtype", dtype),
    ):
        yield
