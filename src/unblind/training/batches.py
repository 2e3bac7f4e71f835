"""Which rows share a batch: where blank paper is left out, those that have about as much drawn on them."""

from __future__ import annotations

from collections.abc import Iterator

import datasets
import numpy as np
import pyarrow.compute as pc
from torch.utils.data import Sampler

_BATCHES = 32  # sorted among themselves, and then shuffled


class AlikeBatches(Sampler[int]):
    """The rows in random order, but so that a batch's have images of one task and of similar sizes as PNG.

    A batch keeps as many patches of each image as its fullest one needs, so that unlike images would cost
    time for nothing.
    """

    def __init__(self, rows: datasets.Dataset, batch_size: int, seed: int) -> None:
        """For batches of consecutive rows; `rows` have their images encoded."""
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        table = rows.with_format("arrow").remove_columns(set(rows.column_names) - {"image", "task"})[:]
        self.sizes = pc.binary_length(pc.struct_field(table["image"], "bytes")).fill_null(0).to_numpy()
        tasks = table["task"].to_pylist() if "task" in table.column_names else [""] * len(table)
        self.kinds = np.unique([str(task) for task in tasks], return_inverse=True)[1]

    def set_epoch(self, epoch: int) -> None:
        """Each pass over the data has an order of its own."""
        self.epoch = epoch

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.sizes)

    def __iter__(self) -> Iterator[int]:
        """The rows' numbers, the last batch's that is not full at the end."""
        rng = np.random.default_rng((self.seed, self.epoch))
        rows = rng.permutation(len(self))
        for start in range(0, len(rows), _BATCHES * self.batch_size):
            chunk = rows[start : start + _BATCHES * self.batch_size]
            chunk = chunk[np.lexsort((self.sizes[chunk], self.kinds[chunk]))]
            batches = [chunk[i : i + self.batch_size] for i in range(0, len(chunk), self.batch_size)]
            full = [batch for batch in batches if len(batch) == self.batch_size]
            for i in rng.permutation(len(full)).tolist():
                yield from full[i].tolist()
            yield from (row for batch in batches[len(full) :] for row in batch.tolist())
