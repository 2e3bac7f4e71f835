"""What is printed where nobody reads any more, and what is said where the system refuses something."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from e2e.conftest import Run
from e2e.test_bad_input import assert_refused
from unblind.runtime.broken_pipe import EXIT_CODE, quiet_where_nobody_reads


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes like these")
@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.parametrize("line", ["fonts", "fonts --left-out", "--help", "train --help-all"])
def test_a_pipe_that_nobody_reads_is_no_error(line: str, unbuffered: str) -> None:
    command = [sys.executable, "-m", "unblind", *line.split()]
    pipe, environment = subprocess.PIPE, os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == EXIT_CODE


def test_a_pipe_to_something_else_that_breaks_is_an_error() -> None:
    with pytest.raises(BrokenPipeError), quiet_where_nobody_reads():
        raise BrokenPipeError(errno.EPIPE, "of a connection")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "name another place (--out)"),
        (errno.EACCES, "change its permissions, or name another"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_advice_fits_what_the_system_refuses(
    unblind: Run, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "in.parquet")

    monkeypatch.setattr("unblind.commands.fonts.find_fonts", refuse)
    done = unblind("fonts")
    assert_refused(done, "in.parquet", os.strerror(number), advice)
    assert ("space" in done.err) == (number == errno.ENOSPC)
