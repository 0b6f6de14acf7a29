"""JobState: what a monitoring job knows from run to run, in one SQLite file.

::

    run --> one transaction: samples, machines, tail of raw rows --> committed, or as before
    file that is damaged, or of a newer version --> put aside under another name, a fresh one begun
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.exceptions import DataQualityWarning
from sktransfer.io.score_rows import NO_DATA
from sktransfer.monitoring.alarm_state import AlarmState
from sktransfer.monitoring.plant_frame import nanoseconds
from sktransfer.utils.counted_warnings import warn_caller

BEGIN = -(2**62)  # before all times
FORMAT = 1  # raise it when a job of today would misread the new tables
FILE = "state.sqlite"
# the key stands first and in its order: of other tables without rowid SQLite 3.40 says "NULL value" in a quick check
_TABLES = (
    """CREATE TABLE samples (
        model TEXT NOT NULL, machine TEXT NOT NULL, time INTEGER NOT NULL, state TEXT NOT NULL, score REAL,
        probability REAL, quality TEXT NOT NULL, alarm INTEGER NOT NULL, sensors TEXT NOT NULL,
        PRIMARY KEY (model, machine, time)) WITHOUT ROWID""",
    "CREATE INDEX by_time ON samples (model, time)",
    """CREATE TABLE machines (
        model TEXT NOT NULL, machine TEXT NOT NULL, watermark INTEGER NOT NULL, boundary INTEGER NOT NULL, alarm TEXT,
        since INTEGER, PRIMARY KEY (model, machine)) WITHOUT ROWID""",
    "CREATE TABLE unreported (model TEXT NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (model, day)) WITHOUT ROWID",
    """CREATE TABLE tail (
        model TEXT NOT NULL, machine TEXT NOT NULL, time INTEGER NOT NULL, cells TEXT NOT NULL,
        PRIMARY KEY (model, machine, time)) WITHOUT ROWID""",
)
_TEXTS, _NUMBERS = ("machine", "state", "quality", "sensors"), ("score", "probability")
SAMPLE_COLUMNS = ["machine", "time", "state", "score", "probability", "quality", "alarm", "sensors"]


@dataclass(frozen=True)
class MachineState:
    """What is remembered of one machine.

    Parameters
    ----------
    watermark : int
        Time of the newest row, in ns since 1970; it never goes back.
    boundary : int
        Samples up to here are final: later ones may still come or change.
    alarm : AlarmState or None
        After the last final sample; None: there was none.
    since : int or None
        When the alarm began that was on then.
    """

    watermark: int
    boundary: int
    alarm: AlarmState | None = None
    since: int | None = None


class JobState:
    """The state of a job in a folder.

    Parameters
    ----------
    folder : Path
        It exists, and the caller holds its lock.
    model : str
        Hash of the model file: a job with another model begins anew and keeps the rows of the one before.
    """

    def __init__(self, folder: Path, model: str):
        self.path, self.model = folder / FILE, model
        self.connection = self._opened()

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def machines(self) -> dict[str, MachineState]:
        """What is remembered of each machine."""
        rows = self.connection.execute(
            "SELECT machine, watermark, boundary, alarm, since FROM machines WHERE model = ? ORDER BY machine",
            (self.model,),
        )
        return {
            name: MachineState(
                watermark, boundary, None if alarm is None else AlarmState.from_dict(json.loads(alarm)), since
            )
            for name, watermark, boundary, alarm, since in rows
        }

    def samples(self, after: int | None = None, until: int | None = None) -> pd.DataFrame:
        """Samples of the model by machine and time; later than `after` and not later than `until` (ns)."""
        query, values = f"SELECT {', '.join(SAMPLE_COLUMNS)} FROM samples WHERE model = ?", [self.model]
        for sign, moment in ((">", after), ("<=", until)):
            if moment is not None:
                query, values = f"{query} AND time {sign} ?", [*values, moment]  # type: ignore[list-item]
        rows = self.connection.execute(f"{query} ORDER BY machine, time", values).fetchall()
        return _samples(rows)

    def tail(self, sensors: list[str]) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
        """Raw rows that the next windows may need, by machine and time.

        Returns
        -------
        machine : ndarray of shape (n_rows,)
        time : ndarray of int of shape (n_rows,)
            In ns.
        cells : DataFrame of shape (n_rows, n_sensors)
        """
        rows = self.connection.execute(
            "SELECT machine, time, cells FROM tail WHERE model = ? ORDER BY machine, time", (self.model,)
        ).fetchall()
        values = json.loads(f"[{','.join(row[2] for row in rows)}]")  # all at once: a call a row takes longer
        cells = pd.DataFrame(values, columns=sensors, dtype="float64")
        machine, time = np.empty(len(rows), dtype=object), np.array([row[1] for row in rows], dtype=np.int64)
        machine[:] = [row[0] for row in rows]
        return machine, time, cells

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside, or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise

    def write_samples(self, samples: pd.DataFrame, after: dict[str, int]) -> None:
        """Write samples in place of all that are later than a time, in ns, of each machine."""
        self.connection.executemany(
            "DELETE FROM samples WHERE model = ? AND machine = ? AND time > ?",
            [(self.model, name, moment) for name, moment in after.items()],
        )
        texts = {name: [str(one) for one in samples[name].tolist()] for name in _TEXTS}
        numbers = {name: [None if one != one else one for one in samples[name].tolist()] for name in _NUMBERS}
        columns = {**texts, **numbers, "alarm": samples["alarm"].astype(int).tolist()}
        columns["time"] = nanoseconds(samples["time"]).tolist()
        self.connection.executemany(
            f"INSERT OR REPLACE INTO samples ({', '.join(SAMPLE_COLUMNS)}, model) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            zip(*(columns[name] for name in SAMPLE_COLUMNS), [self.model] * len(samples), strict=True),
        )

    def write_machines(self, machines: dict[str, MachineState]) -> None:
        """Insert what is remembered of each machine, or replace it."""
        alarms = {
            name: None if one.alarm is None else json.dumps(one.alarm.as_dict(), sort_keys=True)
            for name, one in machines.items()
        }
        self.connection.executemany(
            "INSERT OR REPLACE INTO machines (machine, model, watermark, boundary, alarm, since) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [
                (name, self.model, one.watermark, one.boundary, alarms[name], one.since)
                for name, one in machines.items()
            ],
        )

    def write_tail(self, machine: np.ndarray, time: np.ndarray, cells: pd.DataFrame) -> None:
        """Replace the raw rows; `time` is in ns."""
        self.connection.execute("DELETE FROM tail WHERE model = ?", (self.model,))
        if len(time) == 0:
            return
        # all at once: a call a row takes longer; between two rows alone stands "], ["
        texts = json.dumps(cells.to_numpy(np.float64).tolist()).replace("NaN", "null")[2:-2].split("], [")
        self.connection.executemany(
            "INSERT INTO tail (machine, time, cells, model) VALUES (?, ?, ?, ?)",
            zip(
                machine.tolist(), time.tolist(), (f"[{text}]" for text in texts), [self.model] * len(time), strict=True
            ),
        )

    def write_unreported(self, days: Iterable[int]) -> None:
        """Days (their begin, in ns) of which a report must tell."""
        self.connection.executemany(
            "INSERT OR REPLACE INTO unreported (day, model) VALUES (?, ?)", [(int(day), self.model) for day in days]
        )

    def unreported(self) -> list[int]:
        """Days with samples that no report has told of, in order."""
        rows = self.connection.execute("SELECT day FROM unreported WHERE model = ? ORDER BY day", (self.model,))
        return [day for (day,) in rows]

    def reported(self) -> None:
        """All days have been told of."""
        self.connection.execute("DELETE FROM unreported WHERE model = ?", (self.model,))

    def forget(self, before: int) -> None:
        """Remove samples that are older, of all models, but for those of days that no report has told of.

        The last sample of each machine that could be judged stays, so that an alarm that was on when its data stopped
        is never forgotten.
        """
        first = self.connection.execute("SELECT min(day) FROM unreported").fetchone()[0]
        before = before if first is None else min(before, first)
        for (model,) in self.connection.execute("SELECT DISTINCT model FROM machines").fetchall():
            old = self.connection.execute(  # by the index: most samples are younger
                "SELECT machine, max(time) FROM samples INDEXED BY by_time WHERE model = ? AND time < ? AND state != ? "
                "GROUP BY machine",
                (model, before, NO_DATA),
            ).fetchall()
            later = "SELECT 1 FROM samples WHERE model = ? AND machine = ? AND time >= ? AND state != ? LIMIT 1"
            kept = [
                one for one in old if not self.connection.execute(later, (model, one[0], before, NO_DATA)).fetchone()
            ]
            self.connection.execute("CREATE TEMP TABLE IF NOT EXISTS kept (machine TEXT, time INTEGER)")
            self.connection.execute("DELETE FROM kept")
            self.connection.executemany("INSERT INTO kept VALUES (?, ?)", kept)
            self.connection.execute(
                "DELETE FROM samples WHERE model = ? AND time < ? AND (machine, time) NOT IN (SELECT * FROM kept)",
                (model, before),
            )

    def _opened(self) -> sqlite3.Connection:
        """The file as it is, or a fresh one where it cannot be used."""
        existed = self.path.exists()
        try:
            connection = _connected(self.path)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return _begun(connection)
            why = "" if version == FORMAT else f"it has format {version}, and this version knows {FORMAT}"
            found = connection.execute("PRAGMA quick_check").fetchone()[0]
            why = why or ("" if found == "ok" else f"it is damaged ({found})")
            if not why:
                return connection
            connection.close()
        except sqlite3.OperationalError:
            raise  # locked, or the disk cannot be read now: no reason to give the state up
        except sqlite3.DatabaseError as error:
            if not existed:
                raise
            why = f"it is damaged ({error})"
        aside = self._put_aside()
        warn_caller(
            f"The state of the job in {self.path} cannot be used: {why}. It was renamed to {aside.name}, and the job "
            "begins anew: alarms that were on are forgotten.",
            DataQualityWarning,
        )
        return _begun(_connected(self.path))

    def _put_aside(self) -> Path:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.quarantined-{number}")).exists():
            number += 1
        for suffix in ("-journal", "-wal", "-shm"):  # of the damaged file: they must not be played into the new one
            beside = self.path.with_name(self.path.name + suffix)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + suffix))
        return self.path.rename(aside)


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing that was committed
    return connection


def _begun(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("BEGIN IMMEDIATE")
    for table in _TABLES:
        connection.execute(table)
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")
    return connection


def last_good_samples(state: JobState, machines: Iterable[str]) -> pd.DataFrame:
    """The last sample of each of these machines that could be judged, if there is one, by machine."""
    query = (
        f"SELECT {', '.join(SAMPLE_COLUMNS)} FROM samples WHERE model = ? AND machine = ? AND state != ? "
        "ORDER BY time DESC LIMIT 1"
    )
    rows = [state.connection.execute(query, (state.model, name, NO_DATA)).fetchone() for name in sorted(machines)]
    return _samples([row for row in rows if row is not None])


def _samples(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Rows of the table of samples as a frame."""
    found = pd.DataFrame(rows, columns=SAMPLE_COLUMNS)
    found["time"] = pd.to_datetime(found["time"].astype("int64"), utc=True)
    found["alarm"] = found["alarm"].astype(bool)
    return found.astype({"score": "float64", "probability": "float64"})
