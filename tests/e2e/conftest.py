"""The command line, as a user calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from unblind.cli import main


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def unblind(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, through the same function as the console script."""

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return Done(int(stopped.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset, made by the command."""
    out = tmp_path_factory.mktemp("data") / "circles"
    with pytest.raises(SystemExit) as stopped:
        sizes = "--train 64 --validation 16 --test 24 --workers 1"
        main(["generate", "--out", str(out), *sizes.split()])
    assert stopped.value.code == 0
    return out


@pytest.fixture(scope="session")
def image(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of its test images, as a PNG file."""
    import pyarrow.parquet as pq

    row = pq.read_table(dataset / "data" / "test-00000-of-00001.parquet").slice(0, 1).to_pylist()[0]
    path = tmp_path_factory.mktemp("image") / f"{row['answer']}.png"
    path.write_bytes(row["image"]["bytes"])
    return path
