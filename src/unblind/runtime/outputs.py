"""Output folders: files appear whole or not at all, one process at a time, never mixed with other content."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from unblind.errors import OutputError
from unblind.runtime.distributed import is_main_process

SETTINGS = "settings.json"
LOCK = ".unblind.lock"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
_MOST_DIFFERENCES, _LONG = 5, 80  # keys, characters
_HARMLESS = {LOCK, ".DS_Store", "Thumbs.db"}


@contextmanager
def explain_full_disk(folder: Path, then: str) -> Iterator[None]:
    """Say what to do where a library finds no room for a file; each has its own way of reporting that.

    Args:
        folder: what is written in the block.
        then: the next step, once there is room.

    Raises:
        OutputError: the disk is full.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        told = "No space left" in str(error) or "inline_container" in str(error)  # the latter is torch.save's
        if not told and getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OutputError(f"{folder}: no space left on the disk; free some, and {then}") from error


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` to make a file or folder under; it becomes `path` when the block ends well.

    The content is flushed to the disk first, so that not even a power cut leaves a torn file.

    Raises:
        OutputError: it cannot be written there, or something that it is made from cannot be read.
    """
    temporary, older = _temporary(path), _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _flush(temporary)
            if temporary.is_dir() and path.is_dir():  # no system renames a folder onto another
                path.rename(older)
            temporary.replace(path)
        finally:
            _remove(temporary)
            _remove(older)
    except OSError as error:
        if not _concerns(error.filename, path):
            raise OutputError(
                f"{error.filename} cannot be read ({error.strerror}), which {path.name} is made from;"
                " see that it is there and may be read"
            ) from error
        raise _cannot_write(path, error) from error


def _concerns(name: object, path: Path) -> bool:
    """Whether an error about a file is about what is written at `path`: it, or what is in it or around it."""
    if not isinstance(name, (str, os.PathLike)):
        return True
    broken = Path(name)
    return broken == path or broken in path.parents or path.parent in broken.parents


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def _flush(path: Path) -> None:
    """Wait until the content is on the disk."""
    if path.is_file():
        with path.open("r+b") as file:
            os.fsync(file.fileno())
    elif hasattr(os, "sync"):  # thousands of small files: one call instead of 3 ms each
        os.sync()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises OutputError."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file with plain newlines, whole or not at all. Raises OutputError."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, whole or not at all. Raises OutputError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def claim(folder: Path, settings: Mapping[str, Any], *, made_by: str) -> Iterator[None]:
    """Make `folder` ours while the block runs, and remember the settings in its settings.json.

    A folder that is absent or empty, or that was made with the same settings, is taken; whatever a killed
    process left under temporary names is swept away. The lock is the operating system's (flock), so it
    ends with the process, however that dies. Of several processes on one task the main one claims it for all.

    Args:
        folder: the output folder; created, with its parents.
        settings: what the content depends on; values that JSON can hold.
        made_by: the command, like "unblind generate"; compared with the settings.

    Raises:
        OutputError: not a folder, other content, other settings, in use by another process, not writable.
    """
    if not is_main_process():
        yield
        return
    wanted = json.loads(json.dumps({"made_by": made_by, **settings}))
    _check(folder, wanted)  # before the lock file is made: a folder that is not ours stays untouched
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    with _locked(folder):
        _check(folder, wanted)
        remove_leftovers(folder)
        if not (folder / SETTINGS).exists():
            write_json(folder / SETTINGS, wanted)
        try:
            yield
        finally:
            remove_leftovers(folder)  # of processes that were told to end at the same time


def refuse_inside(folder: Path, data: str | Path) -> None:
    """Raise OutputError for an output folder in the folder of the data, which would become a part of it."""
    home = Path(data).expanduser()
    if home.is_dir() and folder.resolve().is_relative_to(home.resolve()):
        raise OutputError(f"{folder} lies in the data's folder {data}; name a folder outside of it (--out)")


def read_settings(folder: Path) -> dict[str, Any] | None:
    """The settings a folder was made with (with "made_by"), or None if it is not one of ours."""
    try:
        found = json.loads((folder / SETTINGS).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and str(found.get("made_by", "")).startswith("unblind") else None


def _check(folder: Path, wanted: dict[str, Any]) -> None:
    found = read_settings(folder)
    if found is None:
        refuse_content(folder)
    elif found["made_by"] != wanted["made_by"]:
        raise OutputError(
            f"{folder} was made by `{found['made_by']}`, not by `{wanted['made_by']}`;"
            " name another folder (--out)"
        )
    elif found != wanted:
        raise OutputError(
            f"{folder} was made with other settings: {_differences(found, wanted)};"
            " repeat the old settings, or name another folder (--out)"
        )


def refuse_content(folder: Path) -> None:
    """Raise OutputError unless the folder is absent, or empty but for what we leave behind ourselves."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name another output folder (--out)")
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    foreign = [name for name in names if name not in _HARMLESS and not _TEMPORARY.fullmatch(name)]
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise OutputError(
            f"{folder} holds other content ({', '.join(foreign[:3])}{more});"
            " name a new or empty folder (--out)"
        )


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What differs, and nothing else: the first keys, and of long values the part where they do."""
    old, new = dict(_flat(found)), dict(_flat(wanted))
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    told = [
        "{} was {}, now {}".format(key, *_where_they_part(old.get(key, "absent"), new.get(key, "absent")))
        for key in keys[:_MOST_DIFFERENCES]
    ]
    more = len(keys) - len(told)
    return ", ".join(told) + (f", and {more} more" if more else "")


def _where_they_part(old: str, new: str) -> Iterator[str]:
    longest = max(len(old), len(new))
    parted = next(at for at in range(longest) if old[: at + 1] != new[: at + 1])
    start = max(0, parted - 20) if longest > _LONG else 0
    for text in (old, new):
        cut = text[start : start + _LONG]
        yield f"{'…' if start else ''}{cut}{'…' if start + _LONG < len(text) else ''}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, json.dumps(value, ensure_ascii=False)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    path = folder / LOCK
    try:
        with FileLock(path, timeout=0):
            path.write_text(str(os.getpid()))  # for the message that a second process prints
            try:
                yield
            finally:
                path.write_text("")
    except Timeout:
        raise OutputError(
            f"{folder} is in use by {_holder(path)}; wait until it ends, or name another folder (--out)"
        ) from None


def _holder(lock: Path) -> str:
    try:
        return f"process {int(lock.read_text())}"
    except (OSError, ValueError):  # just being written, or locked against reading (Windows)
        return "another process"


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left under temporary names."""
    for path in list(folder.rglob(".*.tmp")):
        if _TEMPORARY.fullmatch(path.name):
            _remove(path)


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written ({error.strerror or error}); name another place (--out)")
