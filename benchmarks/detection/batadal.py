"""BATADAL: hours of a water network, a year without attacks, then attacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.detection.peers import Case, aucs, detectors, limit, summary
from sktransfer import BaselineScaler

RATE = 0.01
SLOW = ("PyOD AutoEncoder", "PyOD isolation forest")  # no threshold is set for these


def attacks(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """AUC of the hours of each attack against the other hours of its period, and what an alarm threshold makes of it.

    The threshold is for 1 % false alarms and is set by the halves of the year without attacks, for
    every detector alike. Hours to
    detection are counted from the begin of an attack; one that raises no alarm counts with all its hours.
    """
    healthy, later, number = hours(folder)
    scaler = BaselineScaler().fit(healthy)
    F, scored = scaler.transform(healthy), scaler.transform(later)
    table = summary(aucs([Case("attacks", F, scored, number)], detectors)).set_index("detector")
    yield table.drop(columns="over draws")
    alarms = {}
    for name, make in detectors(len(F)).items():
        if name not in SLOW:
            above = make().fit(F).distance(scored) > limit(make, F, RATE, n_blocks=2)
            alarms[name] = _alarms(above, number)
    yield pd.DataFrame(alarms).T.rename_axis("detector")


def hours(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the year without attacks, rows of both later periods, and the number of the attack of each, 0 is none.

    The later files have two decimals, and the pressure at J280 varies by hundredths: the year is rounded alike.
    """
    frame = pd.read_csv(folder / "batadal" / "batadal.csv.gz")
    columns = [name for name in frame.columns if name not in ("split", "DATETIME", "ATT_FLAG")]
    year = (frame["split"] == "train_normal").to_numpy()
    flag = frame.loc[~year, "ATT_FLAG"].to_numpy() == 1
    begins = flag & ~np.r_[False, flag[:-1]]
    rows = frame[columns].to_numpy(np.float64)
    return rows[year].round(2), rows[~year], np.cumsum(begins) * flag


def _alarms(alarm: np.ndarray, number: np.ndarray) -> dict[str, str]:
    delays, found = [], 0
    for attack in range(1, number.max() + 1):
        own = alarm[number == attack]
        delays.append(int(own.argmax()) if own.any() else len(own))
        found += bool(own.any())
    return {
        "attacks found": f"{found} of {number.max()}",
        "hours to detection": f"{np.mean(delays):.1f}",
        "false alarms %": f"{100 * alarm[number == 0].mean():.1f}",
    }
