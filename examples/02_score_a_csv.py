"""# Question: how does a monitoring job use the file?

A small batch job: one CSV in, one CSV out, an exit code that a scheduler understands::

    python examples/02_score_a_csv.py model.joblib rows.csv scored.csv [--time-column time --max-age 900]

Exit codes: 0 scored; 2 usage; 3 the input cannot be used; 4 the model file cannot be used; 5 scored, but more than
half of the rows had no data, or the newest row is too old; 143 terminated, nothing written. A joblib file is a
program: load only files you made.
"""

import argparse
import signal
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

HISTORIAN_WORDS = ["Bad Input", "I/O Timeout", "No Data", "Shutdown", "-1.#IND", "1.#QNAN"]


class Unusable(Exception):
    """The job cannot go on; carries the exit code."""

    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code = code


def read_rows(file: Path) -> pd.DataFrame:
    """The input, with the words of a historian and infinities as missing."""
    try:
        rows = pd.read_csv(file, na_values=HISTORIAN_WORDS, index_col=False)
    except (OSError, ValueError, UnicodeError) as error:  # pandas' parser errors are ValueErrors
        raise Unusable(3, f"{file}: {error}") from error
    return rows.replace([np.inf, -np.inf], np.nan)


def load_model(file: Path):
    """The fitted pipeline, and the columns it was fitted on."""
    try:
        model = joblib.load(file)
        return model, list(model.feature_names_in_)
    except AttributeError as error:
        raise Unusable(4, f"{file}: the model was not fitted on named columns; fit it on a DataFrame.") from error
    except Exception as error:  # a damaged pickle raises anything; the job must say so in one line
        raise Unusable(4, f"{file}: {type(error).__name__}: {error}") from error


def score(model, columns: list[str], rows: pd.DataFrame) -> pd.DataFrame:
    """One line a row: state, label and confidence. Rows with a missing cell abstain: no news is not good news."""
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise Unusable(3, f"the input lacks the columns {missing[:8]}; it has {list(rows.columns)[:8]} ...")
    X = rows[columns]
    for name in columns:
        text = [value for value in X[name] if isinstance(value, str)]
        if text:
            raise Unusable(3, f"column {name!r} holds the text {text[0]!r}; it must hold numbers or be empty")
    usable = X.notna().all(axis=1).to_numpy()
    state = np.where(usable, "SCORED", "NO_DATA").astype(object)
    label, confidence = np.full(len(X), "", dtype=object), np.full(len(X), np.nan)
    if usable.any():
        probabilities = model.predict_proba(X[usable])
        label[usable] = model.classes_[probabilities.argmax(axis=1)]
        confidence[usable] = probabilities.max(axis=1)
    return pd.DataFrame({"row": np.arange(len(X)), "state": state, "label": label, "confidence": confidence})


def age_of(rows: pd.DataFrame, column: str) -> float:
    """Seconds between now and the newest row; times without a zone are read as UTC."""
    if column not in rows.columns:
        raise Unusable(3, f"the input has no time column {column!r}")
    try:
        newest = pd.to_datetime(rows[column], utc=True).max()
    except (ValueError, TypeError) as error:
        raise Unusable(3, f"the time column {column!r} cannot be read: {error}") from error
    return time.time() - newest.timestamp()


def run(options: argparse.Namespace) -> int:
    """Score the file; the exit code."""
    model, columns = load_model(options.model)
    rows = read_rows(options.rows)
    stale = len(rows) > 0 and options.max_age is not None and age_of(rows, options.time_column) > options.max_age
    if stale:
        rows = rows.assign(**{columns[0]: np.nan})  # old rows are no news about the machine
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = score(model, columns, rows)
    temporary = options.out.with_name(f".{options.out.name}.part")
    try:
        result.to_csv(temporary, index=False)
        temporary.replace(options.out)
    finally:
        temporary.unlink(missing_ok=True)
    for warning in {str(w.message) for w in caught}:
        print(f"warning: {warning}", file=sys.stderr)
    n_scored = int((result["state"] == "SCORED").sum())
    print(f"{len(result)} rows, {n_scored} scored, {len(result) - n_scored} without data -> {options.out.name}")
    return 5 if len(result) and (stale or n_scored < len(result) / 2) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Score a CSV with a fitted pipeline.")
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--time-column", default="time")
    parser.add_argument("--max-age", type=float, help="seconds; older input is no data")
    terminated = []

    def terminate(number, frame):
        terminated.append(number)
        sys.exit(128 + number)  # so that what is half done is undone

    signal.signal(signal.SIGTERM, terminate)
    try:
        return run(parser.parse_args())
    except Exception as error:
        if terminated:  # a parser that was interrupted raises anything
            return 128 + terminated[0]
        if not isinstance(error, Unusable | OSError | ValueError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return getattr(error, "code", 3)


if __name__ == "__main__":
    sys.exit(main())
