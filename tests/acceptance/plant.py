"""A plant of two machines in files, for the tests of the command line and of the job."""

import numpy as np
import pandas as pd

BEGIN = pd.Timestamp("2026-03-28 22:00", tz="UTC")
CONFIG = """
[table]
machine = "pump"
[table.time]
name = "time"
[table.sensors]
p = "bar"
T = "C"
[model]
kind = "detector"
[alarms]
alarms_per_day = 0.1
[limits]
p = [0, 400]
"""


def table(seed, n, begin, fault=None):
    """Two machines, one row a minute; from row `fault` on a sensor of the second one is 9 too high."""
    rng, frames = np.random.default_rng(seed), []
    for name, level in (("007", 100), ("=b", 50)):
        frame = pd.DataFrame(rng.normal(size=(n, 2)) + [level, 5], columns=["p", "T"])
        frames.append(frame.assign(time=begin + pd.Timedelta(minutes=1) * np.arange(n), pump=name))
    if fault is not None:
        frames[1].loc[fault:, "p"] += 9
    return pd.concat(frames)


def write(frame, path):
    """The frame as CSV, and its path."""
    frame.to_csv(path, index=False)
    return path
