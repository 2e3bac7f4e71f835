"""Answers kept as they come, so that an evaluation goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from unblind.models.loading import Loaded
from unblind.models.weights import hash_weights
from unblind.runtime.distributed import world_size
from unblind.runtime.outputs import atomic
from unblind.runtime.versions import versions

ROWS_PER_FILE = 256  # an interruption costs the answers to as many samples at most, and a batch
_SECONDS = b"seconds"


@dataclass
class KeptAnswers:
    """Predictions in files of about ROWS_PER_FILE samples, in a folder of their own.

    Attributes:
        folder: of this evaluation alone; absent until the first part is written.
        seconds: that earlier processes took for the files read so far.
    """

    folder: Path
    seconds: float = 0.0

    def rows(self, batch_size: int) -> int:
        """How many samples a file holds: whole batches, as many for each of the processes."""
        together = world_size() * batch_size
        return -(-ROWS_PER_FILE // together) * together

    def read(self, start: int) -> pa.Table | None:
        """The file that begins with the sample `start`; None if it is not there."""
        path = self._path(start)
        if not path.is_file():
            return None
        table = pq.read_table(path, partitioning=None)
        metadata = dict(table.schema.metadata or {})
        self.seconds += float(metadata.pop(_SECONDS))
        return table.replace_schema_metadata(metadata or None)

    def write(self, start: int, table: pa.Table, seconds: float) -> None:
        """Keep a file, whole or not at all. Raises OutputError."""
        metadata = {**(table.schema.metadata or {}), _SECONDS: str(seconds)}
        with atomic(self._path(start)) as path:
            pq.write_table(table.replace_schema_metadata(metadata), path)

    def remove(self) -> None:
        """Delete these files, once they are joined, and those of other evaluations in the same folder."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:09d}.parquet"


def kept_answers(
    out: Path, loaded: Loaded, dataset: datasets.Dataset, options: Mapping[str, Any]
) -> KeptAnswers | None:
    """The kept answers of one evaluation, under `out`; None where there would be a single file.

    The folder's name is a hash of whatever decides an answer, weights and images included, so that no answer
    is kept for another model or dataset.
    """
    if len(dataset) <= ROWS_PER_FILE:
        return None
    key = hashlib.blake2b(digest_size=16)
    settings = [versions(), str(loaded.device.type), world_size(), options]
    key.update(json.dumps(settings, sort_keys=True).encode())
    hash_weights(key, loaded.model)
    for table in dataset.with_format("arrow").iter(ROWS_PER_FILE):
        for batch in table.to_batches():
            key.update(batch.serialize())
    return KeptAnswers(out / "parts" / key.hexdigest())
