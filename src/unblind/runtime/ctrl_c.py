"""Ctrl-C: one ends the process within two seconds, with exit code 130 and a sentence; more change nothing.

The work gets a KeyboardInterrupt and cleans up behind it. Where that is not heard in time (a long call of C,
a library that takes it for its own error), the process ends all the same. Nothing here takes long to import,
so that a Ctrl-C during the imports of others is met as well.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from unblind.runtime.distributed import is_main_process

EXIT_CODE = 130  # 128 + 2: how a shell reports an end by SIGINT

_SECONDS_TO_CLEAN_UP = 1.5
_SENTENCE = (
    "stopped by Ctrl-C, with nothing half-written; the same command continues where it can"
    " (`unblind train` with --resume)"
)


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """While the block runs, Ctrl-C ends the process. To be entered once, by the main thread.

    Where the process was told to ignore SIGINT (a job in the background), it does.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        yield
        return
    end = _End()
    try:
        yield
    except BaseException:  # imports that are broken off end by any kind of error
        if not end.begun:
            raise
        end.tell()
        sys.exit(EXIT_CODE)


class _End:
    """The end of this process, from the first SIGINT on."""

    def __init__(self) -> None:
        self.begun = False
        self.told = threading.Lock()
        reader, writer = socket.socketpair()  # Windows takes no pipe here
        writer.setblocking(False)
        signal.signal(signal.SIGINT, self.begin)
        if hasattr(os, "register_at_fork"):  # a loader of batches would break off in the midst of its own end
            os.register_at_fork(after_in_child=_leave_it_to_the_parent)
        atexit.register(self.leave)  # before all others, so it is called after them
        # a signal's number is written at once, even while the main thread is in a long call of C
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self.watch, args=(reader, writer), daemon=True).start()

    def begin(self, _number: int, frame: FrameType | None) -> NoReturn:
        """What the main thread does as soon as it can."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.begun = True
        # what breaks off now, in other threads and in destructors, is no news
        sys.unraisablehook = lambda _: None
        threading.excepthook = lambda _: None
        if _importing(frame):  # nothing to clean up, and some C++ aborts when its import is broken off
            self.end_now()
        raise KeyboardInterrupt

    def leave(self) -> None:
        """Spare the interpreter's own end: to take the libraries apart takes seconds."""
        if self.begun:
            with suppress(OSError):
                sys.stdout.flush()
            os._exit(EXIT_CODE)

    def watch(self, reader: socket.socket, _writer: socket.socket) -> None:
        """What another thread does: it ends the process, should it not have ended in time."""
        while reader.recv(1)[0] != signal.SIGINT:
            pass
        time.sleep(_SECONDS_TO_CLEAN_UP)
        self.end_now()

    def end_now(self) -> NoReturn:
        """End without cleaning up."""
        self.tell()
        _kill_workers()
        os._exit(EXIT_CODE)

    def tell(self) -> None:
        """Say it once."""
        if self.told.acquire(blocking=False) and is_main_process():
            cursor = "\x1b[?25h" if os.isatty(2) else ""  # which progress bars hide
            with suppress(OSError):  # nobody may read it
                os.write(2, f"{cursor}unblind: {_SENTENCE}\n".encode())


def _leave_it_to_the_parent() -> None:
    """In a forked process: a terminal sends Ctrl-C to all, and the parent ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _importing(frame: FrameType | None) -> bool:
    """Whether the main thread is in the midst of an import."""
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


def _kill_workers() -> None:
    """End the processes that this one started: pools, and loaders of batches."""
    if "multiprocessing" in sys.modules:
        import multiprocessing

        for process in multiprocessing.active_children():
            process.kill()
