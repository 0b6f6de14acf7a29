"""Tables scored on a dask cluster: the files are those of one process, byte for byte.

::

    client: model file, read once --scatter--> each worker once
            path of each table ----map-------> worker: scores it, sends the CSV back --> client writes it
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from sktransfer.cli.scorer import Counts, Scorer
from sktransfer.exceptions import TableError

_PATIENCE = 30  # seconds without a scheduler or a worker


def score_on_cluster(address: str, scorer: Scorer, targets: dict[Path, Path], counts: Counts, log: Any) -> int:
    """Score each table on a worker, and write what comes back.

    Parameters
    ----------
    address : str
        Of the scheduler.
    scorer : Scorer
        Is sent to each worker once.
    targets : dict of Path to Path
        Table to its answers. The workers read the tables under the same absolute paths.
    counts : Counts
        Gets what was scored.
    log : Log

    Returns
    -------
    int
        How many tables could not be scored; each was said.

    Raises
    ------
    ImportError
        If dask's scheduler is not installed.
    OSError
        If the cluster cannot be reached, has no worker, or is lost.
    TableError
        If the only table cannot be scored.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError('--scheduler needs dask: pip install "sktransfer[dask]".') from error
    from sktransfer.utils.files import write_atomically

    n_refused = 0
    with _quiet(), Client(address, set_as_default=False, timeout=_PATIENCE) as client:
        _await_worker(client, address)
        shared = client.scatter(scorer, broadcast=True, hash=False)
        futures = {client.submit(_scored, shared, path.resolve(), pure=False): path for path in targets}
        for done, future in enumerate(_as_they_come(client, address, list(futures)), 1):
            path = futures.pop(future)  # what came is not kept
            try:
                content, found, said = _result(future, path, address)
            except TableError as error:
                if len(targets) == 1:
                    raise
                n_refused += 1
                log.say(" ".join(str(error).split()), "error", file=str(path))
                continue
            for text, category in said:
                warnings.warn(text, category, stacklevel=2)
            write_atomically(targets[path], content)
            counts.add(found)
            log.say(f"{done} of {len(targets)} tables")
    return n_refused


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without dask's own lines on stderr: what happened is said by this command."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]  # dask sets both
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _await_worker(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError:
        raise OSError(f"the cluster at {address} has no worker; start one: dask worker {address}.") from None


def _as_they_come(client: Any, address: str, futures: list[Any]) -> Iterator[Any]:
    """Futures in the order of their ends, as long as somebody works on them."""
    from distributed import wait

    while futures:
        try:
            with client.as_current():
                found = wait(futures, timeout=_PATIENCE, return_when="FIRST_COMPLETED")
        except TimeoutError:  # a large table takes its time
            _await_worker(client, address)
            continue
        except CancelledError:
            raise _lost(address) from None
        futures = list(found.not_done)
        yield from found.done


def _result(future: Any, path: Path, address: str) -> tuple[bytes, Counts, list[tuple[str, type[Warning]]]]:
    """What a worker sent back.

    Raises
    ------
    TableError
        If the table cannot be scored, or each worker that tried died.
    OSError
        If the scheduler, or all workers are lost.
    """
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        raise TableError(
            f"{path}: the workers that scored it died, of too little memory perhaps. See their logs, or score it here: "
            "leave --scheduler out.",
            str(path),
        ) from None
    except CancelledError:
        raise _lost(address) from None


def _lost(address: str) -> OSError:
    return OSError(
        f"the cluster at {address} lost its scheduler, or all workers that held the model; see their logs. Tables "
        "that were written are whole."
    )


def _scored(scorer: Scorer, path: Path) -> tuple[bytes, Counts, list[tuple[str, type[Warning]]]]:
    """On a worker: the CSV of a table, its counts, and what was warned of."""
    counts = Counts()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        content = b"".join(scorer.pieces([path], counts))
    return content, counts, [(str(one.message), one.category) for one in caught]
