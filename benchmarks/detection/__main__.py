"""Detection from healthy data alone, beside detectors of PyOD and scikit-learn on the same inputs.

    python -m benchmarks.detection ../shared/data [--only skab-files batadal ...] [--draws 5]
    python -m benchmarks.detection ../shared/data --development

Every detector is fitted to healthy rows and nothing else; all settings are defaults, one for all files and sets, but
for what stands in a row's name. PyOD is needed (`pip install pyod`); it is no dependency of the package.

skab-files    protocol of the public leaderboard: each file by itself, the first 400 rows are healthy
skab-groups   healthy windows of group valve1 to the recordings of another group, AUC of the window that ends at a row
tep-classic   fit on d00, the limit at 1 % false alarms on d00_te; mean missed rate over 21 faults, without 3, 9, 15;
              the delay is the first of six alarms in a row, 800 samples where there is none
tep-modes     healthy rows of a mode alone (its first half; or 20 and 100 rows of it, drawn); AUC of 28 faults
batadal       a year without attacks, then attacks: AUC, hours to detection
cwru, hit, fan  healthy windows of a machine's first half, its faults against its later healthy windows
false-alarms  alarms on healthy rows that come later, beside the rate that was asked for
contamination faulty rows among those that are called healthy
speed         seconds, beside PyOD
development   simulated plants, on which defaults were chosen, and `OpenSetClassifier` with each fault left out in turn
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from benchmarks.detection import batadal, contamination, development, false_alarms, skab, speed, tep, vibration
from benchmarks.names import markdown

SETS: dict[str, tuple[Callable[[Path, int], Iterator[pd.DataFrame]], str]] = {
    "skab-files": (skab.files, "skab"),
    "skab-groups": (skab.groups, "skab"),
    "tep-classic": (tep.classic, "tep-braatz"),
    "tep-modes": (tep.modes, "tep-multimode"),
    "batadal": (batadal.attacks, "batadal"),
    "cwru": (vibration.bearings_cwru, "cwru-12k"),
    "hit": (vibration.bearings_hit, "hit-sm-mfs-bearing"),
    "fan": (vibration.blades, "fan-accelerometer"),
    "false-alarms": (false_alarms.later, "skab"),
    "contamination": (contamination.shares, "tep-multimode"),
    "speed": (speed.seconds, "."),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--development", action="store_true", help="simulated plants, in place of the scored sets")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.development:
        for table in (*development.rows(), *development.windows()):
            print(f"\n{markdown(table)}", flush=True)
        return
    for name in options.only:
        run, folder = SETS[name]
        if not (options.folder / folder).is_dir():
            print(f"{name}: no {folder} in {options.folder}", flush=True)
            continue
        print(f"\n{name}", flush=True)
        for table in run(options.folder, options.draws):
            print(f"\n{markdown(table)}", flush=True)


main()
