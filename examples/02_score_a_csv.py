"""# Question: how does a monitoring job use the file?

A small batch job: one CSV in, one CSV out, an exit code that a scheduler understands::

    python examples/02_score_a_csv.py model.joblib rows.csv scored.csv [--time-column time --max-age 900] [--whole]

Exit codes: 0 every row of the input has its line in the output; 2 usage; 3 the input cannot be used; 4 the model file
cannot be used; 5 scored, but more than half of the rows had no data, the newest row is too old, or a stamp lies in the
future; 143 terminated, nothing written. The output appears when it is whole, so that two jobs may write the same. A
joblib file is a program: load only files you made.
"""

import argparse
import collections
import csv
import io
import os
import signal
import sys
import tempfile
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

HISTORIAN_WORDS = ["Bad Input", "I/O Timeout", "No Data", "Shutdown", "-1.#IND", "1.#QNAN"]

CLOCK_TOLERANCE = 60.0  # seconds


class Unusable(Exception):
    """The job cannot go on; carries the exit code."""

    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code = code


def read_rows(file: Path, whole: bool) -> tuple[pd.DataFrame, list[str]]:
    """The input, with the words of a historian and infinities as missing, and the names of columns that come twice.

    A row with another number of cells than the header has lost one or has one too many, and every later cell stands in
    the column of its neighbour. A line break must end the last line, unless `whole` says that it is complete.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
        records = [record for record in csv.reader(io.StringIO(text, newline=""), strict=True) if record]
        check_records(records)
        if not text.endswith(("\n", "\r")) and not whole:
            raise ValueError(
                "no line break ends the last line, so that it may be cut within a number. Write the file under another "
                "name and rename it when it is complete, or pass --whole if your writer leaves it out."
            )
        rows = pd.read_csv(io.StringIO(text), na_values=HISTORIAN_WORDS, index_col=False)
        if len(rows) != len(records) - 1:
            raise ValueError(f"{len(records) - 1} rows were written and {len(rows)} read; a line is damaged.")
    except UnicodeDecodeError as error:
        raise Unusable(3, f"{file}: it is no text in UTF-8 ({error}). Save it as CSV UTF-8.") from error
    except (OSError, ValueError, csv.Error) as error:  # pandas' parser errors are ValueErrors
        raise Unusable(3, f"{file}: {error}".strip()) from error
    twice = [name for name, count in collections.Counter(records[0]).items() if count > 1]
    return rows.replace([np.inf, -np.inf], np.nan), twice


def check_records(records: list[list[str]]) -> None:
    """Refuse rows that have lost or won a cell, and cells over several lines."""
    if not records:
        raise ValueError("the file is empty: there is no header and no row.")
    if len(records[0]) == 1 and any(mark in records[0][0] for mark in ";\t|"):
        raise ValueError(f"the header is one cell ({records[0][0][:40]!r} ...). Separate the cells by commas.")
    for number, record in enumerate(records[1:], start=1):
        if len(record) != len(records[0]):
            raise ValueError(
                f"row {number} has {len(record)} cells, the header {len(records[0])}. Look for a lost comma, a decimal "
                "comma, or a quote that is left open."
            )
        if any("\n" in cell or "\r" in cell for cell in record):
            raise ValueError(f"a cell of row {number} goes over several lines; a quote is left open.")


def load_model(file: Path):
    """The fitted pipeline, and the columns it was fitted on."""
    try:
        model = joblib.load(file)
        if not hasattr(model, "predict_proba"):
            raise Unusable(4, f"{file}: the model has no predict_proba, so that its answers have no confidence.")
        return model, list(model.feature_names_in_)
    except Unusable:
        raise
    except AttributeError as error:
        raise Unusable(4, f"{file}: the model was not fitted on named columns; fit it on a DataFrame.") from error
    except OSError as error:
        raise Unusable(4, f"{file}: {type(error).__name__}: {error}") from error
    except Exception as error:  # a damaged pickle raises anything; the job must say so in one line
        text = f"{file}: no fitted pipeline that joblib.dump wrote, or a damaged one"
        raise Unusable(4, f"{text} ({type(error).__name__}: {error})") from error


def score(model, columns: list[str], rows: pd.DataFrame, unusable: np.ndarray) -> pd.DataFrame:
    """One line a row: state, label and confidence.

    Rows with a missing cell abstain, and so do those that are `unusable`: no news is not good news.
    """
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise Unusable(3, f"the input lacks the columns {missing[:8]}; it has {list(rows.columns)[:8]} ...")
    X = rows[columns]
    for name in columns:
        text = X[name][[isinstance(value, str) for value in X[name]]]
        if len(text):
            bad = text[pd.to_numeric(text, errors="coerce").isna()]  # one bad cell makes text of its column
            bad = bad if len(bad) else text
            where = f"{bad.iloc[0]!r} in row {bad.index[0] + 1}"
            raise Unusable(3, f"column {name!r} holds the text {where}; it must hold numbers or be empty")
    usable = X.notna().all(axis=1).to_numpy() & ~unusable
    state = np.where(usable, "SCORED", "NO_DATA").astype(object)
    label, confidence = np.full(len(X), "", dtype=object), np.full(len(X), np.nan)
    if usable.any():
        probabilities = model.predict_proba(X[usable])
        label[usable] = model.classes_[probabilities.argmax(axis=1)]
        confidence[usable] = probabilities.max(axis=1)
    return pd.DataFrame({"row": np.arange(len(X)), "state": state, "label": label, "confidence": confidence})


def read_times(stamps: pd.Series) -> pd.Series:
    """Stamps in UTC; of ISO 8601 in any mixture of its forms, of others in the form of the first."""
    try:
        return pd.to_datetime(stamps, utc=True, format="ISO8601")
    except ValueError:
        return pd.to_datetime(stamps, utc=True)


def check_times(rows: pd.DataFrame, column: str, max_age: float) -> tuple[np.ndarray, bool]:
    """Which rows are stamped later than now, and whether the newest of the others is older than `max_age` seconds.

    Times without a zone are read as UTC. A clock that is a minute ahead is none in the future.
    """
    if column not in rows.columns:
        raise Unusable(3, f"the input has no time column {column!r}")
    try:
        times = read_times(rows[column])
    except (ValueError, TypeError, OverflowError) as error:
        raise Unusable(3, f"the time column {column!r} cannot be read: {error}") from error
    age = (pd.Timestamp.now(tz="UTC") - times).dt.total_seconds().to_numpy()
    future = age < -CLOCK_TOLERANCE
    past = age[~future & ~np.isnan(age)]
    return future, len(past) == 0 or past.min() > max_age


def write(result: pd.DataFrame, file: Path) -> None:
    """Write the whole file at once: what stood there stays until the new one is complete."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            result.to_csv(stream, index=False)
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(file.stat().st_mode & 0o777 if file.exists() else 0o666 & ~mask)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def run(options: argparse.Namespace) -> int:
    """Score the file; the exit code."""
    for given in (options.rows, options.model):
        if options.out.exists() and given.exists() and options.out.samefile(given):
            raise Unusable(2, f"the output {options.out} is the file {given} that is read; name another one")
    model, columns = load_model(options.model)
    rows, twice = read_rows(options.rows, options.whole)
    wanted = columns if options.max_age is None else [*columns, options.time_column]
    if both := [name for name in wanted if name in twice]:
        raise Unusable(3, f"the input has the columns {both} more than once; nobody knows which one is meant")
    late, future = False, np.zeros(len(rows), dtype=bool)
    if len(rows) > 0 and options.max_age is not None:
        future, late = check_times(rows, options.time_column, options.max_age)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = score(model, columns, rows, np.ones(len(rows), dtype=bool) if late else future)
    write(result, options.out)
    for warning in sorted({str(w.message) for w in caught}):
        print(f"warning: {warning}", file=sys.stderr)
    if future.any():
        print(f"warning: {future.sum()} rows are stamped in the future and have no data", file=sys.stderr)
    n_scored = int((result["state"] == "SCORED").sum())
    print(f"{len(result)} rows, {n_scored} scored, {len(result) - n_scored} without data -> {options.out.name}")
    return 5 if len(result) and (late or future.any() or n_scored < len(result) / 2) else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Score a CSV with a fitted pipeline.")
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--time-column", default="time")
    parser.add_argument("--max-age", type=float, help="seconds; older input is no data")
    parser.add_argument("--whole", action="store_true", help="the last line is complete without a line break")
    terminated = []

    def terminate(number, frame):
        terminated.append(number)
        sys.exit(128 + number)  # so that what is half done is undone

    signal.signal(signal.SIGTERM, terminate)
    try:
        return run(parser.parse_args(arguments))
    except Exception as error:
        if terminated:  # a parser that was interrupted raises anything
            return 128 + terminated[0]
        if not isinstance(error, Unusable | OSError | ValueError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return getattr(error, "code", 3)


if __name__ == "__main__":
    sys.exit(main())
