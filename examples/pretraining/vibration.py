"""# Question: how is the shipped backbone "vibration" made?

From simulated machines alone (`datasets/vibration`), in four tasks at once: which fault, how severe, next to which
channel, and whether the window is healthy when compared with a healthy window of the same machine. From the root of
the repository, in about a quarter of an hour on two cores; interrupted, it goes on where it was::

    pip install -c constraints.txt -e .[test]
    OMP_NUM_THREADS=1 python examples/pretraining/vibration.py

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

from datasets.vibration.corpus import samples
from datasets.vibration.faults import FAULTS
from examples.pretraining.multitask import MultiTask, make_shards
from examples.pretraining.shipping import features_of, provenance, ship, source_of
from sktransfer import Backbone, Inputs, Windows
from sktransfer.networks.vibration_net import VibrationNet
from sktransfer.preprocessing import envelope_spectra as envelope

SEED = 0
LIMITS = [
    "real machines have lines of their own: asked for one of all 16 classes, its source head often names another",
    "without rpm and orders its source head says that it is a bearing, not which part",
    "one speed a window: a machine that runs up within it blurs its orders",
    "sizes of one fault are told by the front end and the scalars that pass; what was learned adds little",
    "it takes channels in any order, so what tells the axes of a sensor apart is lost",
    "the whole list is in vibration.md beside the file",
]
SHARD = 500
LENGTHS = (4096, 2048, 8192, 4096, 12000, 1024, 6144, 3000)  # samples; one a shard
CHANNELS = (1, 1, 2, 1, 3)
BEARING = ("inner", "outer", "ball", "cage")
# half of the windows show bearing faults, the most common reason to measure vibration
SHARES = {fault: 3.0 if fault in BEARING else 2.0 if fault == "healthy" else 1.0 for fault in FAULTS}
SHORT = (64, 128, 256, 512)  # samples of a slow sensor's window
CLASSES = list(FAULTS)
PARTS = [CLASSES.index(fault) for fault in BEARING]
NOISE = 0.5  # deviation of what is added to every number in training: lines of real machines are less clear
FOLDER = Path("datasets/vibration/generated")


def shard(start, stop):
    """One piece of the corpus: the front end's numbers of windows and of a healthy window of the same machine."""
    k = start // SHARD
    slow = k % 10 == 9
    length = SHORT[k // 10 % len(SHORT)] if slow else LENGTHS[k % len(LENGTHS)]
    options = {"low_rate": 1.0, "faults": [f for f in FAULTS if FAULTS[f].low_rate]} if slow else {"faults": SHARES}
    made = samples(
        stop - start, SEED, length, start=start, n_channels=3 if slow else CHANNELS[k % 5], n_references=1, **options
    )
    rng = np.random.default_rng([SEED, k])
    # what a user knows: speed and bearing, the speed alone, or nothing
    known = rng.choice(3, size=len(made), p=[0.65, 0.15, 0.2])
    rpm = np.where(known < 2, made.rpm, np.nan)
    orders = np.where((known == 0)[:, None], made.orders, np.nan)
    reference_rpm = np.where(known < 2, made.reference_rpm[:, 0], np.nan)
    front = envelope.EnvelopeSpectra()
    return {
        "x": prepare(front, made.windows, rpm, orders, made.sampling_rate),
        "healthy": prepare(front, made.reference[:, 0], reference_rpm, orders, made.sampling_rate),
        "fault": np.array([CLASSES.index(f) for f in made.fault]),
        "severity": made.severity.astype(np.float32),
        "channel": made.channel,
    }


def prepare(front, windows, rpm, orders, rate):
    """The front end's numbers, stored in half precision; speed and rate of each window enter by their ratio alone."""
    X = Windows.of(windows, sampling_rate=1.0, rpm=rpm / rate, orders=orders)
    return front(X).astype(np.float16)


# %% The network and its tasks
N_LINE_FEATURES, N_FEATURES = 64, 96
N_LEARNED = N_LINE_FEATURES + N_FEATURES
N_PASSED = envelope.N_SCALARS - 4  # all but level, offset, turns a window, and whether speed and orders are known


class FaultHead(nn.Module):
    """A linear head whose outputs for the parts of a bearing differ by the features of fault orders alone.

    Whether it is the bearing may be read off everything; which part of it, off the lines where that part shows. In the
    simulation other numbers tell the part, too, but not so on real machines.
    """

    def __init__(self):
        super().__init__()
        self.general = nn.Linear(N_FEATURES, len(CLASSES) - len(PARTS) + 1)  # the last one: some part of the bearing
        self.lines = nn.Linear(N_LINE_FEATURES, len(CLASSES))
        others = iter(range(len(CLASSES) - len(PARTS)))
        rows = [len(CLASSES) - len(PARTS) if k in PARTS else next(others) for k in range(len(CLASSES))]
        self.rows = torch.tensor(rows)

    def forward(self, features):
        """Outputs for all classes."""
        lines, general = features[:, :N_LEARNED].split([N_LINE_FEATURES, N_FEATURES], dim=1)
        return self.lines(lines) + self.general(general)[:, self.rows]

    def parts(self, features):
        """Outputs for the parts of the bearing, up to what they share."""
        return self.lines(features[:, :N_LINE_FEATURES])[:, PARTS]

    def merged(self):
        """Return the same head as one linear layer; to scalars that pass it gives no weight."""
        whole = nn.Linear(N_LEARNED + 2 * N_PASSED, len(CLASSES))
        with torch.no_grad():
            passed = torch.zeros(len(CLASSES), 2 * N_PASSED)
            whole.weight.copy_(torch.cat([self.lines.weight, self.general.weight[self.rows], passed], dim=1))
            whole.bias.copy_(self.lines.bias + self.general.bias[self.rows])
        return whole


class Heads(nn.Module):
    """One head a task; the shipped one is `fault`."""

    def __init__(self):
        super().__init__()
        self.fault = FaultHead()
        self.severity = nn.Linear(N_LEARNED, 1)
        self.changed = nn.Linear(N_LEARNED, 1)
        self.channel = nn.Linear(2 * N_LEARNED, 1)


def losses(network, heads, batch, rng):
    """Sum of the tasks' losses on one batch, and what to show of it."""
    x, healthy = with_any_gain(batch["x"].float(), batch["healthy"].float(), rng)
    both = torch.cat([x, healthy])
    channels = network.channel(network.views(both + NOISE * torch.randn_like(both)))
    features = network.pool(channels)[:, :N_LEARNED]
    n = len(x)
    fault = batch["fault"]
    faulty = fault != CLASSES.index("healthy")
    logits = heads.fault(features[:n])
    which = functional.cross_entropy(logits, fault, label_smoothing=0.05)
    # a user often knows that it is the bearing and asks which part of it: the same outputs, among those classes alone
    part, rows = 0.0, torch.isin(fault, torch.tensor(PARTS))
    if rows.any():
        places = torch.tensor([PARTS.index(k) for k in fault[rows].tolist()])
        part = functional.cross_entropy(heads.fault.parts(features[:n][rows]), places, label_smoothing=0.05)
    # compared with a healthy window of the same machine; healthy windows are few, so they weigh more
    changed = heads.changed((features[:n] - features[n:]).abs())[:, 0]
    weight = torch.where(faulty, 0.5 / faulty.float().mean().clamp(0.05), 0.5 / (~faulty).float().mean().clamp(0.05))
    detect = functional.binary_cross_entropy_with_logits(changed, faulty.float(), weight)
    severity = functional.mse_loss(heads.severity(features[:n])[:, 0], batch["severity"])
    where = 0.0
    if x.shape[1] > 1 and faulty.any():
        scores = heads.channel(channels[:n, :, : 2 * N_LEARNED])[..., 0]
        where = functional.cross_entropy(scores[faulty], batch["channel"][faulty])
    shown = {
        "fault": (logits.argmax(1) == fault).float().mean(),
        "detect": (weight * ((changed > 0) == faulty)).mean(),
        "loss": which.detach(),
    }
    return which + part + 0.3 * detect + 0.5 * severity + 0.1 * where, shown


def with_any_gain(x, healthy, rng):
    """The unit of the sensor tells nothing: window and reference get the same random gain."""
    gain = torch.from_numpy(rng.normal(0.0, 1.5, size=(len(x), 1)).astype(np.float32))
    x, healthy = x.clone(), healthy.clone()
    x[:, :, envelope.LEVEL] += gain
    healthy[:, :, envelope.LEVEL] += gain
    return x, healthy


def network():
    sizes = envelope.N_VIEWS, envelope.N_LINES, envelope.N_AXIS, envelope.N_SCALARS
    return VibrationNet(*sizes, n_line_features=N_LINE_FEATURES, n_features=N_FEATURES, n_passed=N_PASSED)


def load(n_samples, folder, n_jobs):
    """The corpus as one group of tensors for each number of channels."""
    shards = make_shards(shard, n_samples, SHARD, folder, n_jobs)
    groups = []
    for n_channels in sorted({s["x"].shape[1] for s in shards}):
        alike = [s for s in shards if s["x"].shape[1] == n_channels]
        groups.append({key: torch.from_numpy(np.concatenate([s[key] for s in alike])) for key in alike[0]})
    return groups


def pretrain(groups, checkpoint, *, max_epochs, seed=SEED):
    """Network and heads, trained on all tasks."""
    torch.manual_seed(seed)
    body = network()
    heads = Heads()
    return MultiTask(body, heads, losses, checkpoint, max_epochs=max_epochs, seed=seed).fit(groups)


def by_operation(backbone, groups):
    """Deviation of each feature between healthy windows of one machine, at other speeds and loads.

    What passes the network is standardised by it and not by its deviation over all machines, which is about five times
    as large: beside another machine, a fault of this one would look small.
    """
    changes = []
    for group in groups:
        rows = group["fault"] == CLASSES.index("healthy")
        pair = [features_of(backbone, [group[key][rows].float().numpy()]) for key in ("x", "healthy")]
        changes.append(pair[0] - pair[1])
    return np.concatenate(changes).std(axis=0) / np.sqrt(2)


def backbone_of(body, heads, groups, n_samples):
    """What is shipped: the network, its fault head as the source head, and what one must know to use it."""
    inputs = Inputs(
        shape=(None, None),
        front_end="envelope",
        sampling_rate=(50.0, 100_000.0),
        scaling="none needed; or BaselineScaler(compress=False, clip=None) on healthy windows of the machine",
    )
    plain = Backbone(body, blocks=["views", "channel", "pool"], name="vibration", inputs=inputs)
    source = source_of(plain, heads.fault.merged(), [g["x"].float().numpy() for g in groups], CLASSES)
    scale = source.feature_scale.copy()
    scale[N_LEARNED:] = by_operation(plain, groups)[N_LEARNED:]
    source = source.rescaled(source.feature_mean, scale)
    task = "fault, severity, channel, and healthy or not against a healthy window of the same machine"
    about = provenance("datasets/vibration", n_samples, SEED, task, "python examples/pretraining/vibration.py", LIMITS)
    return plain.describe(source=source, provenance=about)


# %% Answer: about a quarter of an hour on two cores
def main():
    ship(__doc__, "vibration", FOLDER, load, pretrain, backbone_of, samples=80_000, epochs=6)


if __name__ == "__main__":
    main()
