"""A pool of processes that ends when its parent does, however that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.queues import Queue
from typing import Any, TypeVar

from unblind.errors import OutputError

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_in_processes(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Generator[Result]:
    """Do the jobs in parallel; yields results as they come, in no fixed order.

    Args:
        work: what to do with each job; it is pickled.
        jobs: what to do it with.
        workers: number of processes; 0: as many as there are cores. With one, this process does it.

    Raises:
        OutputError: a process died.
        Whatever `work` raises; the other jobs are dropped, also those that were begun.
    """
    workers = min(workers or _cores(), len(jobs))
    if workers <= 1:
        yield from map(work, jobs)
        return
    # spawned, not forked: locks and threads of this process must not be copied
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    handed = context.Queue()  # filled by a thread: processes that start slowly hold nobody up
    handed.cancel_join_thread()
    for _ in range(workers):
        handed.put(work)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(handed,))
    try:
        for future in as_completed([_submitted(pool, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool:
        raise OutputError(
            "a worker process ended unexpectedly (killed, or out of memory?);"
            " run the same command again, perhaps with --workers 1"
        ) from None
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()  # what it was at may take long
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, job: Any) -> Future[Any]:
    with _ctrl_c_later():  # this may start a process
        return pool.submit(_do, job)


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Hear of Ctrl-C when the block is left; processes that are started in it never do.

    A terminal sends it to all of them, but it is the parent's to handle; and half-started, a process is not
    yet known to it, and complains when its parent ends.
    """
    if threading.current_thread() is not threading.main_thread():  # which never hears of it
        yield
        return
    heard = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: heard.set())
    if hasattr(signal, "pthread_sigmask"):  # a new process inherits it
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
        if heard.is_set():
            signal.raise_signal(signal.SIGINT)


def _cores() -> int:
    """Cores that this process may use; in a container fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_work: Callable[[Any], Any]


def _begin(handed: Queue[Callable[[Any], Any]]) -> None:
    global _work  # a process has one, and an initializer can hand it over in no other way
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it cannot be blocked
    threading.Thread(target=_follow_parent, daemon=True).start()
    _work = handed.get()


def _follow_parent() -> None:
    """End with the parent: a pool's processes would otherwise wait forever for the next job."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _do(job: Any) -> Any:
    return _work(job)
