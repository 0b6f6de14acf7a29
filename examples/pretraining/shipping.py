"""How a shipped backbone is made, its source head, and what it says of itself; used by the scripts beside it."""

import argparse
import platform
from pathlib import Path

import numpy as np
import scipy
import torch

import sktransfer
from sktransfer import Source, save_backbone


def ship(doc, name, folder, load, pretrain, backbone_of, *, samples, epochs):
    """Simulate, train and save, as the command line asks; `samples` and `epochs` are those of the shipped file.

    Parameters
    ----------
    load : callable
        Number of samples, folder and number of processes -> groups of tensors.
    pretrain : callable
        Groups, file of the checkpoint and ``max_epochs`` -> network and heads.
    backbone_of : callable
        Network, heads, groups and number of samples -> backbone.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=samples)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--jobs", type=int, default=2, help="processes that simulate")
    parser.add_argument("--folder", type=Path, default=folder, help="of the corpus and the checkpoint")
    parser.add_argument("--out", type=Path, default=Path(f"sktransfer/pretrained/{name}.safetensors"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # sums depend on their number, and so would the weights
    groups = load(arguments.samples, arguments.folder, arguments.jobs)
    body, heads = pretrain(groups, arguments.folder / "checkpoint.pt", max_epochs=arguments.epochs)
    backbone = backbone_of(body, heads, groups, arguments.samples)
    asked = {"samples": (arguments.samples, samples), "epochs": (arguments.epochs, epochs)}
    options = "".join(f" --{key} {value}" for key, (value, default) in asked.items() if value != default)
    command = backbone.provenance["command"] + options  # the command that makes this file, not the shipped one
    path = save_backbone(backbone.describe(provenance={**backbone.provenance, "command": command}), arguments.out)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def features_of(backbone, inputs, rows=4096):
    """Features of about so many rows of each input."""
    with torch.inference_mode():
        parts = []
        for x in inputs:
            picked = torch.from_numpy(x[:: max(len(x) // rows, 1)])
            for module in backbone.copy_blocks():
                picked = module(picked)
            parts.append(picked.double().numpy())
    return np.concatenate(parts)


def source_of(backbone, head, inputs, classes, rows=4096):
    """Source head and feature statistics: the head's weights restated for standardised features."""
    features = features_of(backbone, inputs, rows)
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-3)
    raw, bias = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
    # the head took raw features; a source head takes standardised ones and gives the same outputs
    return Source(mean, scale, raw * scale, bias + raw @ mean, np.array(classes))


def provenance(data, n_samples, seed, task, command, limits):
    """What the file's header says of where the weights come from, and of what they cannot do."""
    return {
        "data": f"{data}, {n_samples} simulated windows, seed {seed}; no real data",
        "n_samples": n_samples,
        "seed": seed,
        "task": task,
        "licence": "BSD-3-Clause",
        "limits": limits,
        "command": command,
        "versions": {
            "sktransfer": sktransfer.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
    }
