"""# Question: does transfer pay on my machine, or would a forest on the same labels do?

From the root of the repository::

    python examples/04_does_transfer_pay.py

The data are installed with the package: a simulated Tennessee Eastman plant in operating mode 4. The shipped network
learned the same faults in modes 1, 2 and 3. ``compare`` draws labelled rows from some runs, fits everything to the same
rows, and scores on other runs.
"""

# %% The machine at hand: rows, labels, and the run of each row
import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.svm import SVC

from sktransfer import (
    BaselineScaler,
    TransferClassifier,
    TransferGainDisplay,
    compare,
    load_tep_mode4,
    make_pipeline,
)


def load_plant():
    """Rows, labels and runs to label and to score, and a scaler of six healthy runs that are neither."""
    plant = load_tep_mode4()
    X, y, runs = plant.data, plant.target, plant.groups
    kept_for_scaling = np.isin(runs, np.unique(runs[y == "normal"])[:6])
    scaler = FrozenEstimator(BaselineScaler().fit(X[kept_for_scaling]))
    rest = ~kept_for_scaling
    return X[rest], y[rest], runs[rest], scaler


# %% A network that knows nothing of the plant: the same rows, but every run has the label of another one
def misled(X, y, runs, scaler):
    """A backbone that was pretrained on labels that are permuted among the runs."""
    names = np.unique(runs)
    labels = dict(zip(names, np.random.default_rng(0).permutation(y.groupby(runs).first().loc[names]), strict=True))
    network = TransferClassifier(max_epochs=20, random_state=0)
    return network.fit(scaler.transform(X), np.array([labels[run] for run in runs], dtype=object)).backbone_


# %% Answer
def main():
    parser = argparse.ArgumentParser(description="Does transfer pay?")
    parser.add_argument("--out", type=Path, default=ROOT / "demo-output")
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    X, y, runs, scaler = load_plant()
    settings = {"groups": runs, "n_labels": options.labels, "n_draws": options.draws, "n_jobs": 2, "verbose": 1}
    model = make_pipeline(scaler, TransferClassifier("tep-process"))
    mine = {"support vectors": make_pipeline(scaler, SVC())}  # any estimator of yours stands beside the others
    results = compare(model, X, y, baselines=mine, memory=options.out / "compare", **settings)
    print(f"\nThe shipped network:\n{results}\n")
    TransferGainDisplay.from_results(results).figure_.savefig(options.out / "does_transfer_pay.png", dpi=130)

    backbone = misled(X, y, runs, scaler)
    wrong = make_pipeline(scaler, TransferClassifier(backbone))
    results = compare(wrong, X, y, memory=options.out / "compare", **settings)
    print(f"\nA network that learned the wrong labels:\n{results}\n")
    shown = TransferGainDisplay.from_results(results, kind="gain")
    shown.figure_.savefig(options.out / "where_it_does_not.png", dpi=130)
    print(f"wrote does_transfer_pay.png and where_it_does_not.png to {options.out.name}/")


if __name__ == "__main__":
    main()
