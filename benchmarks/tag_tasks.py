"""Windows of several tags, for the question which features of "process" a head should use: by tag, pooled, or both.

A task has windows of which n a class are labelled, others that are scored, and, where there is one, a source with the
same tags. Windows come in healthy deviations. What is labelled and what is scored comes from different recordings,
units or periods; where there is one run a class, from its first and its second half. Rows of the sets of
`DEVELOPMENT` are in no set of `SCORED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.windows.development import FAN_SPEEDS, MIDDLE_HZ, MOTOR_CLASSES
from benchmarks.windows.few_labels import label_part
from benchmarks.windows.loaders import SKAB_SENSORS, WindowSet, fan, motors, tep
from sktransfer import BaselineScaler

Part = tuple[np.ndarray, np.ndarray]  # windows (n, n_tags, length), float32, in healthy deviations; their labels
TEP_CLASSES = (0, 2, 4, 5, 8, 10, 11, 14, 17, 18)
BRAATZ = ((0, 1, 5, 8, 10, 12, 13, 16, 20), (0, 2, 6, 7, 14, 18, 19, 21))
LAST_USEFUL = 500  # windows a class of a source; more only take time


@dataclass
class TagTask:
    """`pool` may be labelled, `scored` is scored; `source` has the same tags, or is None."""

    set: str
    name: str
    pool: Part
    scored: Part
    source: Part | None = None

    def draw(self, n: int, seed: int) -> Part:
        """Take n labelled windows a class, all of a class that has fewer."""
        random = np.random.default_rng(seed)
        X, y = self.pool
        chosen = np.concatenate([random.permutation(np.flatnonzero(y == label))[:n] for label in np.unique(y)])
        return X[np.sort(chosen)], y[np.sort(chosen)]


def cut(values: np.ndarray, length: int, step: int) -> np.ndarray:
    """Windows of rows (n, n_tags); the last row of window i is row ``length - 1 + i * step``."""
    if len(values) < length:
        return np.empty((0, values.shape[1], length), dtype=np.float32)
    return np.lib.stride_tricks.sliding_window_view(values, length, axis=0)[::step].astype(np.float32)


def join(parts: list[Part]) -> Part:
    """Windows and labels of several recordings."""
    return np.concatenate([X for X, _ in parts]), np.concatenate([y for _, y in parts])


def thinned(part: Part, most: int = LAST_USEFUL) -> Part:
    """At most `most` windows a class, evenly over the recordings."""
    X, y = part
    kept = [rows[:: max(1, len(rows) // most)] for rows in (np.flatnonzero(y == label) for label in np.unique(y))]
    return X[np.sort(np.concatenate(kept))], y[np.sort(np.concatenate(kept))]


# ---- scored


def tep_tags(folder: Path) -> Iterator[TagTask]:
    """Three modes to the fourth, ten classes; a mode is scaled by the first half of its healthy run."""
    modes = {}
    for mode, windows in tep(folder, length=60, step=20).items():
        first = windows.info["start"].to_numpy() + 60 <= windows.info["n_rows"].to_numpy() / 2
        second = windows.info["start"].to_numpy() >= windows.info["n_rows"].to_numpy() / 2
        raw = np.asarray(windows.X)
        X = BaselineScaler().fit(raw[first & (windows.y == 0)]).transform(raw)
        known = np.isin(windows.y, TEP_CLASSES)
        modes[mode] = [(X[part & known], windows.y[part & known]) for part in (first | second, first, second)]
    for target in (4, 2):
        source = join([parts[0] for mode, parts in modes.items() if mode != target])
        yield TagTask("tep-multimode", f"to mode {target}", modes[target][1], modes[target][2], thinned(source, 100))


def skab_tags(folder: Path) -> Iterator[TagTask]:
    """Group to group; a recording is scaled by its first 100 rows; every second recording may be labelled."""
    frame = pd.read_csv(folder / "skab" / "skab.csv.gz")
    groups: dict[str, list[Part]] = {}
    for (group, _), rows in frame[frame["group"] != "anomaly-free"].groupby(["group", "file"], sort=True):
        values = rows[list(SKAB_SENSORS)].to_numpy(np.float64)
        X = cut(BaselineScaler().fit(values[:100]).transform(values), 60, 10)
        y = rows["anomaly"].to_numpy().astype(int)[59::10]
        groups.setdefault(str(group), []).append((X[5:], y[5:]))  # windows that end after the first 100 rows
    for source, target in (("valve1", "other"), ("other", "valve1"), ("valve1", "valve2")):
        parts = groups[target]
        yield TagTask("skab", f"{source} -> {target}", join(parts[::2]), join(parts[1::2]), join(groups[source]))


def batadal_tags(folder: Path) -> Iterator[TagTask]:
    """Two periods with attacks, each labelled for the other; scaled by the year without; days, every third hour."""
    frame = pd.read_csv(folder / "batadal" / "batadal.csv.gz")
    columns = [name for name in frame.columns if name not in ("split", "DATETIME", "ATT_FLAG")]
    healthy = frame.loc[frame["split"] == "train_normal", columns].to_numpy(np.float64)
    scaler, parts = BaselineScaler().fit(healthy[:, healthy.std(axis=0) > 0]), {}
    moving = np.array(columns)[healthy.std(axis=0) > 0]
    for split in ("train_attacks", "test"):
        rows = frame[frame["split"] == split]
        values = scaler.transform(rows[moving].to_numpy(np.float64))
        parts[split] = cut(values, 24, 3), rows["ATT_FLAG"].to_numpy().astype(int)[23::3]
    for pool, scored in (("train_attacks", "test"), ("test", "train_attacks")):
        yield TagTask("batadal", f"{pool} -> {scored}", parts[pool], parts[scored])


def mill_tags(folder: Path) -> Iterator[TagTask]:
    """Feed rate 3 to 6 and 20 and back, worn or not; scaled by unworn experiments; labelled and scored by clamping."""
    frame = pd.read_csv(folder / "cnc-mill-tool-wear" / "cnc_mill.csv.gz")
    frame = frame[frame["Machining_Process"].str.startswith("Layer")]
    columns = [name for name in frame.columns if name[:3] in ("X1_", "Y1_", "Z1_", "S1_") and frame[name].std() > 0]

    def part(rates: tuple[int, ...], clamps: tuple[float, ...], scaler: BaselineScaler | None = None):
        rows = frame[frame["feedrate"].isin(rates) & frame["clamp_pressure"].isin(clamps)]
        if scaler is None:
            unworn = rows[rows["tool_condition"] == "unworn"]
            scaler = BaselineScaler().fit(unworn[columns].to_numpy(np.float64))
        scaled = pd.DataFrame(scaler.transform(rows[columns].to_numpy(np.float64)), index=rows.index)
        found = []
        for _, one in rows.groupby("experiment"):
            X = cut(scaled.loc[one.index].to_numpy(), 64, 16)
            found.append((X, np.full(len(X), one["tool_condition"].iloc[0])))
        return join(found), scaler

    for source, target, may in (((3,), (6, 20), (4.0,)), ((6, 20), (3,), (2.5, 4.0))):
        pool, scaler = part(target, may)
        scored, _ = part(target, tuple({2.5, 3.0, 4.0} - set(may)), scaler)
        yield TagTask("cnc-mill-tool-wear", f"to feed rate {target}", pool, scored, part(source, (2.5, 3.0, 4.0))[0])


# ---- development


def engine_tags(folder: Path) -> Iterator[TagTask]:
    """Turbofans, cycles left in three classes, FD001 to FD003 and back; scaled by the first 30 cycles of engines."""
    frame = pd.read_csv(folder / "cmapss-fd001-fd003" / "cmapss.csv.gz")
    columns = [f"s{i}" for i in range(1, 22) if frame.groupby("subset")[f"s{i}"].std().min() > 1e-9]
    parts = {}
    for subset, rows in frame.groupby("subset"):
        early = (rows["split"] == "train") & (rows["cycle"] <= 30)
        scaler = BaselineScaler().fit(rows.loc[early, columns].to_numpy(np.float64))
        scaled = pd.DataFrame(scaler.transform(rows[columns].to_numpy(np.float64)), index=rows.index)
        for split in ("train", "test"):
            found = []
            for _, one in rows[rows["split"] == split].groupby("unit"):
                X = cut(scaled.loc[one.index].to_numpy(), 30, 15)
                found.append((X, np.digitize(one["rul"].to_numpy()[29::15], (50, 125))))
            parts[subset, split] = join(found)
    for source, target in (("FD001", "FD003"), ("FD003", "FD001")):
        pool, scored = parts[target, "train"], thinned(parts[target, "test"])
        yield TagTask("cmapss", f"{source} -> {target}", pool, scored, thinned(parts[source, "train"], 300))


def braatz_tags(folder: Path) -> Iterator[TagTask]:
    """Another simulation of Tennessee Eastman, one mode: training runs are labelled, test runs scored."""
    train, test = (pd.read_csv(folder / "tep-braatz" / f"{name}.csv.gz") for name in ("train", "test"))
    columns = [name for name in train.columns if name.startswith("X")]
    scaler = BaselineScaler().fit(train.loc[train["fault"] == 0, columns].to_numpy(np.float64))

    def part(frame: pd.DataFrame, classes: tuple[int, ...], step: int) -> Part:
        found = []
        for fault in classes:
            rows = frame[(frame["fault"] == fault) & (frame["sample"] > (160 if frame is test else 0))]
            X = cut(scaler.transform(rows[columns].to_numpy(np.float64)), 60, step)
            found.append((X, np.full(len(X), fault)))
        return join(found)

    for number, classes in enumerate(BRAATZ):
        yield TagTask("tep-braatz", f"faults {number}", part(train, classes, 20), part(test, classes, 40))


def turbine_tags(folder: Path) -> Iterator[TagTask]:
    """A gas turbine, terciles of an emission in days of hourly rows; a year is scaled by all its rows, unlabelled."""
    frame = pd.read_csv(folder / "gas-turbine-emissions" / "gas_turbine.csv.gz")
    columns = [name for name in frame.columns if name not in ("year", "CO", "NOX")]
    for emission in ("NOX", "CO"):
        edges = np.quantile(frame.loc[frame["year"] <= 2012, emission], (1 / 3, 2 / 3))

        def part(years: tuple[int, ...], emission: str = emission, edges: np.ndarray = edges) -> Part:
            found = []
            for year in years:
                rows = frame[frame["year"] == year]
                values = rows[columns].to_numpy(np.float64)
                X = cut(BaselineScaler().fit(values).transform(values), 24, 12)
                level = cut(rows[[emission]].to_numpy(np.float64), 24, 12).mean(axis=(1, 2))
                found.append((X, np.digitize(level, edges)))
            return join(found)

        yield TagTask("gas-turbine", emission, part((2013,)), part((2014, 2015)), part((2011, 2012)))


def signal_tags(name: str, data: WindowSet, domains: np.ndarray, pairs, by_recording: bool) -> Iterator[TagTask]:
    """Axes of an accelerometer in deviations of all windows of their domain."""
    raw = np.asarray(data.X, dtype=np.float64)
    for source, target in pairs:
        X = {}
        for domain in (source, target):
            own = raw[domains == domain]
            X[domain] = BaselineScaler().fit(own).transform(own).astype(np.float32)
        y = {d: data.y[domains == d] for d in (source, target)}
        may, scored = label_part(data[domains == target], by_recording)
        pool, rest = ((X[target][mask], y[target][mask]) for mask in (may, scored))
        yield TagTask(name, f"{source} -> {target}", pool, rest, thinned((X[source], y[source])))


def fan_tags(folder: Path) -> Iterator[TagTask]:
    """A fan at the speeds of `windows/development.py`; first halves of recordings are labelled."""
    data = fan(folder)
    return signal_tags("fan", data, data.info["domain"].to_numpy(), pairwise(FAN_SPEEDS), by_recording=False)


def motor_tags(folder: Path) -> Iterator[TagTask]:
    """Motor 1 with the classes of `windows/development.py`, by frequency of the supply; recordings are labelled."""
    data = motors(folder, classes=MOTOR_CLASSES)
    data = data[data.info["domain"].to_numpy() == "Motor_1"]
    low = np.where(data.info["supply_hz"].to_numpy() < MIDDLE_HZ, "low", "high")
    return signal_tags("motor", data, low, (("low", "high"), ("high", "low")), by_recording=True)


Loader = Callable[[Path], Iterator[TagTask]]
SCORED: dict[str, Loader] = {
    "tep-multimode": tep_tags,
    "skab": skab_tags,
    "batadal": batadal_tags,
    "cnc-mill-tool-wear": mill_tags,
}
DEVELOPMENT: dict[str, Loader] = {
    "cmapss": engine_tags,
    "tep-braatz": braatz_tags,
    "gas-turbine": turbine_tags,
    "fan": fan_tags,
    "motor": motor_tags,
}
