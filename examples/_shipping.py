"""What a shipped backbone says of itself, and its source head; used by the scripts that pretrain on simulations."""

import platform

import numpy as np
import scipy
import torch

import sktransfer
from sktransfer import Source


def source_of(backbone, head, inputs, classes, rows=4096):
    """Source head and feature statistics: the head's weights restated for standardised features."""
    with torch.inference_mode():
        parts = []
        for x in inputs:
            picked = torch.from_numpy(x[:: max(len(x) // rows, 1)])
            for module in backbone.copy_blocks():
                picked = module(picked)
            parts.append(picked.double().numpy())
    features = np.concatenate(parts)
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-3)
    raw, bias = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
    # the head took raw features; a source head takes standardised ones and gives the same outputs
    return Source(mean, scale, raw * scale, bias + raw @ mean, np.array(classes))


def provenance(data, n_samples, seed, task, command):
    """What the file's header says of where the weights come from."""
    return {
        "data": f"{data}, {n_samples} simulated windows, seed {seed}; no real data",
        "n_samples": n_samples,
        "seed": seed,
        "task": task,
        "licence": "BSD-3-Clause",
        "command": command,
        "versions": {
            "sktransfer": sktransfer.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
    }
