"""Fixtures that several test files use."""

import importlib
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import Backbone, Inputs, Source

ROOT = Path(__file__).resolve().parents[1]


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


@pytest.fixture(scope="module")
def repository_root_importable():
    """`datasets` belongs to the source tree and is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        if getattr(sys.modules.get("datasets"), "__file__", "") != str(ROOT / "datasets" / "__init__.py"):
            for name in [name for name in sys.modules if name.split(".")[0] == "datasets"]:
                patch.delitem(sys.modules, name)  # the Hugging Face package of that name, if it is installed
        yield


@pytest.fixture(scope="module")
def vibration(repository_root_importable):
    return importlib.import_module("datasets.vibration")
