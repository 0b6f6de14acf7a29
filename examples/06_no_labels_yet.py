"""# Question: a plant has normal operation and no labelled fault. How does it get to a classifier, and with how few labels?

From the root of the repository::

    python examples/06_no_labels_yet.py

The data are installed with the package: a simulated Tennessee Eastman plant in operating mode 4, a row in 45 minutes. The
shipped network learned faults in modes 1, 2 and 3. Healthy runs make a detector; its alarms say which sensor moved; a few
of them are shown to an operator; his labels make a classifier that may answer "unknown". In every picture stands the same
without transfer, ``backbone=None``.
"""

# %% The plant: healthy runs that are known to be so, runs of which nothing is known, and runs for scoring
import argparse
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score

from sktransfer import (
    Alarms,
    BaselineScaler,
    LinearProbing,
    OpenSetClassifier,
    TransferClassifier,
    TransferDetector,
    explain_sensors,
    load_tep_mode4,
    make_pipeline,
    suggest_labels,
)

BACKBONES = {"tep-process": "tep-process", "backbone=None": None}
COLORS = {"tep-process": "C0", "backbone=None": "0.5"}


class Plant:
    """Rows of the plant and which of them serve what; labels are looked at where an operator would give them."""

    def __init__(self, seed=0):
        plant, rng = load_tep_mode4(), np.random.default_rng(seed)
        self.X, self.y, self.runs = plant.data, np.asarray(plant.target), np.asarray(plant.groups)
        self.seconds = 3600.0 * plant.hours
        normal = rng.permutation(np.unique(self.runs[self.y == "normal"]))
        self.known, self.for_alarms = (np.flatnonzero(np.isin(self.runs, part)) for part in (normal[:6], normal[6:10]))
        new = list(normal[10:13])
        for fault in np.unique(self.y[self.y != "normal"]):
            own = rng.permutation(np.unique(self.runs[self.y == fault]))
            new += list(own[: len(own) // 2])
        used = np.isin(self.runs, [*normal[:10], *new])
        self.new, self.scored = np.flatnonzero(np.isin(self.runs, new)), np.flatnonzero(~used)
        self.scaler = FrozenEstimator(BaselineScaler().fit(self.X.iloc[self.known]))


# %% Healthy rows make a detector, and a budget of false alarms makes alarms of its scores
def watch(plant, backbone):
    """The fitted detector, its score of the new rows, and whether an alarm is on."""
    detector = make_pipeline(plant.scaler, TransferDetector(backbone, false_alarm_rate=0.05))
    detector.fit(plant.X.iloc[plant.known])
    healthy = detector.score_samples(plant.X.iloc[plant.for_alarms])
    at = {"time": plant.seconds[plant.for_alarms], "machine": plant.runs[plant.for_alarms]}
    alarms = Alarms(alarms_per_day=0.5, on_delay=2, off_delay=3).fit(healthy, **at)
    at = {"time": plant.seconds[plant.new], "machine": plant.runs[plant.new]}
    scores = detector.score_samples(plant.X.iloc[plant.new])
    return detector, alarms, scores, alarms.transform(scores, **at)


def plot_alarms(plant, watched, file):
    """Scores of the new runs, one after the other, and what moved in the first alarm."""
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6.5), layout="constrained", height_ratios=(3, 2))
    y, ends = plant.y[plant.new], np.flatnonzero(np.diff(np.unique(plant.runs[plant.new], return_inverse=True)[1])) + 1
    order = np.argsort(np.where(y == "normal", "", y), kind="stable")
    for name, (_, alarms, scores, state) in watched.items():
        share = scores[order] / alarms.threshold_
        label = f"{name}: alarm in {_runs_found(plant, state)} of {_faulty_runs(plant)} runs with a fault"
        above.plot(share, lw=0.9, color=COLORS[name], label=label)
    above.axhline(1, color="C3", lw=1, ls="--", label="alarm above this")
    kinds, first = np.unique(y[order], return_index=True)
    for kind, begin in zip(kinds, first, strict=True):
        above.axvline(begin, color="0.85", lw=0.8, zorder=0)
        width = np.sum(y == kind)
        above.text(
            begin + width / 2, 1.02, kind.split("-")[0], transform=above.get_xaxis_transform(), ha="center", fontsize=8
        )
    above.set(
        yscale="log",
        xlabel="new rows, sorted by what an operator will find",
        ylabel="distance / limit",
        xlim=(0, len(y)),
    )
    above.legend(fontsize=8, loc="upper right", framealpha=0.9)
    del ends
    width, names = 0.38, list(watched)
    row = first_alarm(plant, watched["tep-process"][3])
    shares = {
        name: explain_sensors(found[0], plant.X.iloc[[row]]).set_index("sensor")["share"]
        for name, found in watched.items()
    }
    sensors = shares["tep-process"].head(6).index
    for number, name in enumerate(names):
        at = np.arange(len(sensors)) + (number - 0.5) * width
        below.barh(at, shares[name].loc[sensors], width, color=COLORS[name], label=name)
    reason = explain_sensors(watched["tep-process"][0], plant.X.iloc[[row]]).set_index("sensor").loc[sensors]
    texts = [f"{sensor} ({reason.direction[sensor]})" for sensor in sensors]
    below.set_yticks(np.arange(len(sensors)), texts)
    below.invert_yaxis()
    below.set(xlabel="share of the distance", title=f"Why the alarm in run {plant.runs[row]}?")
    below.legend(fontsize=8)
    figure.savefig(file, dpi=130)
    plt.close(figure)
