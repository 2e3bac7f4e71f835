"""The attention of the language model: the same logits whatever computes it, and what each takes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import small_model
from unblind.models.attention import say_without, set_attention, trainable_attention
from unblind.models.memory_estimate import evaluation_memory, training_memory
from unblind.models.paligemma_shapes import known_config
from unblind.recipe import Attention, TrainOptions, load_recipe
from unblind.training.run import train

CPU = torch.device("cpu")
ROWS = [
    {**small_model.samples(1)[0], "prompt": "Which letter is being circled?", "answer": "abc"},
    {**small_model.samples(2)[1], "prompt": "Dark?", "answer": "b"},  # padded on the left
]


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    say_without.cache_clear()


def sharp_model() -> torch.nn.Module:
    """A model whose attention logits are large, so that it matters that they are capped."""
    model = small_model.model(width=64)
    for layer in model.model.language_model.layers:
        layer.self_attn.q_proj.weight.data *= 300
    return model


@torch.no_grad()
def logits(attention: Attention, cap: float | None, **batch: torch.Tensor) -> torch.Tensor:
    model = sharp_model()
    for layer in model.model.language_model.layers:
        layer.self_attn.attn_logit_softcapping = cap
    set_attention(model, attention)
    seen = batch["attention_mask"].bool()
    return model(**{name: value for name, value in batch.items() if name != "labels"}).logits[seen]


@pytest.mark.slow  # it is compiled
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")  # of transformers about PyTorch, and of PyTorch's compiler
def test_flex_gives_the_logits_of_eager() -> None:
    batch = small_model.collator()(ROWS)
    batch = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids", "pixel_values")}
    eager = logits("eager", 50.0, **batch)
    assert not torch.allclose(eager, logits("eager", None, **batch), atol=1e-2)  # the cap matters
    torch.testing.assert_close(logits("flex", 50.0, **batch), eager, rtol=0, atol=3e-4)


def test_gemma_2_has_no_sdpa_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    model = small_model.model()
    before = model.config.text_config._attn_implementation
    set_attention(model, "sdpa")
    assert model.config.text_config._attn_implementation == before == "eager"
    assert "--attention sdpa: gemma2 does not allow it; continuing with eager" in capfd.readouterr().err


def test_flex_leaves_the_tower_as_it_was() -> None:
    model = small_model.model()
    tower = model.config.vision_config._attn_implementation
    set_attention(model, "flex")
    assert model.config.text_config._attn_implementation == "flex_attention"
    assert model.config.vision_config._attn_implementation == tower


def test_only_flex_on_a_cpu_has_no_gradients(capfd: pytest.CaptureFixture[str]) -> None:
    assert trainable_attention("flex", torch.device("cuda")) == "flex"
    assert trainable_attention("eager", CPU) == "eager"
    assert capfd.readouterr().err == ""
    assert trainable_attention("flex", CPU) == "auto"
    assert "no backward pass for it on a CPU; continuing with auto" in capfd.readouterr().err


def test_training_on_a_cpu_falls_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    base = small_model.checkpoint(tmp_path / "base")
    small_model.samples(4).to_parquet(tmp_path / "train.parquet")
    options = TrainOptions(
        data=str(tmp_path / "train.parquet"), out=tmp_path / "run", model=str(base), device="cpu",
        dtype="float32", max_steps=1, batch_size=2, accumulation=1, attention="flex",
    )  # fmt: skip
    assert train(options).metrics["samples"] == 2
    assert "--attention flex" in capfd.readouterr().err


@pytest.mark.parametrize("checkpointing", [True, False])
def test_what_is_estimated(checkpointing: bool) -> None:
    """Eager holds the matrix of logits and its softmax in the head's precision, once a layer or in all."""
    config = known_config("google/paligemma2-3b-pt-448")
    told = TrainOptions(**load_recipe("paligemma2-3b-lora") | {"data": "", "out": Path()})
    told = replace(told, batch_size=2, gradient_checkpointing=checkpointing)
    eager, flex = (
        training_memory(config, replace(told, attention=name), torch.bfloat16) for name in ("eager", "flex")
    )
    assert (eager.weights, eager.adapter) == (flex.weights, flex.adapter)
    matrix = 2 * 8 * 1024**2 * 2  # batch, heads, tokens, bytes
    layers = 1 if checkpointing else config.text_config.num_hidden_layers
    assert eager.activations - flex.activations > 2 * layers * matrix


def test_evaluation_takes_less_with_flex() -> None:
    config = known_config("google/paligemma2-3b-pt-896")
    eager, flex = (
        evaluation_memory(config, torch.bfloat16, batch_size=1, attention=name) for name in ("eager", "flex")
    )
    assert eager.activations - flex.activations > 2 * 8 * 4096**2 * 2
