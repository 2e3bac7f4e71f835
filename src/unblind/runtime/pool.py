"""A pool of processes that ends when its parent does, however that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from unblind.errors import OutputError

Job = TypeVar("Job")
Result = TypeVar("Result")


def spread(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Do the jobs in parallel; yields results as they come, in no fixed order.

    Args:
        work: what to do with each job; pickled once for each process.
        jobs: what to do it with.
        workers: number of processes; 0: as many as there are cores. With one, this process does it.

    Raises:
        OutputError: a process died.
        Whatever `work` raises; jobs not yet begun are dropped.
    """
    workers = min(workers or _cores(), len(jobs))
    if workers <= 1:
        yield from map(work, jobs)
        return
    # spawned, not forked: locks and threads of this process must not be copied
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(work,))
    try:
        for future in as_completed([pool.submit(_do, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool:
        raise OutputError(
            "a worker process ended unexpectedly (killed, or out of memory?);"
            " run the same command again, perhaps with --workers 1"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    """Cores that this process may use; in a container fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_work: Callable[[Any], Any]


def _begin(work: Callable[[Any], Any]) -> None:
    global _work  # a process has one, and an initializer can hand it over in no other way
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End with the parent: a pool's processes would otherwise wait forever for the next job."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _do(job: Any) -> Any:
    return _work(job)
