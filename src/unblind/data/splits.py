"""Which split a file belongs to: the rule of `datasets`, wherever a name decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from unblind.errors import DatasetError
from unblind.runtime.outputs import read_settings
from unblind.tasks.splits import SPLITS

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5})-of-(?P<of>\d{5})[^/]*\.[^/]*")
_SEPARATOR = r"[-._ 0-9]"
_IN_FOLDER, _IN_FILE = (
    {
        split: re.compile(rf"(?:|.*{_SEPARATOR})(?:{'|'.join(words)})(?:{end})", re.DOTALL)
        for split, words in SPLIT_NAMES.items()
    }
    for end in (rf"|{_SEPARATOR}.*", rf"{_SEPARATOR}.*")
)


def by_name(folder: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    """The files of each split: train, validation and test first. Empty where no name decides.

    As in `datasets`, the first of these that names a split for any file decides for all of them, and files
    that it says nothing of belong to no split: `data/SPLIT-00000-of-00001*`; a folder's name; a file's name.
    In a name, one of SPLIT_NAMES counts where it stands between its ends, digits, spaces, or `-`, `.`, `_`.

    Args:
        folder: the dataset's; its own name and what is above it do not count.
        files: in it.

    Raises:
        DatasetError: a name stands for two splits.
    """
    paths = {path: path.relative_to(folder) for path in files}
    for rule in (_of_shard, of_folders, of_file):
        found: dict[str, list[Path]] = {}
        for path, inside in paths.items():
            if split := rule(inside):
                found.setdefault(split, []).append(path)
        if found:
            return {split: found[split] for split in ordered(found)}
    return {}


def ordered(splits: Iterable[str]) -> list[str]:
    """train, validation, test, then all others by their names."""
    names = set(splits)
    return [*(name for name in SPLIT_NAMES if name in names), *sorted(names - SPLIT_NAMES.keys())]


def _of_shard(path: PurePath) -> str | None:
    shard = SHARD.fullmatch(path.name)
    return shard["split"] if shard and path.parent == PurePath("data") else None


def of_folders(path: PurePath) -> str | None:
    """The split that the folders of a path name. Raises DatasetError for two."""
    return _only(path, [split for part in path.parent.parts for split in _named(part, _IN_FOLDER)])


def of_file(path: PurePath) -> str | None:
    """The split that a file's name, with its extension, stands for. Raises DatasetError for two."""
    return _only(path, _named(path.name, _IN_FILE))


def _named(name: str, patterns: Mapping[str, re.Pattern[str]]) -> list[str]:
    return [split for split, pattern in patterns.items() if pattern.fullmatch(name)]


def _only(path: PurePath, splits: Sequence[str]) -> str | None:
    if len(set(splits)) > 1:
        raise DatasetError(
            f"{path}: its name belongs to the splits {' and '.join(ordered(splits))}; rename it after one"
        )
    return splits[0] if splits else None


def check_complete(folder: Path, found: Mapping[str, Sequence[Path]]) -> None:
    """Raise DatasetError for a folder that lacks shards, or that `generate` was interrupted in."""
    settings = read_settings(folder) or {}
    if settings.get("made_by") == "unblind generate":
        missing = [split for split in SPLITS if settings.get(split) and split not in found]
        if missing:
            raise DatasetError(
                f"{folder}: incomplete, there is no {' and no '.join(missing)} split yet;"
                " run the same `unblind generate` again, which continues where it stopped"
            )
    for split, paths in found.items():
        sets: dict[tuple[Path, str, str], set[str]] = {}
        for path in paths:
            if shard := SHARD.fullmatch(path.name):
                sets.setdefault((path.parent, shard["split"], shard["of"]), set()).add(shard["number"])
        for (_, _, total), numbers in sets.items():
            if len(numbers) != int(total):
                raise DatasetError(
                    f"{folder}: {len(numbers)} of the {int(total)} files of split {split} are there;"
                    " run the command that made them again"
                )


def are_one(files: Sequence[Path]) -> bool:
    """Whether the files are one: a single one, or the shards of a single one."""
    names = {(path.parent, shard["split"], shard["of"]) if (shard := SHARD.fullmatch(path.name)) else path
             for path in files}  # fmt: skip
    return len(names) == 1


def own_output(path: Path, folder: Path) -> bool:
    """Whether one of our commands wrote the file as a result: predictions, logs, metrics; not a dataset.

    The nearest of its folders that has our settings tells, up to the dataset's.
    """
    if path.name == "predictions.parquet" and (path.parent / "metrics.json").is_file():
        return True
    for parent in path.parents:
        settings = read_settings(parent)
        if settings is not None:
            return bool(settings["made_by"] != "unblind generate")
        if parent == folder:
            return False
    return False
