"""What is printed where nobody reads any more, as after `| head -1`: no error, but a reason to stop."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

EXIT_CODE = 141  # 128 + 13: how a shell reports an end by SIGPIPE

_OUTPUT = (1, 2)  # stdout, stderr


@contextmanager
def quiet_where_nobody_reads() -> Iterator[None]:
    """Print all that the block prints; should nobody read it, end with `EXIT_CODE`, without a word."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        _end()
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):  # as Rich ends the program
            raise
        _end()


def _nobody_reads() -> bool:
    """Whether it was our own output that broke, and not a connection to something else."""
    if not hasattr(select, "poll"):  # on Windows
        return True
    output = select.poll()
    for number in _OUTPUT:
        output.register(number, 0)  # errors are reported without being asked for
    return bool(output.poll(0))


def _end() -> NoReturn:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in _OUTPUT:  # Python itself writes what is left when it ends, and would complain
        os.dup2(nowhere, number)
    sys.exit(EXIT_CODE)
