"""# Question: how is the shipped backbone "process" made?

From simulated plants and sensor faults alone (`datasets/process`, `datasets/sensor_faults.py`), in five tasks at once:
what each tag does, which fault, how severe, at which tag, healthy or not. No plant of a benchmark is among them. From
the root of the repository, in about ten minutes on two cores; interrupted, it goes on where it was::

    pip install -c constraints.txt -e .[test]
    OMP_NUM_THREADS=1 python examples/pretraining/process.py

The same seed gives the same weights on the same versions of the packages; the file's card says which.
"""

# %% What it learns from
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from datasets.process.corpus import FAULTS, samples
from datasets.process.effects import EFFECTS
from examples.pretraining.multitask import MultiTask, make_shards
from examples.pretraining.shipping import provenance, ship, source_of
from sktransfer import Backbone, Inputs
from sktransfer.networks.process_net import ProcessNet

SEED = 0
SHARD = 512
LENGTHS = (200, 60, 100, 200, 400, 128, 32)  # samples; one a shard
TAGS = (8, 20, 5, 12, 32, 16)  # number of tags; one a shard
CLASSES = list(FAULTS)
FOLDER = Path("datasets/process/generated")
LIMITS = [
    "its source head names one simulated fault in three: take its features, not its names",
    "a fault that moves no tag by 0.3 healthy deviations cannot be seen",
    "healthy windows that do not span the operating points of the plant make healthy windows elsewhere look faulty",
    "simulated plants that are linear but for valves and limits: no start-up, no batch recipes, one fault at a time",
    "the whole list is in process.md beside the file",
]


def shard(start, stop):
    """One piece of the corpus: windows in healthy deviations, compressed as BaselineScaler does, and what is known."""
    k = start // SHARD
    n_tags = TAGS[k % len(TAGS)]
    made = samples(stop - start, SEED, LENGTHS[k % len(LENGTHS)], n_tags=(n_tags, n_tags), start=start)
    scaled = np.stack([made.scaled(i) for i in range(len(made))])
    compressed = np.clip(np.sign(scaled) * np.log1p(np.abs(scaled)), -20.0, 20.0)
    return {
        "x": compressed.astype(np.float16),
        "fault": np.array([CLASSES.index(fault) for fault in made.fault]),
        "severity": np.array(made.severity, dtype=np.float32),
        "channel": np.array(made.channel),
        "effects": np.stack(made.effects).astype(np.int64),
    }


# %% The network and its tasks
class Heads(nn.Module):
    """One linear head a task; the shipped one is `fault`."""

    def __init__(self, n_features, n_tag_features, n_classes, n_effects):
        super().__init__()
        self.fault = nn.Linear(n_features, n_classes)
        self.severity = nn.Linear(n_features, 1)
        self.healthy = nn.Linear(n_features, 1)
        self.effect = nn.Linear(n_tag_features, n_effects)
        self.tag = nn.Linear(n_tag_features, 1)


def losses(network, heads, batch, rng):
    """Sum of the tasks' losses on one batch, and what to show of it."""
    tags = network.tag(batch["x"].float())
    features = network.plant(tags)
    fault, faulty = batch["fault"], batch["fault"] != CLASSES.index("healthy")
    logits, effects = heads.fault(features), heads.effect(tags)
    which = functional.cross_entropy(logits, fault, label_smoothing=0.05)
    effect = functional.cross_entropy(effects.flatten(0, 1), batch["effects"].flatten())
    healthy = functional.binary_cross_entropy_with_logits(heads.healthy(features)[:, 0], (~faulty).float())
    severity = functional.mse_loss(heads.severity(features)[:, 0], batch["severity"])
    where = functional.cross_entropy(heads.tag(tags)[..., 0][faulty], batch["channel"][faulty]) if faulty.any() else 0.0
    shown = {
        "fault": (logits.argmax(1) == fault).float().mean(),
        "effect": (effects.argmax(2) == batch["effects"]).float().mean(),
        "healthy": ((heads.healthy(features)[:, 0] > 0) == ~faulty).float().mean(),
    }
    return which + effect + 0.3 * healthy + 0.5 * severity + 0.2 * where, shown


def network():
    return ProcessNet(n_scales=6, width=32, n_code=16, n_features=128)


def load(n_samples, folder, n_jobs):
    """The corpus, one group of tensors a shard: a batch holds windows of one length and number of tags."""
    shards = make_shards(shard, n_samples, SHARD, folder, n_jobs)
    return [{key: torch.from_numpy(value) for key, value in s.items()} for s in shards]


def pretrain(groups, checkpoint, *, max_epochs, seed=SEED):
    """Network and heads, trained on all tasks."""
    torch.manual_seed(seed)
    body = network()
    heads = Heads(128, 27, len(CLASSES), len(EFFECTS))
    job = MultiTask(body, heads, losses, checkpoint, max_epochs=max_epochs, batch_size=64, lr=1e-3, seed=seed)
    return job.fit(groups)


def backbone_of(body, heads, groups, n_samples):
    """What is shipped: the network, its fault head as the source head, and what one must know to use it."""
    inputs = Inputs(shape=(None, None), scaling="BaselineScaler() fitted on healthy windows of the plant at hand")
    plain = Backbone(body, blocks=["tag", "plant"], name="process", inputs=inputs)
    source = source_of(plain, heads.fault, [g["x"].float().numpy() for g in groups[:40]], CLASSES, rows=128)
    task = "what each tag does, fault, severity, tag at fault, healthy or not"
    about = provenance("datasets/process", n_samples, SEED, task, "python examples/pretraining/process.py", LIMITS)
    return plain.describe(source=source, provenance=about)


# %% Answer: about ten minutes on two cores
def main():
    ship(__doc__, "process", FOLDER, load, pretrain, backbone_of, samples=40_960, epochs=8)


if __name__ == "__main__":
    main()
