"""The real recordings as windows; each window lies inside one recording.

A `WindowSet` is what every protocol takes: the windows, their labels, the recording each was cut from, its place in
that recording (0, 1, 2 ... in time order) and a table with one row a window of what else is known of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import resample_poly

from sktransfer import SlidingWindows, Windows

# Orders of the bearings, multiples of the shaft's speed, as Windows wants them: BPFO, BPFI, BSF, FTF. The CWRU Bearing
# Data Center prints 4.7135 and 3.9874 for the rolling element, which is twice the ball spin frequency.
SKF_6205 = (3.5848, 5.4152, 2.3568, 0.39828)
SKF_6203 = (3.0530, 4.9469, 1.9937, 0.38170)
MFS_6205 = (3.585, 5.415, 2.357, 0.398)
CWRU_KINDS = {"B": "ball", "IR": "inner", "OR": "outer"}
TEP_LEFT_OUT = (1, 6, 7)  # runs that shut down early in some mode
SKAB_SENSORS = (
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
)
MOTOR_CLASSES = ("healthy", "healthy_new_bearing", "unbalance_2w", "unbalance_4w", "bearing_minor", "broken_rotor_bar")


@dataclass
class WindowSet:
    """Windows `X` (n, n_channels, length), labels `y` (n,), `groups` (n,), `place` (n,) and `info`, n rows."""

    X: Windows
    y: np.ndarray
    groups: np.ndarray
    place: np.ndarray
    info: pd.DataFrame

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index) -> WindowSet:
        info = self.info.iloc[np.arange(len(self))[index]].reset_index(drop=True)
        return WindowSet(self.X[index], self.y[index], self.groups[index], self.place[index], info)

    def standardized(self) -> WindowSet:
        """Each channel of each window at mean 0 and deviation 1: no gain is left to tell classes apart."""
        return WindowSet(self.X.like(standardize(self.X)), self.y, self.groups, self.place, self.info)


def standardize(X: np.ndarray) -> np.ndarray:
    """Each channel of each window minus its mean, over its deviation; constant channels become 0."""
    X = np.asarray(X, dtype=np.float64)
    centred = X - X.mean(axis=2, keepdims=True)
    deviation = centred.std(axis=2, keepdims=True)
    return (centred / np.where(deviation > 0, deviation, 1)).astype(np.float32)


def gather(recordings: list[tuple], length: int, step: int | None, sampling_rate: float) -> WindowSet:
    """All windows of `recordings`, each (name, signal, label, dict of what is known); names differ.

    A signal is (n_samples,) or (n_channels, n_samples); what is left over at its end is dropped. The entries "rpm" and
    "orders" of the dict become fields of the windows.
    """
    known = {name: entries for name, _, _, entries in recordings}
    X, y, groups = SlidingWindows(length, step, sampling_rate=sampling_rate).cut(
        {name: np.asarray(signal).T for name, signal, _, _ in recordings},
        {name: label for name, _, label, _ in recordings},
        rpm={name: entries.get("rpm", np.nan) for name, entries in known.items()},
        orders={name: entries.get("orders", (np.nan,) * 4) for name, entries in known.items()},
    )
    place = pd.Series(groups).groupby(groups).cumcount().to_numpy()
    info = pd.DataFrame([{k: v for k, v in known[group].items() if k != "orders"} for group in groups])
    return WindowSet(X, np.asarray(y), np.asarray(groups), place, info)


def concatenate(parts: list[WindowSet]) -> WindowSet:
    """Sets of equal length and rate as one."""
    rpm, orders = (np.concatenate([getattr(part.X, name) for part in parts]) for name in ("rpm", "orders"))
    X = np.concatenate([np.asarray(part.X) for part in parts])
    X = Windows.of(X, sampling_rate=parts[0].X.sampling_rate, rpm=rpm, orders=orders)
    y, groups, place = (np.concatenate([getattr(part, name) for part in parts]) for name in ("y", "groups", "place"))
    return WindowSet(X, y, groups, place, pd.concat([part.info for part in parts], ignore_index=True))


def cwru(
    folder: Path, length: int = 6144, step: int | None = None, ends: str = "DE", normal: bool = False
) -> WindowSet:
    """CWRU at 12 kHz: faults of the bearing at `ends` ("DE" or "FE") seen by the sensor there, loads 0 to 3.

    Labels: inner, outer, ball, with normal=True also healthy. The normal records (load 0 only) are sampled at 48 kHz,
    the faults at 12 kHz: they are filtered and every fourth sample is kept.
    """
    index = pd.read_csv(folder / "cwru-12k" / "index.csv", dtype={"fault_mil": str})
    index = index[index["faulty_bearing_and_sensor"] == ends]
    recordings = []
    for file, rows in index.groupby("file", sort=True):
        with np.load(folder / "cwru-12k" / str(file)) as arrays:
            for row in rows.itertuples():
                healthy = row[4] == "N"
                if healthy and not normal:
                    continue
                signal = arrays[row.key]
                if row.fs_hz == 48_000:
                    signal = resample_poly(signal.astype(np.float64), 1, 4)
                known = {
                    "kind": row[4],
                    "size": "" if healthy else row.fault_mil,
                    "load": row.load_hp,
                    "rpm": row.rpm,
                    "orders": SKF_6205 if ends == "DE" else SKF_6203,
                    "end": ends,
                }
                label = "healthy" if healthy else CWRU_KINDS[row[4]]
                recordings.append((f"{row.key}_{row.load_hp}", signal, label, known))
    return gather(recordings, length, step, 12_000)


def hit(folder: Path, length: int = 4096, step: int | None = None) -> WindowSet:
    """HIT-SM: seven classes at 600, 900 and 1200 rpm.

    Every window is standardised: the normal records were taken at another gain.
    """
    index = pd.read_csv(folder / "hit-sm-mfs-bearing" / "index.csv")
    with np.load(folder / "hit-sm-mfs-bearing" / "mfs.npz") as arrays:
        recordings = [
            (row.key, arrays[row.key], row[4], {"domain": row.rpm, "rpm": row.rpm, "orders": MFS_6205})
            for row in index.itertuples()
        ]
    return gather(recordings, length, step, 51_200).standardized()


def fan(folder: Path, length: int = 60, step: int | None = None) -> WindowSet:
    """Fan with weights on its blades: three classes at 17 speeds (20 to 100 %), three axes, 50 Hz."""
    frame = pd.read_csv(folder / "fan-accelerometer" / "accelerometer.csv.gz")
    recordings = [
        (f"{label}_{speed}", rows[["x", "y", "z"]].to_numpy().T, label, {"domain": speed})
        for (label, speed), rows in frame.groupby(["wconfid", "pctid"], sort=True)
    ]
    return gather(recordings, length, step, 50)


def motors(
    folder: Path, length: int = 256, step: int | None = None, classes: tuple[str, ...] = MOTOR_CLASSES
) -> WindowSet:
    """Two motors with the same faults, a phone's three axes on an even grid of 100 Hz.

    Time stamps come in steps of 16.8 ms that several rows share, about 99 rows a second: the rows of one stamp are
    spread evenly up to the next stamp, then interpolated. Five classes common to both motors: healthy (with its old and
    its new bearing), unbalance with two and with four weights, minor bearing damage, broken rotor bar; or `classes`.
    """
    records = pd.read_csv(folder / "motors-smartphone-vibration" / "records.csv")
    records = records[records["motor"].isin(["Motor_1", "Motor_2"]) & records["class"].isin(classes)]
    records = records.set_index("record")
    samples = pd.read_csv(folder / "motors-smartphone-vibration" / "samples.csv.gz")
    recordings = []
    for record, rows in samples[samples["record"].isin(records.index)].groupby("record", sort=True):
        row = records.loc[record]
        label = "healthy" if row["class"].startswith("healthy") else row["class"]
        signal = even_grid(rows["t_ms"].to_numpy() / 1000, rows[["x", "y", "z"]].to_numpy().T, 100)
        known = {"domain": row["motor"], "supply_hz": row["supply_hz"], "run": row["run"]}
        recordings.append((f"{row['motor']}_{record}", signal, label, known))
    return gather(recordings, length, step, 100)


def even_grid(time: np.ndarray, signal: np.ndarray, rate: float) -> np.ndarray:
    """`signal` (n_channels, n) at stamps `time` (s) that repeat, interpolated to `rate` samples a second."""
    stamps, first, count = np.unique(time, return_index=True, return_counts=True)
    gap = np.append(np.diff(stamps), np.median(np.diff(stamps)))
    within = np.arange(len(time)) - np.repeat(first, count)
    spread = np.repeat(stamps, count) + np.repeat(gap / count, count) * within
    grid = np.arange(spread[0], spread[-1], 1 / rate)
    return np.stack([np.interp(grid, spread, channel) for channel in signal])


def tep(folder: Path, length: int = 200, step: int = 50, analysers: bool = False) -> dict[int, WindowSet]:
    """Tennessee Eastman, modes 1 to 4: 26 classes (0 is normal; faults 1, 6, 7 left out), a row every 3 minutes.

    34 variables: XMEAS 1 to 22 and XMV 1 to 12, as in the published tables; analysers=True adds the 19 composition
    measurements (XMEAS 23 to 41). Steps of 50 give 25 windows a run of 72 h, 18 in the shortest run. Each window's
    rows are `info["start"]` to `info["start"] + length`, of `info["n_rows"]` rows in its run.
    """
    columns = np.arange(53) if analysers else np.r_[0:22, 41:53]
    modes = {}
    for mode in (1, 2, 3, 4):
        with np.load(folder / "tep-multimode" / f"mode{mode}.npz") as arrays:
            rows, fault = arrays["X"], arrays["fault"]
        recordings = [
            (
                f"{mode}_{fault_}",
                rows[fault == fault_][:, columns].T,
                int(fault_),
                {"n_rows": int(sum(fault == fault_))},
            )
            for fault_ in np.unique(fault)
            if fault_ not in TEP_LEFT_OUT
        ]
        modes[mode] = gather(recordings, length, step, 1 / 180)
        modes[mode].info["start"] = modes[mode].place * step
    return modes


def skab(folder: Path) -> dict[str, list[pd.DataFrame]]:
    """SKAB: for each group of faults its recordings, eight sensors and `anomaly`, about one row a second."""
    frame = pd.read_csv(folder / "skab" / "skab.csv.gz")
    frame = frame[frame["group"] != "anomaly-free"]
    return {
        str(group): [part.reset_index(drop=True) for _, part in rows.groupby("file", sort=True)]
        for group, rows in frame.groupby("group", sort=True)
    }
