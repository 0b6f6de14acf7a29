"""BATADAL: hours of a water network, a year without attacks, then attacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.detection.peers import Case, aucs, detectors, limit, summary
from benchmarks.detection.tep import means_of
from sktransfer import BaselineScaler

RATE = 0.01
INPUTS = {"rows": 1, "means of 6 rows": 6}


def attacks(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """AUC of the hours of each attack against the other hours of its period, and what an alarm threshold makes of it.

    The threshold is for 1 % false alarms and is set by the year without attacks, for every detector alike. Hours to
    detection are counted from the begin of an attack; one that raises no alarm counts with all its hours.
    """
    healthy, later, number = hours(folder)
    for inputs, n in INPUTS.items():
        means = means_of(healthy, n)
        scaler = BaselineScaler().fit(means)
        F, scored = scaler.transform(means), scaler.transform(means_of(later, n))
        made = detectors(len(F))
        table = summary(aucs([Case("attacks", F, scored, number)], detectors)).set_index("detector")
        alarms = {
            name: _alarms(make().fit(F).distance(scored) > limit(make, F, RATE), number) for name, make in made.items()
        }
        yield (
            table.join(pd.DataFrame(alarms).T)
            .assign(inputs=inputs)
            .drop(columns="over draws")
            .reset_index()
            .set_index("inputs")
        )


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
