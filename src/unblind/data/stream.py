"""Samples that are drawn while a model trains on them, instead of being stored.

`stream:` and the options of `unblind generate`: `stream:words=random,padding=25 200`, or
`stream:OPTIONS.yaml`. Sample number i of a stream is row i of the split `train` that `generate` would make.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import datasets
from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Dict
from PIL import Image

from unblind.data.generation import GenerateOptions, Maker, make_maker
from unblind.errors import RecipeError
from unblind.recipe import STREAM, read_mapping

_MEANINGLESS = {"train", "test", "layout", "preset"}  # of a dataset that is stored


@dataclass(frozen=True)
class Stream:
    """The first `length` rows of a training split; row i is drawn when it is asked for, from i alone.

    The processes of a task and a run that is resumed take the rows by their numbers, so that none is drawn
    by two, and what a run has behind it is not drawn again.
    """

    maker: Maker
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A row as in layouts.COLUMNS, its image decoded."""
        (row,) = self.maker.samples("train", index, index + 1)
        return row | {"image": Image.fromarray(row["image"])}


@lru_cache(maxsize=1)
def stream_maker(source: str) -> Maker:
    """What draws the samples of `stream:...`.

    Raises:
        RecipeError: an option that `generate` does not have, or that says nothing of a stream.
        SceneError, WordsError, FontsError: as `generate` does.
    """
    maker = make_maker(Path(), _options(source))
    next(maker.scenes("train", 0, 1))  # what cannot be drawn is refused before a model is loaded
    return maker


def validation_of(maker: Maker, count: int) -> datasets.Dataset | None:
    """The first `count` rows of the stream's split `validation`; None for no row."""
    rows = list(maker.rows("validation", 0, min(count, maker.options.validation)))
    features = datasets.Features.from_arrow_schema(maker.schema)
    return datasets.Dataset.from_list(rows, features) if rows else None


def _options(source: str) -> GenerateOptions:
    """Parsed as the command line parses them."""
    told = source.removeprefix(STREAM)
    values = read_mapping(Path(told)) if told.endswith((".yaml", ".yml")) else _pairs(source, told)
    values = {str(name).replace("-", "_"): value for name, value in values.items()}
    if useless := _MEANINGLESS & values.keys():
        raise RecipeError(f"{source}: {', '.join(sorted(useless))} says nothing of a stream; leave it out")
    app = App(config=Dict(values, source=source, use_commands_as_keys=False))

    @app.default
    def parsed(
        *, options: Annotated[GenerateOptions, Parameter(name="*")] = GenerateOptions()
    ) -> GenerateOptions:
        return options

    try:
        found: GenerateOptions = app([], exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise RecipeError(f"{str(error).rstrip('.')}; `unblind generate --help` lists the options") from None
    return found


def _pairs(source: str, told: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for part in told.split(",") if told else []:
        name, equals, value = part.partition("=")
        if not equals:
            raise RecipeError(f"{source}: {part!r} is no option; write NAME=VALUE,..., or name a YAML file")
        values[name.strip()] = value.split() if " " in value.strip() else value.strip()
    return values
