"""Which of Trainer's checkpoints are whole. No torch.

Trainer writes a checkpoint's files one after the other, in place, and deletes old checkpoints file by file: a
killed process leaves folders that look like checkpoints. `seal` lists the files with their checksums once all
are there, and a checkpoint counts only while they agree.
"""

from __future__ import annotations

import os
import shutil
import zlib
from pathlib import Path

from unblind.runtime.json_files import read_json_if_whole
from unblind.runtime.outputs import write_json

SEAL = "checksums.json"
STATE = "trainer_state.json"


def seal(folder: Path) -> None:
    """Mark a checkpoint as complete, once its files are on the disk. Raises OutputError."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SEAL]
    for path in files:
        with path.open("r+b") as file:
            os.fsync(file.fileno())
    write_json(folder / SEAL, {path.relative_to(folder).as_posix(): _crc32(path) for path in files})


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint under `folder`, or None.

    One that needs another, the best so far, which is loaded at the end of the run, is complete with it alone.
    """
    for path in reversed(_checkpoints(folder)):
        if _is_whole(path):
            best = (read_json_if_whole(path / STATE) or {}).get("best_model_checkpoint")
            if best is None or _is_whole(folder / Path(str(best)).name):
                return path
    return None


def remove_after(folder: Path, checkpoint: Path | None) -> None:
    """Delete what an interruption left of checkpoints newer than this one; None: of all."""
    for path in _checkpoints(folder):
        if checkpoint is None or step_of(path) > step_of(checkpoint):
            shutil.rmtree(path)


def _checkpoints(folder: Path) -> list[Path]:
    folders = folder.glob("checkpoint-*")
    return sorted((path for path in folders if path.name.removeprefix("checkpoint-").isdigit()), key=step_of)


def step_of(path: Path) -> int:
    """The number of steps that a checkpoint has behind it."""
    return int(path.name.removeprefix("checkpoint-"))


def _is_whole(checkpoint: Path) -> bool:
    sums = read_json_if_whole(checkpoint / SEAL) or {}
    try:
        return STATE in sums and all(_crc32(checkpoint / name) == sum_ for name, sum_ in sums.items())
    except OSError:
        return False


def _crc32(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            checksum = zlib.crc32(block, checksum)
    return checksum
