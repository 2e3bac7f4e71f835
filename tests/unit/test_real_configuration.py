"""The real PaliGemma 2, without its weights: its published shapes, and what the recipes make trainable."""

from pathlib import Path

import pytest
import torch
from transformers import PaliGemmaForConditionalGeneration

from unblind.adapt import adapt, trainable_parameters
from unblind.architectures import known_config
from unblind.recipe import TrainOptions, load_recipe


def adapted(recipe: str) -> torch.nn.Module:
    """The model of a recipe, on the meta device, with what the recipe adds."""
    options = TrainOptions(**{"data": "d", "out": Path("o")} | load_recipe(recipe))
    with torch.device("meta"):
        base = PaliGemmaForConditionalGeneration(known_config(options.model)).to(torch.bfloat16)
        return adapt(
            base,
            {"language": options.language, "projector": options.projector, "vision": options.vision},
            rank=options.rank,
            alpha=options.alpha,
            target_modules=options.target_modules,
        )


def test_the_notebooks_recipe_trains_what_the_notebook_did() -> None:
    model = adapted("seed-notebook")
    assert trainable_parameters(model) == 11_876_352
    assert sum(p.numel() for p in model.parameters()) == 3_044_118_768
    vision = sum(p.numel() for n, p in model.named_parameters() if p.requires_grad and "vision_tower" in n)
    assert (trainable_parameters(model) - vision, vision) == (10_383_360, 1_492_992)


def test_the_notebooks_recipe_is_the_notebooks() -> None:
    recipe = load_recipe("seed-notebook")
    expected = {"quantization": "nf4", "rank": 8, "learning_rate": 5e-5, "batch_size": 3, "accumulation": 16}
    expected |= {"epochs": 3, "warmup_steps": 2, "weight_decay": 1e-6, "optimizer": "paged_adamw_8bit"}
    expected |= {"prompt": "word", "dtype": "bfloat16", "quantize_vision": True}
    assert expected.items() <= recipe.items()


@pytest.mark.parametrize("recipe", ["paligemma2-3b-qlora", "paligemma2-3b-lora"])
def test_our_recipes_reach_all_linear_layers(recipe: str) -> None:
    names = {name for name, p in adapted(recipe).named_parameters() if p.requires_grad}
    language, vision = 26 * 7, 27 * 6
    assert len(names) == 2 * (language + 1 + vision)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("google/paligemma-3b-mix-448", 2.92),
        ("google/paligemma2-3b-pt-224", 3.03),
        ("google/paligemma2-10b-mix-448", 9.66),
        ("google/paligemma2-28b-pt-896", 27.7),
    ],
)
def test_the_official_checkpoints_are_known(name: str, billions: float) -> None:
    config = known_config(name)
    with torch.device("meta"):
        model = PaliGemmaForConditionalGeneration(config)
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, rel=0.005)
    assert config.vision_config.image_size == int(name[-3:])
    assert config.text_config.num_image_tokens == (int(name[-3:]) // 14) ** 2


def test_other_names_are_not_guessed() -> None:
    assert known_config("someone/paligemma2-3b-pt-224") is None
    assert known_config("google/paligemma2-7b-pt-224") is None
