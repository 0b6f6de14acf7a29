"""Write the sample of mode 4 that is installed with the package: every 15th row of each run.

From the root of the repository::

    python datasets/tep/sample.py

The same rows give the same bytes: the file holds no time stamp.
"""

import gzip
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "sktransfer" / "datasets" / "tep_mode4.csv.gz"
STEP = 15  # rows; 45 minutes


def sample():
    """Return the sampled rows as a DataFrame: with a step of 15, the rows at 0.75 h, 1.5 h and so on of each run."""
    rows = pd.read_csv(HERE / "mode4.csv.gz")
    return rows[rows.groupby("run").cumcount() % STEP == STEP - 1].reset_index(drop=True)


if __name__ == "__main__":
    SAMPLE.write_bytes(gzip.compress(sample().to_csv(index=False, lineterminator="\n").encode(), 9, mtime=0))
    print(f"{SAMPLE.name}: {SAMPLE.stat().st_size:,} bytes")
