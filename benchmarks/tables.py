"""Time and memory of `read_table` and `iter_tables` beside plain pandas, on the same files.

    python -m benchmarks.tables [--rows 1000000] [--rounds 5] [--megabytes 200 600]

The file: one column of ISO time stamps in UTC, 20 sensors with four decimals. Time: seconds of CPU of one process, the
whole file to one object, rounds in turn; the figure is the median, and of ratios the median over rounds. pandas does
less: no check of fields, encodings, words, order of time, repetitions and gaps; once it also parses the time stamps.
Memory: the largest resident set of a process that does nothing else, as Linux tells it, less that after its imports.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from sktransfer import TableFormat, TimeColumn, read_table

SENSORS = 20
PART = 50_000  # rows that are made once; the rest of a file repeats them on other days
FORMAT = TableFormat(time=TimeColumn("t"))

WITH_WORDS = "with a state in each 100th row"
WAYS: dict[str, Callable[[Path], object]] = {
    "pandas.read_csv": pd.read_csv,
    "pandas.read_csv(parse_dates)": lambda path: pd.read_csv(path, parse_dates=["t"]),
    "read_table": lambda path: read_table(path, FORMAT),
}
MEMORY = """
import sys
import pandas as pd
from sktransfer import TableFormat, TimeColumn, iter_tables, read_table

def peak():
    with open("/proc/self/status") as status:  # getrusage begins with the peak of the parent
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1e3

path, how = sys.argv[1:]
timed = TableFormat(time=TimeColumn("t"))
before = peak()
if how == "iter_tables":
    for table in iter_tables(path, timed):
        pass
elif how == "read_table":
    read_table(path, timed)
elif how == "pandas, chunks":
    for frame in pd.read_csv(path, chunksize=100_000):
        pass
else:
    pd.read_csv(path)
print(peak() - before)
"""


def make(path: Path, n_rows: int | None = None, megabytes: int | None = None, *, words: bool = False) -> int:
    """Write a file of so many rows, or of about so many megabytes; the number of rows."""
    times = pd.date_range("2020-01-01", periods=PART, freq="1s", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    values = np.random.default_rng(0).normal(50, 10, (PART, SENSORS)).round(4)
    frame = pd.DataFrame(values, index=times, columns=[f"s{i}" for i in range(SENSORS)])
    if words:
        frame = frame.astype(object)
        frame.iloc[::100, 3] = "Bad Input"
    header, body = frame.to_csv(index_label="t").encode().split(b"\n", 1)
    n_parts = -(-n_rows // PART) if n_rows else round(megabytes * 1e6 / len(body))
    with path.open("wb") as stream:
        stream.write(header + b"\n")
        for day in pd.date_range("2020-01-01", periods=n_parts, freq="1D"):
            stream.write(body.replace(b"2020-01-01", f"{day:%Y-%m-%d}".encode()))
    return n_parts * PART


def seconds(read: Callable[[Path], object], path: Path) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    read(path)
    return time.process_time() - began


def compare_times(path: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way and round; the order changes from round to round."""
    names = list(WAYS)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % 3 :] + names[: number % 3]:
            found[name].append(seconds(WAYS[name], path))
    return found


def print_times(title: str, found: dict[str, list[float]]) -> None:
    """One row of the table a way."""
    for name, times in found.items():
        plain, dated = (
            statistics.median(a / b for a, b in zip(times, found[other], strict=True)) for other in list(WAYS)[:2]
        )
        print(f"| {title} | `{name}` | {statistics.median(times):.2f} | {plain:.2f} | {dated:.2f} |", flush=True)


def memory(path: Path, how: str) -> float:
    """Megabytes that one way of reading needs beside its imports."""
    done = subprocess.run([sys.executable, "-c", MEMORY, path, how], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, nargs=2, default=[200, 600])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plant.csv")
        print("| file | way | CPU s | of plain pandas | of pandas with time stamps |\n|---|---|---|---|---|")
        for words in (False, True):
            n_rows = make(path, arguments.rows, words=words)
            title = f"{n_rows} rows, {path.stat().st_size / 1e6:.0f} MB" + words * f", {WITH_WORDS}"
            print_times(title, compare_times(path, arguments.rounds))
        found: dict[str, list[float]] = {}
        sizes = []
        for megabytes in arguments.megabytes:
            make(path, megabytes=megabytes)
            sizes.append(path.stat().st_size / 1e6)
            for how in ("iter_tables", "pandas, chunks", "read_table", "pandas"):
                found.setdefault(how, []).append(memory(path, how))
    print(f"\n| way | {sizes[0]:.0f} MB | {sizes[1]:.0f} MB | 5000 MB, extrapolated |\n|---|---|---|---|")
    for how, (small, large) in found.items():
        slope = max(0.0, (large - small) / (sizes[1] - sizes[0]))
        print(f"| {how} | {small:.0f} | {large:.0f} | {large + slope * (5000 - sizes[1]):.0f} |")


if __name__ == "__main__":
    main()
