"""Fixtures that several test files use."""

import signal

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import Backbone, Inputs, Source


@pytest.fixture
def listens():
    """Python ignores Ctrl-C in a process that was started in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def tiny():
    """A file of about two kilobytes, so that random damage hits every part of it."""
    torch.manual_seed(0)
    source = Source(np.zeros(3), np.ones(3), np.ones((2, 3)), np.zeros(2), np.array(["leak", "normal"]))
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    return Backbone(network, inputs=Inputs(names=("p", "T"), units=("bar", "K")), source=source)
