"""The golden files of a release: one small model of each kind, and what it answered.

``python -m tests.io.make_golden`` writes those that are missing; files of a release are never written anew, because
later versions have to read them as they are.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sktransfer import (
    Alarms,
    BaselineScaler,
    ConditionMonitor,
    FleetClassifier,
    FromScratch,
    LinearProbing,
    OpenSetClassifier,
    SlidingWindows,
    TableFormat,
    TimeColumn,
    TransferClassifier,
    TransferDetector,
    TransferRegressor,
    make_pipeline,
    save,
)
from tests.acceptance import plant
from tests.helpers import moons

FOLDER = Path(__file__).parent / "golden"
SMALL = FromScratch(arguments={"hidden_layer_sizes": (8, 6)})


def rows():
    """Rows that every golden model answers for: half of them it has seen."""
    return np.concatenate([moons(60, seed=5)[0][:10], moons(20, seed=6)[0][:10]])


def models():
    """Fitted models by the name of their file."""
    X, y = moons(60, seed=5)
    first = TransferClassifier(SMALL, max_epochs=3, lr=0.01, random_state=0).fit(X, y)
    probing = TransferClassifier(first.backbone_, strategy=LinearProbing(), random_state=0)
    on_cuda = TransferClassifier(SMALL, max_epochs=2, lr=0.01, random_state=0).fit(X, y)
    return {
        "classifier": first,
        "regressor": TransferRegressor(first.backbone_, strategy=LinearProbing(), random_state=0).fit(X, X[:, 0] * 10),
        "detector": TransferDetector(first.backbone_).fit(X[y == "normal"]),
        "pipeline": make_pipeline(BaselineScaler(normal_label="normal"), probing).fit(X, y),
        "search": GridSearchCV(TransferClassifier(SMALL, max_epochs=2, random_state=0), {"lr": [0.01, 0.02]}, cv=2).fit(
            X, y
        ),
        "calibrated": CalibratedClassifierCV(FrozenEstimator(probing.fit(X, y)), method="sigmoid").fit(X, y),
        "cuda": on_cuda.set_params(device="cuda:1"),
        "open_set": OpenSetClassifier(probing).fit(X, y),
        "fleet": FleetClassifier(first.backbone_).fit(X, y, sample_domain=np.arange(60) % 2 + 1),
        "monitor": monitor(None).fit(plant.table(0, 200, plant.BEGIN)),
        "monitor_of_windows": monitor(SlidingWindows(8, 4)).fit(plant.table(0, 400, plant.BEGIN)),
    }


def monitor(windows):
    """Not fitted, of the plant of two pumps."""
    return ConditionMonitor(
        make_pipeline(BaselineScaler(), TransferDetector(false_alarm_rate=0.05)),
        TableFormat({"p": "bar", "T": "C"}, time=TimeColumn("time"), machine="pump"),
        windows=windows,
        alarms=Alarms(alarms_per_day=10),
        limits={"p": (0, 400)},
    )


def answers(model):
    """What a model says of the rows, or of the plant on another day, with a fault."""
    if isinstance(model, ConditionMonitor):
        found = model.predict(plant.table(1, 60, plant.BEGIN, fault=30))
        return np.column_stack([found["score"], found["alarm"]])
    if isinstance(model, FleetClassifier):
        return model.predict_proba(rows(), sample_domain=np.arange(20) % 2 + 1)
    method = "predict_proba" if hasattr(model, "predict_proba") else "score_samples"
    return getattr(model, method if hasattr(model, method) else "predict")(rows())


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    known = json.loads((FOLDER / "expected.json").read_text()) if (FOLDER / "expected.json").exists() else {}
    for name, model in models().items():
        if not (FOLDER / f"{name}.skops").exists():
            save(model, FOLDER / f"{name}.skops", notes="golden file of release 0.1.0", metrics={"rows": 60})
            if name == "cuda":  # written as on a box with CUDA; the answers are computed on the CPU
                model.set_params(device="cpu")
            known[name] = answers(model).tolist()
    (FOLDER / "expected.json").write_text(json.dumps(known))
