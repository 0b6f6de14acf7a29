"""# Question: how is the shipped backbone "tep-process" made?

It is pretrained on three operating modes of a simulated Tennessee Eastman plant, each scaled by its own healthy
rows. The target mode of the demo (mode 4) is not among them. From the root of the repository::

    pip install -c constraints.txt -e .[test,generate]
    python datasets/tep/generate.py --modes 1 2 3 --out datasets/tep/generated --seed 0 --progress
    python examples/pretraining/tep.py

The same seed gives the same weights on the same versions of the packages; the file's card says which.
"""

# %% What it learns from
import argparse
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
import torch

import sktransfer
from datasets.tep import INPUT_NAMES, UNITS, load_tep
from sktransfer import BaselineScaler, FromScratch, Inputs, TransferClassifier, save_backbone

SOURCE_MODES = (1, 2, 3)
SEED = 0
NETWORK = FromScratch(arguments={"hidden_layer_sizes": [256, 256, 256], "dropout": 0.1})  # as the shipped file
LIMITS = [
    "one simulated plant, its rows alone: for research and education",
    "it hardly sees IDV 3, 14 and 5 in an unseen mode, and calls many healthy rows of it a fault",
    "healthy rows of one run are not enough to scale by; take them from several operating points",
    "the whole list is in tep-process.md beside the file",
]


def load_source(modes=SOURCE_MODES, folder=None):
    """Rows, labels, runs and domains of all source modes, one below the other."""
    parts = [load_tep(mode, folder=folder) for mode in modes]
    X = pd.concat([part[0] for part in parts], ignore_index=True)
    y, groups, domain = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in (1, 2, 3))
    return X, y, groups, domain


# %% Pretraining: healthy rows of each mode give its scale, then a network learns all classes from all modes
def pretrain(X, y, domain, *, seed=SEED, network=NETWORK, max_epochs=20):
    """The fitted source classifier; its ``backbone_`` is what is shipped."""
    scaled = BaselineScaler(normal_label="normal").fit(X, y, sample_domain=domain).transform(X, sample_domain=domain)
    return TransferClassifier(network, max_epochs=max_epochs, random_state=seed).fit(scaled, y)


def describe(backbone, X, y):
    """Name, columns, units and provenance, so that a user of the file needs nothing else."""
    return backbone.describe(
        name="tep-process",
        inputs=Inputs(
            n=len(INPUT_NAMES),
            names=tuple(INPUT_NAMES),
            units=tuple(UNITS[name] for name in INPUT_NAMES),
            scaling="BaselineScaler() fitted on healthy rows of the machine at hand",
            minimum=backbone.inputs.minimum,
            maximum=backbone.inputs.maximum,
        ),
        provenance={
            "data": f"simulated Tennessee Eastman process, modes {list(SOURCE_MODES)}, datasets/tep, seed {SEED}",
            "simulator": "tep-studio 0.2.0; its plant model is for research and education",
            "sampling_interval_s": 180,
            "n_samples": len(X),
            "task": f"{len(np.unique(y))} classes: normal and faults",
            "licence": "weights BSD-3-Clause; see the terms of the simulated plant in datasets/tep/README.md",
            "limits": LIMITS,
            "command": "python examples/pretraining/tep.py",
            "versions": {
                "sktransfer": sktransfer.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        },
    )


# %% Answer: about a minute on one core
def main():
    parser = argparse.ArgumentParser(description="Pretrain the shipped backbone 'tep-process'.")
    parser.add_argument("--out", type=Path, default=Path(sktransfer.__file__).parent / "pretrained")
    parser.add_argument("--folder", type=Path, help="folder with mode1.csv.gz, mode2.csv.gz and mode3.csv.gz")
    parser.add_argument("--max-epochs", type=int, default=20)
    options = parser.parse_args()
    X, y, _, domain = load_source(folder=options.folder)
    print(f"{len(X)} rows, {X.shape[1]} columns, {len(np.unique(y))} classes, modes {SOURCE_MODES}")
    source = pretrain(X, y, domain, max_epochs=options.max_epochs)
    file = save_backbone(describe(source.backbone_, X, y), options.out / "tep-process.safetensors")
    print(f"wrote {file.name}, {file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
