"""Families by the model type in a checkpoint's config.json: ours, and those that other packages register.

Theirs are entry points of the group `unblind.families`, named by the model type. One is imported when a
checkpoint names it, so that a broken one breaks nothing else. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from unblind.errors import ModelError
from unblind.models.family import Family
from unblind.runtime.entry_points import defects_in, load_registered, names_in

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

GROUP = "unblind.families"
GUIDE = "docs/add-a-family.md"
# Where each model type of ours has its family.
FAMILIES: dict[str, str] = {
    "paligemma": "unblind.models.paligemma:FAMILY",
    "gemma3": "unblind.models.gemma3:FAMILY",
    "idefics3": "unblind.models.idefics:FAMILY",
    "smolvlm": "unblind.models.idefics:SMOLVLM",
    "qwen2_5_vl": "unblind.models.qwen:FAMILY",
    "qwen3_vl": "unblind.models.qwen:QWEN3",
    "llava_onevision": "unblind.models.llava_onevision:FAMILY",
}


def family_of(config: PreTrainedConfig) -> Family:
    """The family of a model. Raises ModelError as `family_named` does."""
    return family_named(config.model_type)


@lru_cache(maxsize=64)
def family_named(model_type: str, checkpoint: str = "the checkpoint") -> Family:
    """The family of a model type; errors name the checkpoint that has it.

    Raises:
        ModelError: there is none (the known ones are listed), or another package's cannot be loaded.
    """
    if model_type in FAMILIES:
        return _own(FAMILIES[model_type])
    for entry in entry_points(group=GROUP, name=model_type):
        return _loaded(entry)
    raise ModelError(
        f"{checkpoint} is of the type {model_type or 'none'}; known are {', '.join(model_types())}: name a"
        f" model of these (--model), or add a family ({GUIDE})"
    )


def model_types() -> tuple[str, ...]:
    """The model types that have a family: ours first, then those of other packages, sorted."""
    return (*FAMILIES, *sorted(names_in(GROUP) - set(FAMILIES)))


def own_families() -> Iterator[Family]:
    """The families that come with Unblind, each once."""
    yield from map(_own, FAMILIES.values())


def _own(place: str) -> Family:
    module, _, name = place.partition(":")
    family: Family = getattr(import_module(module), name)
    return family


def broken_families() -> dict[str, str]:
    """The families of other packages that cannot be loaded, by model type, each with what is wrong."""
    return defects_in(GROUP, _loaded)


def _loaded(entry: EntryPoint) -> Family:
    called = f"the family of {entry.name}, {entry.value},"
    return load_registered(entry, Family, called, ModelError)  # type: ignore[type-abstract]
