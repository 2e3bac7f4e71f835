"""Samples that are drawn while a model trains on them, instead of being stored.

`stream:` and the options of `unblind generate`: `stream:task=two-circles`,
`stream:words=random,padding=25 200`, or `stream:OPTIONS.yaml`. Sample number i of a stream is row i of the
split `train` that `generate` would make.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import datasets
from PIL import Image

from unblind.data.dataset_options import GenerateOptions
from unblind.data.mixture import Mixture, mixture_of
from unblind.data.storage import parquet_schema
from unblind.errors import RecipeError
from unblind.options import build, pairs
from unblind.recipe import STREAM, read_mapping

_MEANINGLESS = {"train", "test", "layout", "preset"}  # of a dataset that is stored


@dataclass(frozen=True)
class Stream:
    """The first `length` rows of a training split; row i is drawn when it is asked for, from i alone.

    The processes of a run and a run that is resumed take the rows by their numbers, so that none is drawn
    by two, and what a run has behind it is not drawn again.
    """

    mixture: Mixture
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A row as `Mixture.samples` has it, its image decoded."""
        (row,) = self.mixture.samples("train", index, index + 1)
        return row | {"image": Image.fromarray(row["image"])}


@lru_cache(maxsize=1)
def stream_mixture(source: str) -> Mixture:
    """What draws the samples of `stream:...`.

    Raises:
        RecipeError: an option that `generate` does not have, or that says nothing of a stream.
        SceneError, WordsError, FontsError: as `generate` does.
    """
    mixture = mixture_of(_options(source))
    mixture.try_out("train", mixture.options.train)  # before a model is loaded
    return mixture


def validation_of(mixture: Mixture, count: int) -> datasets.Dataset | None:
    """The first `count` rows of the stream's split `validation`; None for no row."""
    rows = list(mixture.rows("validation", 0, min(count, mixture.options.validation)))
    features = datasets.Features.from_arrow_schema(parquet_schema(mixture.columns))
    return datasets.Dataset.from_list(rows, features) if rows else None


def _options(source: str) -> GenerateOptions:
    text = source.removeprefix(STREAM)
    if text.endswith((".yaml", ".yml")):
        values = {str(name).replace("-", "_"): value for name, value in read_mapping(Path(text)).items()}
    else:
        values = pairs(text.split(",") if text else [], source)
    if useless := _MEANINGLESS & values.keys():
        raise RecipeError(f"{source}: {', '.join(sorted(useless))} says nothing of a stream; leave it out")
    return build(GenerateOptions, values, source)
