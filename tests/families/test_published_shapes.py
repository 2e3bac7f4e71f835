"""The shapes that come along are the published ones."""

from __future__ import annotations

import pytest
import torch

from unblind.models.loading import configuration
from unblind.models.registry import family_of
from unblind.models.weights import on_meta, parameters_by_part
from unblind.recipe import TrainOptions, load_recipe

PARAMETERS = {  # rounded as the models' pages have them: 8.46, 4.3, 2.25, 3.75, 4.44, 0.9 and 8.0 G
    "HuggingFaceM4/Idefics3-8B-Llama3": 8_462_086_384,
    "google/gemma-3-4b-it": 4_300_079_472,
    "HuggingFaceTB/SmolVLM2-2.2B-Instruct": 2_246_784_880,
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen3-VL-4B-Instruct": 4_437_815_808,
    "llava-hf/llava-onevision-qwen2-0.5b-ov-hf": 893_675_552,
    "llava-hf/llava-onevision-qwen2-7b-ov-hf": 8_030_348_832,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_parameters_are_as_many_and_each_part_has_some(name: str) -> None:
    config = configuration(name, known=True)
    model = on_meta(config, torch.bfloat16)
    parts = parameters_by_part(model)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]
    assert all(parts.values()) and parts["language"] > parts["vision"] > parts["projector"]


@pytest.mark.parametrize("name", [name for name in PARAMETERS if "Idefics3" not in name])
def test_each_family_has_recipes_for_what_is_published(name: str) -> None:
    recipes = [load_recipe(recipe) for recipe in family_of(configuration(name, known=True)).cures]
    assert name in {recipe["model"] for recipe in recipes}
    assert {recipe.get("quantization") for recipe in recipes} == {None, "nf4"}
    for recipe in recipes:
        options = TrainOptions(**recipe | {"data": "circles", "out": "run"})
        assert options.batch_size * options.accumulation == 32
