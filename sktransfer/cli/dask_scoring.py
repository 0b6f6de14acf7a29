"""Tables scored on a dask cluster: the files are those of one process, byte for byte.

::

    client: model file, read once --scatter--> each worker once
            path of each table ----map-------> worker: scores it, sends the CSV back --> client writes it
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from sktransfer.cli.scorer import Counts, Scorer


def score_on_cluster(address: str, scorer: Scorer, targets: dict[Path, Path], counts: Counts, log: Any) -> None:
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

    Raises
    ------
    ImportError
        If dask's scheduler is not installed.
    OSError
        If the cluster cannot be reached.
    TableError, ValueError
        As for one process; tables that were scored before are written.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ImportError('--scheduler needs dask: pip install "sktransfer[dask]".') from error
    from sktransfer.utils.files import write_atomically

    with Client(address, set_as_default=False) as client:
        shared = client.scatter(scorer, broadcast=True, hash=False)
        futures = {
            client.submit(_scored, shared, path.resolve(), pure=False): target for path, target in targets.items()
        }
        for done, future in enumerate(as_completed(futures, loop=client.loop), 1):
            content, found, said = future.result()
            for text, category in said:
                warnings.warn(text, category, stacklevel=2)
            write_atomically(futures[future], content)
            counts.add(found)
            log.say(f"{done} of {len(futures)} tables")


def _scored(scorer: Scorer, path: Path) -> tuple[bytes, Counts, list[tuple[str, type[Warning]]]]:
    """On a worker: the CSV of a table, its counts, and what was warned of."""
    counts = Counts()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        content = b"".join(scorer.pieces([path], counts))
    return content, counts, [(str(one.message), one.category) for one in caught]
