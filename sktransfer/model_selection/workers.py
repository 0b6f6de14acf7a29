"""Stacks trained one after the other, or side by side in threads.

::

    stacks --queue--> threads, each with its own cap on torch's threads --a stack is done--> kept by the caller's thread
                         ^
                         +-- told to stop before the next epoch when the caller is interrupted or anything raises

BLAS and torch let other threads run while they compute, so threads share the rows, the frozen features and the
backbone without copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event, Lock

from joblib import cpu_count, effective_n_jobs

from sktransfer.training.stacked_fits import Lane, train_stack
from sktransfer.utils.threads import capped_threads

Stack = list[list[Lane]]


class _Stopped(BaseException):
    """Another thread failed, or the caller was interrupted."""


def count_workers(n_jobs: int | None) -> int:
    """Threads for `n_jobs` as joblib understands it, no more than there are cores."""
    return max(1, min(effective_n_jobs(n_jobs), cpu_count()))


def train_stacks(
    stacks: Sequence[Stack], n_workers: int, on_progress: Callable[[float], None], keep: Callable[[Stack], None]
) -> None:
    """Train the stacks and hand each to `keep` when it is done, in the caller's thread.

    A stack that raises an ``Exception`` (a strategy of the user's, no memory) is not kept, and the others go on; what
    `keep` raises, and Ctrl-C, ends all of them at their next epoch.

    Parameters
    ----------
    stacks : sequence of list of list of Lane
    n_workers : int
        Threads; 1: the caller's own.
    on_progress : callable
        Told of the share of one fit that was done, by one thread at a time.
    keep : callable
    """
    stop, one_at_a_time = Event(), Lock()

    def on_epoch(n_lanes: int, share: float) -> None:
        if stop.is_set():
            raise _Stopped
        with one_at_a_time:
            on_progress(n_lanes * share)

    def train(stack: Stack) -> bool:
        n_jobs = stack[0][0].estimator.n_jobs
        try:
            with capped_threads(n_jobs):
                train_stack(stack, on_epoch)
        except Exception:
            return False  # fitted alone, each of its fits says for itself what is wrong
        return True

    if min(n_workers, len(stacks)) <= 1:
        for stack in stacks:
            if train(stack):
                keep(stack)
        return
    with ThreadPoolExecutor(n_workers) as pool:
        futures = {pool.submit(train, stack): stack for stack in stacks}
        try:
            for future in as_completed(futures):
                if future.result():
                    keep(futures[future])
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
