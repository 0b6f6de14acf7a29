"""Rows of the speed benchmark with this checkout and with another one, in turn: what did a change cost or bring?

    OMP_NUM_THREADS=1 python -m benchmarks.speed.against ../before [--rows NAME ...] [--rounds 5] [--out against.json]

Only our own methods run. For each row two processes are started, one that imports the package of this checkout and one
that imports that of the other. Both run the benchmark of this checkout, and take turns in each round. A ratio is the
median of the ratios within a round, so that a machine which gets slower slows both. `--quick` shows that everything
runs; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.speed import measure
from benchmarks.speed.__main__ import ROWS
from benchmarks.speed.measure import OURS, markdown, paired_ratio, shown
from benchmarks.speed.problem import Settings, silence

ROOT = Path(__file__).resolve().parents[2]
NOW, BEFORE = "now", "before"


def serve(row: str, settings: Settings) -> None:
    """Run our methods of one row, a round for each line that comes in; the samples as JSON in the end."""
    silence()
    measure.TAKES_PART = lambda name: name.startswith(OURS)
    measure.BEFORE_ROUND = _wait
    results = ROWS[row](settings)
    print(json.dumps([{"row": r.row, "unit": r.unit, "samples": r.samples} for r in results]), flush=True)


def _wait() -> None:
    """Say that the last round is over, and wait until the next one may begin."""
    print("ready", flush=True)
    sys.stdin.readline()


@contextmanager
def started(checkout: Path, row: str, settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A process that serves `row` with the package of `checkout`."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sktransfer").symlink_to(checkout.resolve() / "sktransfer", target_is_directory=True)
        paths = os.pathsep.join([folder, str(ROOT)])  # the package first, the benchmarks of this checkout after it
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.speed.against", str(checkout), "--serve", row]
        command += ["--rounds", str(settings.repeats), *(["--quick"] if settings.quick else [])]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def answer_of(process: subprocess.Popen[str]) -> str:
    """The next line of the protocol."""
    for line in process.stdout or ():
        if line.startswith(("ready", "[")):
            return line.strip()
    raise RuntimeError("A process of the comparison ended early; its error is printed above.")


def go(process: subprocess.Popen[str]) -> str:
    """Let one round run; the answer after it."""
    if process.stdin is not None:
        process.stdin.write("go\n")
        process.stdin.flush()
    return answer_of(process)


def compare(row: str, other: Path, settings: Settings) -> list[dict]:
    """Samples of one row by both checkouts, round by round."""
    with started(ROOT, row, settings) as now, started(other, row, settings) as before:
        answers = {NOW: answer_of(now), BEFORE: answer_of(before)}
        while answers[NOW] == "ready":
            for name, process in ((NOW, now), (BEFORE, before)):
                answers[name] = go(process)
        parts = zip(json.loads(answers[NOW]), json.loads(answers[BEFORE]), strict=True)
        return [
            {"row": a["row"], "unit": a["unit"], "method": name, NOW: a["samples"][name], BEFORE: b["samples"][name]}
            for a, b in parts
            for name in a["samples"]
            if name.startswith(OURS) and a["samples"][name] and b["samples"].get(name)
        ]


def table(records: Sequence[dict]) -> str:
    """Medians of both, the median of the paired ratios, and the smallest and largest ratio of a round."""
    lines = []
    for record in records:
        ratios = [a / b for a, b in zip(record[NOW], record[BEFORE], strict=True)]
        medians = [shown(statistics.median(record[side]), record["unit"]) for side in (BEFORE, NOW)]
        ratio = f"{paired_ratio(record[NOW], record[BEFORE]):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append([record["row"], record["method"], *medians, ratio])
    return markdown(["row", "method", "before", "now", "now / before (smallest to largest)"], lines)


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("other", type=Path, help="root of the other checkout")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), metavar="NAME", default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few rows, few epochs: only shows that everything runs")
    parser.add_argument("--out", type=Path, help="file for the raw figures, JSON")
    parser.add_argument("--serve", choices=list(ROWS), metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    settings = Settings(options.quick, options.rounds)
    if options.serve:
        serve(options.serve, settings)
        return []
    records: list[dict] = []
    for row in options.rows:
        found = compare(row, options.other, settings)
        records += found
        print(table(found).split("\n", 2)[2], file=sys.stderr, flush=True)
        if options.out:
            options.out.write_text(json.dumps(records, indent=1), encoding="utf-8")
    print(table(records))
    return records


if __name__ == "__main__":
    main()
