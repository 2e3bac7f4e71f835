"""Building a dataset folder: rows -> shards, in parallel and resumable."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa

from unblind.data.dataset_card import dataset_card
from unblind.data.dataset_options import DatasetOptions
from unblind.data.mixture import Mixture, mixture_of
from unblind.data.storage import (
    folder_columns,
    join_metadata,
    parquet_schema,
    size_of,
    write_folder,
    write_parquet,
)
from unblind.errors import RecipeError
from unblind.runtime.outputs import atomic, claim, remove_leftovers, write_text
from unblind.runtime.progress import progress
from unblind.runtime.ray_pool import map_on_ray
from unblind.runtime.worker_pool import map_in_processes
from unblind.tasks.splits import Split

Engine = Literal["local", "ray"]

SHARD_ROWS = 2_000


@dataclass(frozen=True)
class Shard:
    """The rows `start` to `stop` of a split: drawn by one process, written at once."""

    split: Split
    number: int
    of: int
    start: int
    stop: int


def generate(out: Path, options: DatasetOptions, *, workers: int = 0, engine: Engine = "local") -> None:
    """Make a dataset folder, or complete one that was interrupted.

    Args:
        out: the folder; new, empty, or made by the same call before.
        options: what to make; the bytes depend on nothing else.
        workers: number of processes; 0: as many as there are cores. With more than one, a script that calls
            this needs the usual `if __name__ == "__main__":`, as with any pool of processes.
        engine: `local`, or `ray`: the machines of a Ray cluster, each of which must see `out`.

    Raises:
        OutputError: the folder holds something else, was made with other settings, is in use or not writable.
        WordsError, FontsError, SceneError, RecipeError: nothing can be drawn with these options.
    """
    if workers < 0:
        raise RecipeError(f"--workers {workers}: need 0 (all cores) or more")
    if engine not in get_args(Engine):
        raise RecipeError(f"--engine {engine}: need one of {', '.join(get_args(Engine))}")
    out = Path(out)
    builder = builder_for(out if engine == "local" else out.absolute(), options)
    shards = plan(options)
    for split, count in options.rows.items():
        builder.mixture.try_out(split, count)  # before anything is written
    with claim(out, settings_of(builder.mixture), made_by="unblind generate"):
        missing = [shard for shard in shards if not builder.path(shard).exists()]
        card, without_sizes = out / "README.md", _card(builder, [])
        if missing or not card.exists() or card.read_text("utf-8") == without_sizes:
            # the card comes first: by its numbers of rows `datasets` refuses a folder that is not complete
            write_text(card, without_sizes)
            _draw_all(builder, shards, missing, workers, engine)
            write_text(card, _card(builder, shards))


def drawn(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """The first rows of the test split of a default dataset with this seed, without writing one."""
    options = DatasetOptions(train=0, validation=0, test=count, seed=seed)
    return list(mixture_of(options).rows("test", 0, count))


def remarks(options: DatasetOptions) -> list[str]:
    """What a person should know of what a dataset of these options is drawn with."""
    return mixture_of(options).remarks


def builder_for(out: Path, options: DatasetOptions) -> Builder:
    """What makes a dataset's files. Raises what the tasks raise where words or fonts are missing."""
    mixture = mixture_of(options)
    return Builder(out, mixture, parquet_schema(mixture.columns))


def _draw_all(
    builder: Builder, shards: list[Shard], missing: list[Shard], workers: int, engine: Engine
) -> None:
    options = builder.mixture.options
    with progress("Drawing", sum(options.rows.values())) as advance:
        advance(sum(shard.stop - shard.start for shard in shards if shard not in missing))
        map_unordered = map_on_ray if engine == "ray" else map_in_processes
        # closed at once when something fails, so that no process goes on
        with closing(map_unordered(builder.make, missing, workers)) as done:
            for rows in done:
                advance(rows)
    if engine == "ray":
        remove_leftovers(builder.out)  # what lost machines left
    if options.layout == "imagefolder":
        for split in {shard.split for shard in shards}:
            folders = [builder.path(shard) for shard in shards if shard.split == split]
            join_metadata(builder.out / split, folders, builder.folder_columns)


def plan(options: DatasetOptions) -> list[Shard]:
    """The shards of a dataset."""
    shards = []
    for split, count in options.rows.items():
        starts = range(0, count, SHARD_ROWS)
        for number, start in enumerate(starts):
            shards.append(Shard(split, number, len(starts), start, min(start + SHARD_ROWS, count)))
    return shards


@dataclass(frozen=True)
class Builder:
    """Everything that a process needs to make a shard."""

    out: Path
    mixture: Mixture
    schema: pa.Schema

    @property
    def folder_columns(self) -> dict[str, str]:
        """The columns of an image folder's metadata.csv, each with the row's column that it is."""
        return folder_columns(self.mixture.tasks, self.mixture.columns)

    def path(self, shard: Shard) -> Path:
        """Where the finished shard lies; it is there only if it is whole."""
        if self.mixture.options.layout == "imagefolder":
            return self.out / shard.split / f"{shard.number:05d}"
        return self.out / "data" / f"{shard.split}-{shard.number:05d}-of-{shard.of:05d}.parquet"

    def make(self, shard: Shard) -> int:
        """Draw and write a shard, whole or not at all; returns the number of its rows."""
        path, rows = self.path(shard), self.mixture.rows(shard.split, shard.start, shard.stop)
        with atomic(path) as temporary:
            if self.mixture.options.layout == "imagefolder":
                folder = path.relative_to(self.out).as_posix()
                write_folder(temporary, folder, rows, self.folder_columns)
            else:
                write_parquet(temporary, rows, self.schema)
        return shard.stop - shard.start


def settings_of(mixture: Mixture) -> dict[str, Any]:
    """The options, and what the names of words, fonts and the like stood for when they were used."""
    settings = asdict(mixture.options) | dict(mixture.options.rows)
    for name in ("replay", "shift", "skip_odd_words"):  # which older datasets did not know
        if not settings.get(name):
            settings.pop(name, None)
    for component in mixture.components:
        for name, value in component.task.hashes(component.resources).items():
            settings[f"{component.task.name} {name}" if name in settings else name] = value
    return settings


def _card(builder: Builder, shards: list[Shard]) -> str:
    mixture = builder.mixture
    sizes = dict.fromkeys((split for split, count in mixture.options.rows.items() if count), 0)
    for shard in shards:
        sizes[shard.split] += size_of(builder.path(shard))
    return dataset_card(mixture, sizes, builder.folder_columns)
