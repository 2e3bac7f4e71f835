"""A command that is waited for and signalled, with all the processes that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]


class Running(subprocess.Popen):  # type: ignore[type-arg]
    """Python with some arguments, in a session of its own; all of it ends with the block at the latest."""

    def __init__(self, *arguments: object, **more: Any) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
        line = [sys.executable, *map(str, arguments)]
        super().__init__(line, text=True, start_new_session=True, env=environment, **more)

    def tree(self) -> list[psutil.Process]:
        """The process and all that came of it, as far as they live."""
        try:
            main = psutil.Process(self.pid)
            return [main, *main.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def wait_for(self, happened: Callable[[], bool], patience: float = 250) -> None:
        """Until something happened, or the command ended, or so many seconds have passed."""
        end = time.monotonic() + patience
        while self.poll() is None and not happened() and time.monotonic() < end:
            time.sleep(0.005)

    def signal_tree(self, number: int) -> int:
        """Send a signal to all of them, as a terminal does; the exit code."""
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return self.wait(timeout=600)

    def __exit__(self, *error: Any) -> None:
        self.signal_tree(signal.SIGKILL)
        super().__exit__(*error)
