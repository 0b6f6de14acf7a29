"""# Question: a plant has healthy data and no labelled fault. How does it get to a classifier, with few labels?

From the root of the repository::

    python examples/06_no_labels_yet.py

The data are installed with the package: a simulated Tennessee Eastman plant in operating mode 4, a row in 45 minutes.
The shipped network learned faults in modes 1, 2 and 3. Healthy runs make a detector; an alarm says which sensors moved;
some rows are shown to an operator; the labels make a classifier that may answer "unknown". The same without transfer,
``backbone=None``, stands in every picture.
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
    OpenSetClassifier,
    TransferClassifier,
    TransferDetector,
    explain_sensors,
    load_tep_mode4,
    make_pipeline,
    suggest_labels,
)

BACKBONES = {"tep-process": "tep-process", "backbone=None": None}
COLORS = {"tep-process": "C0", "backbone=None": "C1"}
UNSEEN = "idv02-b-composition-step"  # a fault that nobody labels
N_LABELS = (13, 26, 52, 104)


class Plant:
    """Rows of the plant, and which of them serve what; `y` is looked at where an operator would be asked."""

    def __init__(self, seed=0):
        plant, rng = load_tep_mode4(), np.random.default_rng(seed)
        self.X, self.y, self.runs = plant.data, np.asarray(plant.target), np.asarray(plant.groups)
        self.seconds = 3600.0 * plant.hours
        normal = rng.permutation(np.unique(self.runs[self.y == "normal"]))
        self.known, self.for_alarms = self.rows(normal[:6]), self.rows(normal[6:10])
        new = list(normal[10:13])
        for fault in np.unique(self.y[self.y != "normal"]):
            own = rng.permutation(np.unique(self.runs[self.y == fault]))
            new += list(own[: len(own) // 2])
        self.new = self.rows(new)
        self.scored = self.rows(np.setdiff1d(self.runs, [*normal[:10], *new]))
        self.scaler = FrozenEstimator(BaselineScaler().fit(self.X.iloc[self.known]))

    def rows(self, runs):
        """Numbers of the rows of some runs."""
        return np.flatnonzero(np.isin(self.runs, runs))


# %% Healthy rows make a detector, and a budget of false alarms makes alarms of its scores
def watch(plant, backbone):
    """The fitted detector, distances of the new rows in limits of the alarm, and whether an alarm is on."""
    detector = make_pipeline(BaselineScaler(), TransferDetector(backbone, false_alarm_rate=0.05))
    detector.fit(plant.X.iloc[plant.known])

    def scores(rows):
        return detector.score_samples(plant.X.iloc[rows]), {"time": plant.seconds[rows], "machine": plant.runs[rows]}

    healthy, when = scores(plant.for_alarms)
    alarms = Alarms(alarms_per_day=0.5, on_delay=2, off_delay=3).fit(healthy, **when)
    new, when = scores(plant.new)
    return detector, new / alarms.threshold_, alarms.transform(new, **when)


# %% Why is there an alarm? The sensors that add most to the distance, with direction and usual range
def reasons(plant, watched, n=6):
    """The first alarm about a fault that moves single sensors, and the table of its sensors for each detector."""
    rows = plant.new[watched["tep-process"][2]]
    row = next(row for row in rows if plant.y[row].startswith("idv06"))
    tables = {
        name: explain_sensors(found[0], plant.X.iloc[[row]]).set_index("sensor") for name, found in watched.items()
    }
    sensors = tables["backbone=None"].index[:n]  # the columns themselves answer more clearly than a network of them
    return row, {name: table.loc[sensors] for name, table in tables.items()}


def plot_alarms(plant, watched, file):
    """Distances of the new rows, sorted by what they turn out to be, and the reason of one alarm."""
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 7), layout="constrained", height_ratios=(3, 2))
    y, runs = plant.y[plant.new], plant.runs[plant.new]
    order = np.argsort(np.where(y == "normal", "", y), kind="stable")
    for name, (_, distance, alarm) in watched.items():
        found, faulty = len(np.unique(runs[alarm & (y != "normal")])), len(np.unique(runs[y != "normal"]))
        false = f"{np.sum(alarm & (y == 'normal'))} of {np.sum(y == 'normal')} healthy rows"
        label = f"{name}: alarm in {found} of {faulty} runs with a fault, and on {false}"
        above.plot(distance[order], lw=1, color=COLORS[name], label=label)
    above.axhline(1, color="C3", lw=1, ls="--", label="limit")
    kinds, first = np.unique(np.where(y == "normal", "", y)[order], return_index=True)
    for kind, begin, end in zip(kinds, first, [*first[1:], len(y)], strict=True):
        above.axvline(begin, color="0.85", lw=0.8, zorder=0)
        where = {"transform": above.get_xaxis_transform(), "rotation": 90 if end - begin < 40 else 0}
        above.text((begin + end) / 2, 1.02, kind.split("-")[0] or "normal", ha="center", fontsize=8, **where)
    above.set(yscale="log", xlim=(0, len(y)), xlabel="rows of the new runs", ylabel="distance / limit of the alarm")
    above.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    row, tables = reasons(plant, watched)
    for number, (name, table) in enumerate(tables.items()):
        below.barh(np.arange(len(table)) + 0.38 * (number - 0.5), table["share"], 0.38, color=COLORS[name], label=name)
    table = tables["backbone=None"]
    below.set_yticks(np.arange(len(table)), [f"{sensor} ({table.direction[sensor]})" for sensor in table.index])
    below.invert_yaxis()
    below.set(xlabel="share of the distance", title=f"why the alarm in run {plant.runs[row]}?")
    below.legend(fontsize=8, loc="lower right")
    figure.savefig(file, dpi=130)
    plt.close(figure)


# %% The first labels: typical alarms at first, then what the classifier is unsure of, a run each
def classifier(plant, backbone, rows):
    """Fitted to healthy rows and to rows that the operator has named."""
    rows = np.r_[plant.known[::8], rows]
    return make_pipeline(plant.scaler, TransferClassifier(backbone, random_state=0)).fit(
        plant.X.iloc[rows], plant.y[rows]
    )


def asked_for(plant, backbone, detector):
    """Rows that `suggest_labels` asks for, round by round, and the classifier of each round."""
    X, runs = plant.X.iloc[plant.new], plant.runs[plant.new]
    positions, models = suggest_labels(detector, X, N_LABELS[0], groups=runs, random_state=0), []
    for n in N_LABELS:
        if models:
            more = {"groups": runs, "labelled": positions, "random_state": 0}
            positions = np.r_[positions, suggest_labels(models[-1], X, n - len(positions), **more)]
        models.append(classifier(plant, backbone, plant.new[positions]))
    return plant.new[positions], models


def learn(plant, watched, draws):
    """Balanced accuracy on other runs for each backbone and way to choose, and the rows that were asked for."""
    X, y, scores, chosen = plant.X.iloc[plant.scored], plant.y[plant.scored], {}, {}
    for name, backbone in BACKBONES.items():
        chosen[name], models = asked_for(plant, backbone, watched[name][0])
        scores[name, "asked for"] = [balanced_accuracy_score(y, model.predict(X)) for model in models]
        drawn = [np.random.default_rng(seed).permutation(plant.new) for seed in range(draws)]
        scores[name, "random"] = [
            np.mean([balanced_accuracy_score(y, classifier(plant, backbone, rows[:n]).predict(X)) for rows in drawn])
            for n in N_LABELS
        ]
    return scores, chosen


def plot_learning(scores, file):
    """Balanced accuracy against the number of labels."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    for (name, way), values in scores.items():
        style = {"ls": "-", "lw": 2.2} if way == "asked for" else {"ls": "--", "lw": 1.3}
        axes.plot(N_LABELS, values, marker="o", color=COLORS[name], label=f"{name}, rows {way}", **style)
    axes.set_xscale("log")
    axes.set_xticks(N_LABELS, [str(n) for n in N_LABELS])
    axes.minorticks_off()
    axes.set(
        xlabel="rows that an operator has named, of all kinds", ylabel="balanced accuracy on other runs, 13 classes"
    )
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=130)
    plt.close(figure)


# %% A fault that nobody has named: a classifier that may answer "unknown"
def called_unknown(plant, backbone, rows):
    """Share of the scored rows of each class that are called unknown, if nobody has named `UNSEEN`."""
    rows = np.r_[plant.known[::8], rows]
    rows = rows[plant.y[rows] != UNSEEN]
    # rows of a run are alike: whole runs are held out to set the limit, so that a class needs two of them
    rows = rows[[len(np.unique(plant.runs[rows][plant.y[rows] == kind])) > 1 for kind in plant.y[rows]]]
    model = OpenSetClassifier(TransferClassifier(backbone, random_state=0), coverage=0.9)
    model.fit(plant.scaler.transform(plant.X.iloc[rows]), plant.y[rows], groups=plant.runs[rows])
    answer, y = model.predict(plant.scaler.transform(plant.X.iloc[plant.scored])), plant.y[plant.scored]
    return {kind: np.mean(answer[y == kind] == "unknown") for kind in np.unique(y)}


def plot_unknown(shares, file):
    """Share of rows called unknown by class; the fault without a label first."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8.5, 4.4), layout="constrained")
    kinds = sorted(shares["tep-process"], key=lambda kind: (kind != UNSEEN, kind == "normal", kind))
    for number, (name, share) in enumerate(shares.items()):
        at = np.arange(len(kinds)) + 0.38 * (number - 0.5)
        axes.bar(at, [share[kind] for kind in kinds], 0.38, color=COLORS[name], label=name)
    axes.axhline(0.1, color="0.4", ls="--", lw=1, label="limit for known classes")
    axes.axvline(0.5, color="0.7", lw=1)
    names = [kind.split("-")[0] + ("\nno label" if kind == UNSEEN else "") for kind in kinds]
    axes.set_xticks(np.arange(len(kinds)), names, fontsize=8)
    axes.set(ylabel='share of rows called "unknown"', ylim=(0, 1))
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=130)
    plt.close(figure)


# %% Answer: by a detector, an operator who names its alarms, and a classifier that asks him for what it is unsure of.
# Rows that are asked for teach more than random ones at each number, and the shipped network more than none.
def main():
    import matplotlib

    matplotlib.use("Agg")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "demo-output")
    parser.add_argument("--draws", type=int, default=2, help="of random rows")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")  # of classes with a single label, which the first rounds have

    plant = Plant()
    watched = {name: watch(plant, backbone) for name, backbone in BACKBONES.items()}
    plot_alarms(plant, watched, options.out / "no_labels_alarms.png")
    row, tables = reasons(plant, watched)
    reason = tables["backbone=None"].drop(columns="sample").round(2).to_string()
    print(f"why the alarm in run {plant.runs[row]}?\n{reason}\n")
    for name, (detector, *_) in watched.items():
        order = explain_sensors(detector, plant.X.iloc[[row]])["sensor"].tolist()
        print(f"place of a_feed_flow, which is lost there, by {name}: {order.index('a_feed_flow') + 1} of {len(order)}")

    scores, chosen = learn(plant, watched, options.draws)
    plot_learning(scores, options.out / "no_labels_learning.png")
    print(f"balanced accuracy on other runs after {N_LABELS} labels:")
    for (name, way), values in scores.items():
        print(f"  {name}, rows {way}: " + " ".join(f"{value:.3f}" for value in values))

    shares = {name: called_unknown(plant, backbone, chosen[name]) for name, backbone in BACKBONES.items()}
    plot_unknown(shares, options.out / "no_labels_unknown.png")
    for name, share in shares.items():
        known = [value for kind, value in share.items() if kind not in (UNSEEN, "normal")]
        print(
            f"{name}: {share[UNSEEN]:.2f} of the rows of {UNSEEN} are called unknown, {np.mean(known):.2f} of the "
            f"known faults, {share['normal']:.2f} of normal"
        )
    print(f"wrote no_labels_alarms.png, no_labels_learning.png and no_labels_unknown.png to {options.out.name}/")


if __name__ == "__main__":
    main()
