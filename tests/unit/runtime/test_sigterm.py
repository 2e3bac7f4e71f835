"""SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from unblind.runtime.sigterm import Stopped, on_sigterm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals like these")


def test_the_first_signal_acts_and_later_ones_do_nothing() -> None:
    told: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    with on_sigterm(lambda: told.append(1)):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
    assert told == [1]
    assert signal.getsignal(signal.SIGTERM) == before


def test_other_threads_are_left_alone() -> None:
    found: list[object] = []

    def work() -> None:
        with on_sigterm(lambda: None):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]


def test_a_script_ends_with_143() -> None:
    code = "from unblind.runtime.sigterm import Stopped\nraise Stopped('here')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "")
    assert Stopped("here").message == "here"
