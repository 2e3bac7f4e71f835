"""SIGTERM, which schedulers send before they kill: work ends where nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 143  # 128 + 15: how a shell reports an end by SIGTERM


class Stopped(SystemExit):
    """The process was told to end, and what it made so far is whole; a script ends with exit code 143."""

    def __init__(self, message: str) -> None:
        super().__init__(EXIT_CODE)
        self.message = message


@contextmanager
def on_sigterm(action: Callable[[], object]) -> Iterator[None]:
    """While the block runs, the first SIGTERM calls `action`, and those after it do nothing.

    One signal often comes twice: to the process, then to its group. Python runs handlers in the main thread
    alone; in any other thread the block runs as if there were no `on_sigterm`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        action()

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
