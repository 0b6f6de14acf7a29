"""Simulate the Tennessee Eastman runs of some operating modes and write one CSV per mode.

    python datasets/tep/generate.py --modes 1 2 3 --out datasets/tep/generated --seed 0 --progress

Needs ``pip install tep-studio==0.2.0`` (which needs a C compiler). About 1.3 s a run on one core, 112 runs
a mode. Each run is written to ``OUT/parts`` as soon as it is simulated, so a command that was interrupted
goes on where it stopped. A run depends on (seed, mode, fault, run) only: ``--faults 4 --runs 1`` gives the
same first run of fault 4 as the whole command. ``--settle`` computes the modes' steady states
(settled.json) anew.
"""

import argparse
import gzip
import io
import json
import sys
from pathlib import Path

import pandas as pd

if __package__ in (None, ""):  # run as a script: make the repository root importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datasets import fingerprint
from datasets.tep import plant
from datasets.tep.columns import INPUT_NAMES, LABELS

MIN_ROWS = 20  # 1 h; a run that the plant ends sooner shows too little of its fault


def run_name(mode, fault, run):
    """Return the name of a run, such as ``m4-f02-r03``."""
    return f"m{mode}-f{fault:02d}-r{run:02d}"


def run_frame(mode, fault, run, *, seed=0, hours=12.0):
    """Simulate one run.

    Parameters
    ----------
    mode : int
        Operating mode, 1 to 4.
    fault : int
        Key of `LABELS`.
    run : int
        Number of the run, from 0.
    seed : int
        Seed of the whole data set.
    hours : float
        Length of the record, h. Shorter records are the start of longer ones.

    Returns
    -------
    DataFrame of shape (n_rows, 57)
        ``run``, ``mode``, ``hour``, the 53 inputs and ``label``.
    """
    rng = plant.run_generator(seed, mode, fault, run)
    hour, values, _ = plant.simulate(mode, fault, rng, hours=hours)
    frame = pd.DataFrame(values, columns=list(INPUT_NAMES))
    frame.insert(0, "run", run_name(mode, fault, run))
    frame.insert(1, "mode", mode)
    frame.insert(2, "hour", hour.round(2))
    frame["label"] = LABELS[fault]
    return frame


def write_atomically(path, data):
    """Write bytes so that `path` is either absent or whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)


def compress(text):
    """Return `text` as gzip bytes that depend on the text only: no time, no file name."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as stream:
        stream.write(text.encode("utf-8"))
    return buffer.getvalue()


def planned_runs(faults, runs, normal_runs):
    """Return (fault, run) pairs in the order of the CSV."""
    return [(fault, run) for fault in faults for run in range(runs if fault else normal_runs)]


def generate_mode(mode, pairs, *, out, seed, hours, report):
    """Simulate what is missing of a mode and write ``OUT/mode<mode>.csv.gz``; return the file's path."""
    # Seed, length and simulator are part of the folder's name: parts of another data set are never taken for this one.
    simulator = fingerprint.of(fingerprint.of_code(run_frame), plant.SETTLED_FILE.read_bytes())
    folder = Path(out) / "parts" / f"seed{seed}-{hours:g}h-{simulator[:12]}"
    texts = []
    for done, (fault, run) in enumerate(pairs, start=1):
        path = folder / f"{run_name(mode, fault, run)}.csv"
        if not path.exists():
            frame = run_frame(mode, fault, run, seed=seed, hours=hours)
            text = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
            write_atomically(path, text.encode("utf-8"))
        header, _, rows = path.read_text(encoding="utf-8").partition("\n")
        report(f"mode {mode}: {done}/{len(pairs)} runs ({path.stem}, {rows.count(chr(10))} rows)")
        if rows.count("\n") >= MIN_ROWS:
            texts.append(rows)
    target = Path(out) / f"mode{mode}.csv.gz"
    write_atomically(target, compress(header + "\n" + "".join(texts)))
    return target


def parse_arguments(arguments=None):
    """Return the command line as a namespace."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    modes = sorted(plant.MODES)
    parser.add_argument("--modes", type=int, nargs="+", default=modes, choices=modes)
    parser.add_argument("--faults", type=int, nargs="+", default=list(LABELS), choices=list(LABELS))
    parser.add_argument("--runs", type=int, default=8, help="runs of each fault in each mode (default 8)")
    parser.add_argument("--normal-runs", type=int, default=16, help="runs without a fault (default 16)")
    parser.add_argument("--hours", type=float, default=12.0, help="length of a run, h (default 12)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("generated"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--progress", action="store_true", help="a line on stderr, rewritten after each run")
    parser.add_argument("--settle", action="store_true", help="only compute settled.json anew (about 1 min)")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the command line."""
    options = parse_arguments(arguments)
    if options.settle:
        states = {str(mode): plant.settle(mode) for mode in sorted(plant.MODES)}
        write_atomically(plant.SETTLED_FILE, (json.dumps(states, indent=0) + "\n").encode("utf-8"))
        return

    def report(text):
        if options.progress:
            print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)

    pairs = planned_runs(options.faults, options.runs, options.normal_runs)
    common = {"out": options.out, "seed": options.seed, "hours": options.hours}
    for mode in options.modes:
        target = generate_mode(mode, pairs, report=report, **common)
        print(f"\n{target}: {target.stat().st_size / 1e6:.2f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
