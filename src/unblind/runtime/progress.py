"""Progress of long work: a bar on a terminal, plain lines otherwise. Both go to stderr.

Of several processes on one task the main one shows its own part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unblind.runtime.distributed import is_main_process

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how much of `total` is done; call what it yields with each number of things that were finished."""
    console = Console(stderr=True, quiet=not is_main_process())
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        )  # fmt: skip
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total)
            yield lambda count: bar.advance(task, count)
    else:
        yield _Lines(console, title, total)


class _Lines:
    """Prints a line every ten seconds, and one at the end."""

    def __init__(self, console: Console, title: str, total: int) -> None:
        self.console, self.title, self.total = console, title, total
        self.done, self.last = 0, time.monotonic()

    def __call__(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if self.done >= self.total or now - self.last >= _SECONDS_BETWEEN_LINES:
            self.last = now
            self.console.print(f"{self.title}: {self.done:,} of {self.total:,}", highlight=False)
