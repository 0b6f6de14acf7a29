"""The sets of the adaptation benchmarks as `Task`s: `SCORED`, and `DEVELOPMENT` for choices.

| set | source -> target | labels | split | scaling |
|---|---|---|---|---|
| cstr | domain 0 -> six wrong models | n a class | each draw halves each class | own |
| hit | speed -> speed, hand features | n a class | halves of each recording, one window of gap | own |
| gas | batch 1 -> seven later ones | n in all | each draw halves; transductive: what is not labelled is scored | own |
| tep-rows | modes -> mode, nine classes | n a class | halves of each run | healthy |
| tep-windows | three modes -> the fourth, 26 classes | n a class | first third of each run, later windows | own |
| mnist-usps | MNIST -> USPS, 16 x 16 | none | each draw halves each class | none |
| cmapss | FD001 -> FD003, remaining cycles up to 125 | n engines | each draw halves FD003's training engines | source |
| turbine | 2011 and 2012 -> 2013, 2014, 2015, NOx | first n hours | first 200 hours, the rest of the year | source |

TEP has one run a class and HIT-SM one recording: there are no groups to split by there, only time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, permutations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.adaptation_tasks import Task, numbered
from benchmarks.defaults import TASKS as TEP_DEVELOPMENT
from benchmarks.tag_tasks import DEVELOPMENT as TAG_DEVELOPMENT
from benchmarks.tag_tasks import cut
from benchmarks.tasks import GAS_BATCHES, TEP_FAULTS, TEP_TASKS, tep_mode
from benchmarks.windows.development import FAN_SPEEDS
from benchmarks.windows.features import hand_features, window_statistics
from benchmarks.windows.few_labels import label_part
from benchmarks.windows.few_labels import tasks as window_tasks
from benchmarks.windows.loaders import WindowSet, fan, tep
from benchmarks.windows.ours_process import raw_tag_features
from benchmarks.windows.process import thirds

CYCLES = 30  # rows of a window of C-MAPSS, of which every `STEP`-th is cut
STEP = 5
MOST_CYCLES = 125  # remaining life above this is not told apart, as in most of the literature
HOURS = 200  # labelled at the start of a turbine's year


def cstr(folder: Path) -> Iterator[Task]:
    """The true model of a reactor to six wrong ones."""
    frame = pd.read_csv(folder / "cstr-tanks-simulated" / "cstr_acf_7domains.csv.gz")
    parts = [_reactor(frame[frame["domain"] == number]) for number in range(7)]
    for number in range(1, 7):
        yield _cstr_task(parts[0], parts[number], f"0 -> {number}")


def cstr_development(folder: Path) -> Iterator[Task]:
    """One condition of the grid to five others: its labels do not mean the same as those of the seven domains."""
    grid = pd.read_csv(folder / "cstr-tanks-simulated" / "cstr_acf_shift_grid.csv.gz")

    def condition(noise: float, order: float) -> tuple[np.ndarray, np.ndarray]:
        return _reactor(grid[np.isclose(grid["param_noise"], noise) & np.isclose(grid["reaction_order"], order)])

    source = condition(0.1, 1.0)
    for noise, order in ((0.3, 1.0), (0.15, 0.25), (0.15, 0.75), (0.15, 1.25), (0.15, 1.75)):
        yield _cstr_task(source, condition(noise, order), f"noise 0.1 -> noise {noise}, order {order}")


def _reactor(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    columns = [name for name in frame.columns if name.startswith("acf")]
    return frame[columns].to_numpy(np.float64), frame["fault"].to_numpy(np.int64)


def _cstr_task(source: tuple, target: tuple, name: str) -> Task:
    one = np.ones(len(source[1]), dtype=np.int64)
    return Task("cstr", name, *source, one, *target, normal_label=0)


def gas(folder: Path, pairs=tuple((1, batch) for batch in GAS_BATCHES)) -> Iterator[Task]:
    """Batches of a sensor array that ages; no class is healthy."""
    frame = pd.read_csv(folder / "gas-sensor-drift" / "gas_drift_8batches.csv.gz")
    sensors = [name for name in frame.columns if name.startswith("s") and "_f" in name]
    rows = {
        int(number): (part[sensors].to_numpy(np.float64), part["gas"].to_numpy(np.int64) - 1)
        for number, part in frame.groupby("batch")
    }
    for source, target in pairs:
        one = np.ones(len(rows[source][1]), dtype=np.int64)
        how = {"metric": "accuracy", "count": "total", "n_labels": (0, 20, 50)}
        yield Task("gas", f"batch {source} -> {target}", *rows[source], one, *rows[target], **how)


def gas_development(folder: Path) -> Iterator[Task]:
    """To batch 1, which is never a target of `SCORED`."""
    return gas(folder, ((2, 1), (3, 1), (6, 1)))


def tep_rows(folder: Path, faults=TEP_FAULTS, tasks=TEP_TASKS, name: str = "") -> Iterator[Task]:
    """Rows of operating modes; the first half of each healthy run scales its mode."""
    modes = {mode: tep_mode(folder, mode, faults) for mode in (1, 2, 3, 4)}
    for sources, target in tasks:
        X, y, first = (np.concatenate([modes[mode][i] for mode in sources]) for i in range(3))
        domain = np.concatenate([np.full(len(modes[mode][1]), mode) for mode in sources])
        X_target, y_target, pool = modes[target]
        classes, (y, y_target) = numbered(y, y_target)
        yield Task(
            *("tep-rows", f"{'+'.join(map(str, sources))} -> {target}{name}", X, y, domain, X_target, y_target),
            **{"pool": pool, "scored": ~pool, "normal_label": 0, "healthy_source": first & (y == 0)},
            **{"healthy_target": pool & (y_target == 0), "scaling": "healthy", "classes": classes},
            n_labels=(1, 5, 20),
        )


def tep_rows_development(folder: Path) -> Iterator[Task]:
    """Faults that the scored tasks do not have, but for normal."""
    for faults, pair in TEP_DEVELOPMENT:
        yield from tep_rows(folder, faults, (pair,), f", faults to {max(faults)}")


def tep_windows(folder: Path) -> Iterator[Task]:
    """Features by tag of the shipped network "process"; each mode's windows are scaled by its healthy ones first.

    Of the target, these are the healthy windows of the pool.
    """
    modes = tep(folder)
    features = {}
    for mode, windows in modes.items():
        early, _ = thirds(windows)
        healthy = windows.y == 0
        X = np.asarray(windows.X)
        features[mode] = [raw_tag_features(X, healthy), raw_tag_features(X, healthy & early)]
    for target, windows in modes.items():
        sources = [mode for mode in modes if mode != target]
        y = np.concatenate([modes[mode].y for mode in sources])
        domain = np.concatenate([np.full(len(modes[mode].y), mode) for mode in sources])
        classes, (y, y_target) = numbered(y, windows.y)
        pool, scored = thirds(windows)
        yield Task(
            *("tep-windows", f"{'+'.join(map(str, sources))} -> {target}"),
            *(np.concatenate([features[mode][0] for mode in sources]), y, domain, features[target][1], y_target),
            **{"pool": pool, "scored": scored, "normal_label": 0, "clip": 5.0, "classes": classes},
            healthy_target=pool & (y_target == 0),
        )


def hit(folder: Path) -> Iterator[Task]:
    """HIT-SM from speed to speed."""
    for name, (source, target) in window_tasks(folder, ("hit",)).items():
        yield _signal_task("hit", name, source, target)


def fan_development(folder: Path) -> Iterator[Task]:
    """The fan at speeds that the table of windows leaves out."""
    data = fan(folder)
    speed = data.info["domain"].to_numpy()
    for source, target in permutations(FAN_SPEEDS, 2):
        yield _signal_task("fan", f"fan {source} -> {target}", data[speed == source], data[speed == target])


def _signal_task(name: str, title: str, source: WindowSet, target: WindowSet) -> Task:
    """Hand features; the halves of each recording of the target, one window of gap."""
    classes, (y, y_target) = numbered(source.y, target.y)
    pool, scored = label_part(target, by_recording=False)
    X, X_target = hand_features(source.X), hand_features(target.X)
    healthy = next((i for i, label in enumerate(classes) if label in ("N", "healthy")), None)
    one = np.ones(len(y), dtype=np.int64)
    how = {"pool": pool, "scored": scored, "normal_label": healthy, "classes": classes}
    return Task(name, title, X, y, one, X_target, y_target, **how)


def tags_development(folder: Path, names=("cmapss", "gas-turbine", "motor")) -> Iterator[Task]:
    """Windows of `tag_tasks.DEVELOPMENT` as features by tag of the shipped network "process"."""
    for name in names:
        for task in TAG_DEVELOPMENT[name](folder):
            n_pool = len(task.pool[1])
            X_target = raw_tag_features(np.concatenate([task.pool[0], task.scored[0]]))
            y, y_target = task.source[1], np.concatenate([task.pool[1], task.scored[1]])
            classes, (y, y_target) = numbered(y, y_target)
            pool = np.arange(len(y_target)) < n_pool
            one = np.ones(len(y), dtype=np.int64)
            how = {"pool": pool, "scored": ~pool, "clip": 5.0, "classes": classes}
            yield Task(
                f"{name}-windows", task.name, raw_tag_features(task.source[0]), y, one, X_target, y_target, **how
            )


def digits(folder: Path, reverse: bool = False) -> Iterator[Task]:
    """Images of one channel, (n, 1, 16, 16), 0 to 1; MNIST is averaged down to the size of USPS."""
    parts = []
    for file in ("mnist_5k_28x28.npz", "usps_all_16x16.npz"):
        with np.load(folder / "mnist-usps" / file) as data:
            X, y = data["X"].astype(np.float64) / 255, data["y"].astype(np.int64)
        weights = _averaging(X.shape[1], 16)
        parts.append((np.einsum("ij,njk,lk->nil", weights, X, weights)[:, None].astype(np.float32), y))
    (X, y), (X_target, y_target) = parts[::-1] if reverse else parts
    title = "USPS -> MNIST" if reverse else "MNIST -> USPS"
    one = np.ones(len(y), dtype=np.int64)
    yield Task("mnist-usps", title, X, y, one, X_target, y_target, n_labels=(0,), scaling="none", metric="accuracy")


def _averaging(n: int, m: int) -> np.ndarray:
    """Matrix (m, n) that averages n pixels to m, each by the share of it that lies inside."""
    edges, pixels = np.linspace(0, n, m + 1), np.arange(n)
    inside = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(inside, 0, None) * m / n


def digits_development(folder: Path) -> Iterator[Task]:
    """The other way."""
    return digits(folder, reverse=True)


def cmapss(folder: Path, source: str = "FD001", target: str = "FD003") -> Iterator[Task]:
    """Remaining cycles of engines that ran to failure; statistics of 30 cycles of each sensor that moves."""
    frame = pd.read_csv(folder / "cmapss-fd001-fd003" / "cmapss.csv.gz")
    frame = frame[frame["split"] == "train"]
    columns = [f"s{i}" for i in range(1, 22) if frame.groupby("subset")[f"s{i}"].std().min() > 1e-9]
    (X, y, groups), (X_target, y_target, groups_target) = (
        _engines(frame[frame["subset"] == subset], columns) for subset in (source, target)
    )
    last = np.r_[groups_target[1:] != groups_target[:-1], True]
    healthy = {"healthy_source": _first(groups), "healthy_target": _first(groups_target)}
    yield Task(
        *("cmapss", f"{source} -> {target}", X, y, np.ones(len(y), dtype=np.int64), X_target, y_target),
        **{"groups_source": groups, "groups_target": groups_target, "kind": "regression", "metric": "RMSE"},
        **{"count": "group", "n_labels": (5, 10), "scaling": "source", "last": last},
        **healthy,
    )


def _first(groups: np.ndarray) -> np.ndarray:
    """The first window of each engine."""
    return np.r_[True, groups[1:] != groups[:-1]]


def _engines(frame: pd.DataFrame, columns: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y, groups = [], [], []
    for unit, rows in frame.groupby("unit", sort=True):
        begin = (len(rows) - CYCLES) % STEP  # the last window ends with the last cycle
        windows = cut(rows[columns].to_numpy(np.float64)[begin:], CYCLES, STEP)
        X.append(window_statistics(windows))
        y.append(np.minimum(rows["rul"].to_numpy(np.float64)[begin + CYCLES - 1 :: STEP], MOST_CYCLES))
        groups.append(np.full(len(windows), int(unit)))
    return np.concatenate(X), np.concatenate(y), np.concatenate(groups)


def cmapss_development(folder: Path) -> Iterator[Task]:
    """The other way."""
    return cmapss(folder, "FD003", "FD001")


def turbine(folder: Path, sources=(2011, 2012), targets=(2013, 2014, 2015), output: str = "NOX") -> Iterator[Task]:
    """Hourly rows of a year after others; nothing but its first hours is known, and they are labelled."""
    frame = pd.read_csv(folder / "gas-turbine-emissions" / "gas_turbine.csv.gz")
    columns = [name for name in frame.columns if name not in ("year", "CO", "NOX")]
    source = frame[frame["year"].isin(sources)]
    domain = source["year"].to_numpy() - min(sources) + 1
    for year in targets:
        rows = frame[frame["year"] == year]
        pool = np.arange(len(rows)) < HOURS
        yield Task(
            *("turbine", f"{'+'.join(map(str, sources))} -> {year}, {output}", source[columns].to_numpy(np.float64)),
            *(source[output].to_numpy(np.float64), domain, rows[columns].to_numpy(np.float64)),
            *(rows[output].to_numpy(np.float64), pool, ~pool),
            **{"kind": "regression", "metric": "MAE", "count": "first", "n_labels": (HOURS,), "scaling": "source"},
        )


def turbine_development(folder: Path) -> Iterator[Task]:
    """2011 to 2012, both emissions."""
    for output in ("NOX", "CO"):
        yield from turbine(folder, (2011,), (2012,), output)


Loader = Callable[[Path], Iterator[Task]]
SCORED: dict[str, Loader] = {
    "cstr": cstr,
    "hit": hit,
    "gas": gas,
    "tep-rows": tep_rows,
    "tep-windows": tep_windows,
    "mnist-usps": digits,
    "cmapss": cmapss,
    "turbine": turbine,
}
DEVELOPMENT: dict[str, Loader] = {
    "cstr": cstr_development,
    "fan": fan_development,
    "gas": gas_development,
    "tep-rows": tep_rows_development,
    "tags": tags_development,
    "mnist-usps": digits_development,
    "cmapss": cmapss_development,
    "turbine": turbine_development,
}


def tasks_of(folder: Path, name: str, n_tasks: int | None = None, *, development: bool = False) -> Iterator[Task]:
    """The first `n_tasks` of a set; none, with a line that says so, where its data are not there."""
    missing = [part for part in FOLDERS[name] if not (folder / part).is_dir()]
    if missing:
        print(f"{name}: no {missing} in {folder}", flush=True)
        return
    yield from islice((DEVELOPMENT if development else SCORED)[name](folder), n_tasks)


FOLDERS = {
    "cstr": ("cstr-tanks-simulated",),
    "hit": ("hit-sm-mfs-bearing",),
    "fan": ("fan-accelerometer",),
    "gas": ("gas-sensor-drift",),
    "tep-rows": ("tep-multimode",),
    "tep-windows": ("tep-multimode",),
    "mnist-usps": ("mnist-usps",),
    "cmapss": ("cmapss-fd001-fd003",),
    "turbine": ("gas-turbine-emissions",),
    "tags": ("cmapss-fd001-fd003", "gas-turbine-emissions", "motors-smartphone-vibration"),
}
