"""Model files: what is left of a killed writer, what becomes of flipped bits, and how long a job waits for its model.

``python -m benchmarks.files`` prints the tables of files.md, ``python -m benchmarks.files starts`` one of them (kills,
damage, starts). It needs fork, and takes some minutes.
"""

import io
import os
import pickle
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import skops.io

from sktransfer import (
    BaselineScaler,
    ModelFileError,
    TransferClassifier,
    load,
    load_backbone,
    load_tep_mode4,
    make_pipeline,
    save,
)

N_KILLS, N_FLIPS, N_CUTS, N_STARTS = 100, 400, 60, 5
WRITERS = {
    "sktransfer.save": save,
    "joblib.dump": joblib.dump,
    "skops.io.dump": skops.io.dump,
}
SCORE = """
import numpy as np, sktransfer
model = sktransfer.load({path!r})
assert model.predict(np.load({rows!r})).shape == (1000,)
"""
STARTS = {
    "import sklearn": "import sklearn",
    "sktransfer.load, score 1,000 rows": SCORE,
    "joblib.load, score 1,000 rows": SCORE.replace("sktransfer.load({path!r}", "joblib.load({other!r}").replace(
        "numpy as np, sktransfer", "joblib, numpy as np"
    ),
    "import skops.io": "import skops.io",
}


def read_skops(path):
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


READERS = {"sktransfer.save": load, "joblib.dump": joblib.load, "skops.io.dump": read_skops}


def median_ms(function, *arguments):
    """Milliseconds that a call takes, the median of five."""
    found = []
    for _ in range(5):
        start = time.perf_counter()
        function(*arguments)
        found.append(1000 * (time.perf_counter() - start))
    return statistics.median(found)


def kills(model, rows, expected, write, read, path, n_kills):
    """How many of `n_kills` writers that are killed at a random moment leave a file that cannot be read."""
    draw, n_unreadable = random.Random(0), 0
    write(model, path)
    start = time.perf_counter()
    write(model, path)
    longest = 4 * (time.perf_counter() - start)
    for _ in range(n_kills):
        child = os.fork()
        if child == 0:
            while True:
                write(model, path)
        time.sleep(draw.uniform(0.005, 0.005 + longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        try:
            n_unreadable += not np.array_equal(read(path).predict_proba(rows), expected)
        except Exception:  # of a half-written pickle or zip: a dozen kinds, each is "unreadable"
            n_unreadable += 1
    return n_unreadable


def damages(content, rows, expected, read, path, draw):
    """Of files with one flipped bit: refused, loaded and right, loaded and other answers; and of cut files: refused."""
    path.write_bytes(content)
    if not np.array_equal(read(path).predict_proba(rows), expected):
        raise RuntimeError("the undamaged file does not answer as its model did")
    found = {"refused": 0, "same": 0, "other": 0, "cuts": 0}
    damaged = bytearray(content)
    for place in draw.sample(range(8 * len(content)), N_FLIPS):
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        damaged[place // 8] ^= 1 << place % 8
        try:
            same = np.array_equal(read(path).predict_proba(rows), expected)
        except Exception:  # whatever a reader raises is a refusal
            found["refused"] += 1
        else:
            found["same" if same else "other"] += 1
    for end in np.linspace(0, len(content) - 1, N_CUTS).astype(int):
        path.write_bytes(content[:end])
        try:
            read(path)
        except Exception:  # as above
            found["cuts"] += 1
    return found


def bombs(folder):
    """How many of the pickles that leave a mark do so when `load` is given them, and how many it refuses."""
    mark, path, n_refused, contents = folder / "mark", folder / "bomb.skops", 0, []

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (mark,))

    for protocol in range(6):
        contents.append(pickle.dumps(Bomb(), protocol))
    for compress in (0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3)):
        stream = io.BytesIO()
        joblib.dump(Bomb(), stream, compress=compress)
        contents.append(stream.getvalue())
    for content in contents:
        path.write_bytes(content)
        try:
            load(path)
        except ModelFileError:
            n_refused += 1
    return len(contents), n_refused, mark.exists()


def cold_starts(**names):
    """Seconds of wall time and of the processor from the start of a process to its end, `N_STARTS` times, in turn."""
    found = {title: ([], []) for title in STARTS}
    for _ in range(N_STARTS):
        for title, code in STARTS.items():
            start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-W", "ignore", "-c", code.format(**names)], check=True)
            now = resource.getrusage(resource.RUSAGE_CHILDREN)
            found[title][0].append(time.perf_counter() - start)
            found[title][1].append(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
    return found


def print_kills(model, rows, expected, folder):
    print("| writer | bytes | save, ms | load, ms | killed | unreadable after |\n|---|---|---|---|---|---|")
    for title, write in WRITERS.items():
        path, read = folder / f"{title}.file", READERS[title]
        write(model, path)
        n_bytes, slow, quick = path.stat().st_size, median_ms(write, model, path), median_ms(read, path)
        n_unreadable = kills(model, rows, expected, write, read, path, N_KILLS)
        print(f"| `{title}` | {n_bytes:,} | {slow:.0f} | {quick:.0f} | {N_KILLS} | {n_unreadable} |", flush=True)


def print_damage(model, rows, expected, folder):
    print(f"\n| reader | {N_FLIPS} flipped bits: refused | same answers | other answers | {N_CUTS} cuts: refused |")
    print("|---|---|---|---|---|")
    for title, write in WRITERS.items():
        path = folder / f"{title}.file"
        write(model, path)
        found = damages(path.read_bytes(), rows, expected, READERS[title], path, random.Random(1))
        print(f"| `{title}` | {' | '.join(str(value) for value in found.values())} |", flush=True)
    n_bombs, n_refused, ran = bombs(folder)
    print(f"\n{n_refused} of {n_bombs} hostile pickles refused by `load`; code ran: {'yes' if ran else 'no'}.\n")


def print_starts(model, rows, expected, folder):
    path, other, table = folder / "model.skops", folder / "model.joblib", folder / "rows.npy"
    save(model, path)
    joblib.dump(model, other)
    np.save(table, rows)
    print(f"| process, from start to end, median of {N_STARTS} | wall, s | ratio | processor, s | ratio |")
    print("|---|---|---|---|---|")
    first = None
    for title, found in cold_starts(path=str(path), rows=str(table), other=str(other)).items():
        wall, used = map(statistics.median, found)
        first = first or (wall, used)
        print(f"| {title} | {wall:.2f} | {wall / first[0]:.2f} | {used:.2f} | {used / first[1]:.2f} |", flush=True)


def main():
    warnings.simplefilter("ignore")
    plant = load_tep_mode4()
    X, y = plant.data, plant.target
    backbone = load_backbone("tep-process")
    model = make_pipeline(BaselineScaler(normal_label="normal"), TransferClassifier(backbone, random_state=0)).fit(X, y)
    rows = np.resize(np.asarray(X), (1000, X.shape[1]))
    expected = model.predict_proba(rows)
    parts = {"kills": print_kills, "damage": print_damage, "starts": print_starts}
    with tempfile.TemporaryDirectory() as name:
        for part in sys.argv[1:] or parts:
            parts[part](model, rows, expected, Path(name))


if __name__ == "__main__":
    main()
