"""The real PaliGemma 2, without its weights: its published shapes, and what the recipes make trainable."""

import itertools
from pathlib import Path

import pytest
import torch
from transformers import PaliGemmaForConditionalGeneration, PaliGemmaProcessor

import small_model
from unblind.evaluation.run import evaluate
from unblind.models.adapters import add_adapter, trainable_parameters
from unblind.models.collate import Collator
from unblind.models.loading import load
from unblind.models.paligemma import FAMILY
from unblind.models.paligemma_shapes import IMAGE_TOKEN, known_config, make_config
from unblind.recipe import TrainOptions, load_recipe
from unblind.tiny.build import new_processor
from unblind.training.run import fit


def adapted(recipe: str) -> torch.nn.Module:
    """The model of a recipe, on the meta device, with what the recipe adds."""
    options = TrainOptions(**{"data": "d", "out": Path("o")} | load_recipe(recipe))
    with torch.device("meta"):
        base = PaliGemmaForConditionalGeneration(known_config(options.model)).to(torch.bfloat16)
        return add_adapter(
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


def test_every_official_checkpoint_is_known() -> None:
    sizes = ("paligemma-3b", "paligemma2-3b", "paligemma2-10b", "paligemma2-28b")
    for size, kind, pixels in itertools.product(sizes, ("pt", "mix"), (224, 448, 896)):
        config = known_config(f"google/{size}-{kind}-{pixels}")
        assert config.vision_config.image_size == pixels
        assert config.text_config.model_type == ("gemma2" if "2-" in size else "gemma")


def reduced(
    pixels: int, gemma2: bool, heads: tuple[int, int] | None = None
) -> PaliGemmaForConditionalGeneration:
    """As published, but one narrow layer in the tower and two in the language model; real vocabulary."""
    heads = heads or ((8, 4) if gemma2 else (8, 1))
    config = make_config(64, 2, 128, *heads, 16, 16, pixels=pixels, gemma2=gemma2, vision_layers=1)
    vision = config.vision_config
    vision.hidden_size, vision.intermediate_size, vision.num_attention_heads = 64, 128, 4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PaliGemmaForConditionalGeneration(config).eval()
        model.model.language_model.embed_tokens.weight.data.normal_()
    return model


def processor(pixels: int) -> PaliGemmaProcessor:
    made = new_processor()
    made.image_processor.size = {"height": pixels, "width": pixels}
    made.image_processor.image_seq_length = made.image_seq_length = (pixels // 14) ** 2
    return made


@pytest.fixture(scope="module", params=[False, True], ids=["paligemma", "paligemma2"])
def at_224(request: pytest.FixtureRequest) -> tuple[PaliGemmaForConditionalGeneration, Collator]:
    real = processor(224)
    real.image_token_id = IMAGE_TOKEN
    return reduced(224, request.param), Collator(FAMILY, real)


def row(prompt: str, answer: str) -> dict:
    return dict(small_model.samples(1)[0]) | {"prompt": prompt, "answer": answer}


@torch.no_grad()
def states(model: PaliGemmaForConditionalGeneration, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    keys = ("input_ids", "attention_mask", "token_type_ids", "pixel_values")
    return model.model(**{key: batch[key] for key in keys}).last_hidden_state


def test_the_mask_on_the_real_shape(at_224: tuple) -> None:
    model, collate = at_224
    batch = collate([row("Which letter?", "abc")])
    before = states(model, batch)[0]
    for place in (-4, -2):  # a letter of the answer, and its last
        changed = batch | {"input_ids": batch["input_ids"].clone()}
        changed["input_ids"][0, place] += 1
        after = states(model, changed)[0]
        torch.testing.assert_close(after[:place], before[:place], rtol=0, atol=1e-6)
        assert not torch.allclose(after[place:], before[place:], atol=1e-4)
    batch["input_ids"][0, 260] += 1  # of the question
    assert ((states(model, batch)[0, :256] - before[:256]).abs().amax(-1) > 0).all()


def test_the_loss_on_the_real_shape(at_224: tuple) -> None:
    model, collate = at_224
    batch = collate([row("Which letter?", "a"), row("Which?", "xyz")])
    with torch.no_grad():
        ours = model(**batch).loss
        full = model.lm_head(states(model, batch)).float()
    cap = getattr(model.config.text_config, "final_logit_softcapping", None)
    full = full if cap is None else torch.tanh(full / cap) * cap
    shares = full.log_softmax(-1)
    right = [
        -shares[i, place - 1, batch["input_ids"][i, place]]
        for i, place in batch["token_type_ids"].nonzero().tolist()
    ]
    assert len(right) == 2 + 4
    assert ours.item() == pytest.approx(torch.stack(right).mean().item(), abs=1e-5)


def test_padding_on_the_real_shape(at_224: tuple) -> None:
    model, collate = at_224
    rows = [row("Which letter?", "a"), row("Which?", "xyz")]
    together = states(model, collate(rows))
    for i, one in enumerate(rows):
        alone = states(model, collate([one]))[0]
        torch.testing.assert_close(together[i, -len(alone) :], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pixels", "gemma2"), [(448, False), (448, True), (896, True)])
def test_other_sizes_train_and_answer(tmp_path: Path, pixels: int, gemma2: bool) -> None:
    model, made = reduced(pixels, gemma2, heads=(1, 1)), processor(pixels)
    model.config.image_token_id = made.image_token_id
    model.resize_token_embeddings(len(made.tokenizer), mean_resizing=False)
    model.save_pretrained(tmp_path / "base")
    made.save_pretrained(tmp_path / "base")
    loaded = load(str(tmp_path / "base"), device="cpu", dtype="float32")
    assert loaded.processor.image_seq_length == (pixels // 14) ** 2
    assert evaluate(loaded, small_model.samples(1), free=False).num_rows == 1
    told = TrainOptions(data="", out=tmp_path / "run", max_steps=1, batch_size=1, accumulation=1)
    assert fit(loaded, small_model.samples(2), None, told).metrics["samples"] == 1
