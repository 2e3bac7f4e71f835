"""float16 on a base whose activations pass its largest number: right for products alone, else refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import small_model
from unblind.errors import ModelError
from unblind.evaluation.run import evaluate
from unblind.models.loading import Loaded, load
from unblind.recipe import TrainOptions
from unblind.training.run import fit

DTYPES = ("float32", "float16")
LARGEST = torch.finfo(torch.float16).max
ROWS = small_model.samples(8)
OPTIONS = TrainOptions(
    data="in memory", out=Path(), max_steps=4, batch_size=4, accumulation=1, rank=2, log_every=1,
    learning_rate=1e-3, eval_every=2, device="cpu", warmup_steps=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base that adds up numbers of 100,000, as the norms behind attention and MLP are scaled."""
    folder = tmp_path_factory.mktemp("large")
    model = small_model.model()
    for layer in model.model.language_model.layers:
        for norm in (layer.post_attention_layernorm, layer.post_feedforward_layernorm):
            norm.weight.data += 1e5
    model.save_pretrained(folder)
    small_model.processor().save_pretrained(folder)
    return str(folder)


def plain(large: str) -> Loaded:
    loaded = load(large, device="cpu", dtype="float32")
    loaded.model.half()
    return replace(loaded, compute_dtype=torch.float16)


def test_products_are_float16_and_what_is_added_up_is_float32(large: str) -> None:
    loaded = load(large, device="cpu", dtype="float16")
    assert loaded.model.dtype == torch.float32 and loaded.compute_dtype == torch.float16
    products: set[torch.dtype] = set()
    residual: list[torch.Tensor] = []
    for module in loaded.model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda _, __, output: products.add(output.dtype))
    layer = loaded.model.model.language_model.layers[-1]
    layer.register_forward_pre_hook(lambda _, inputs: residual.append(inputs[0]))
    evaluate(loaded, ROWS, free=False)
    assert products == {torch.float16}
    assert {states.dtype for states in residual} == {torch.float32}
    assert max(float(states.abs().max()) for states in residual) > LARGEST


@torch.no_grad()
def test_evaluation_is_right(large: str) -> None:
    batch = small_model.collator(answers=False)(list(ROWS))
    exact, ours = (load(large, device="cpu", dtype=dtype).model(**batch).logits for dtype in DTYPES)
    assert float((ours.float() - exact).abs().mean() / exact.std()) < 0.01
    expected, found = (evaluate(load(large, device="cpu", dtype=dtype), ROWS, free=False) for dtype in DTYPES)
    firm = [i for i, top in enumerate(expected["top5"].to_pylist()) if margin(top) > 0.02]
    assert len(firm) >= 4
    assert [found["restricted"][i] for i in firm] == [expected["restricted"][i] for i in firm]


def margin(top: str) -> float:
    """By how much the likeliest letter is likelier than the next."""
    (_, first), (_, second), *_ = json.loads(top)
    return first - second


def test_training_is_right(large: str, tmp_path: Path) -> None:
    losses = {}
    for dtype in DTYPES:
        loaded = load(large, device="cpu", dtype=dtype)
        out = tmp_path / dtype
        fit(loaded, ROWS, ROWS, replace(OPTIONS, out=out, dtype=dtype))
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        losses[dtype] = [row["loss"] for row in log if "loss" in row]
    assert losses["float16"] == pytest.approx(losses["float32"], rel=0.02)


def test_plain_float16_is_refused_by_evaluation(large: str) -> None:
    with pytest.raises(ModelError, match="logits in float16 are infinite or no numbers"):
        evaluate(plain(large), ROWS)


def test_plain_float16_stops_training(large: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the loss is nan at step 1: .* wider --dtype"):
        fit(plain(large), ROWS, None, replace(OPTIONS, out=tmp_path / "run"))
    assert not (tmp_path / "run" / "adapter").exists()
