"""Quantization: what is quantized by choice, the head never; merging onto the unquantized base."""

from pathlib import Path

import pytest
import torch

import small_model
from unblind.evaluation.run import evaluate
from unblind.models.adapters import add_adapter, load_adapter, merge
from unblind.models.collate import Collator
from unblind.models.loading import load

pytest.importorskip("bitsandbytes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model.checkpoint(tmp_path_factory.mktemp("small") / "base")


def quantized(model: torch.nn.Module) -> set[str]:
    kinds = ("Linear4bit", "Linear8bitLt")
    return {name for name, module in model.named_modules() if type(module).__name__ in kinds}


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_tower_and_projector_are_quantized_by_choice_and_the_head_never(folder: Path, kind: str) -> None:
    spared = quantized(load(str(folder), quantization=kind, device="cpu").model)
    assert len(spared) == 2 * 7 and all(".language_model." in name for name in spared)
    all_of_it = quantized(load(str(folder), quantization=kind, device="cpu", quantize_vision=True).model)
    assert len(all_of_it) == 2 * 7 + 1 + 2 * 6
    assert "lm_head" not in all_of_it


def test_evaluation_costs_no_gradients_on_cpus_with_avx512_bf16(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    loaded = load(str(folder), quantization="nf4", device="cpu", dtype="bfloat16")
    layers = [m for m in loaded.model.modules() if type(m).__name__ == "Linear4bit"]
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)
    evaluate(loaded, small_model.samples(2))
    model = add_adapter(loaded.model, {"language": "lora"}).train()
    model(**Collator(loaded.family, loaded.processor)(list(small_model.samples(2)))).loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("double", [False, True])
def test_double_quantization_is_a_choice(folder: Path, double: bool) -> None:
    model = load(str(folder), quantization="nf4", device="cpu", double_quantization=double).model
    state = model.model.language_model.layers[0].mlp.up_proj.weight.quant_state
    assert state.nested is double


def test_an_adapter_of_4_bit_weights_is_merged_onto_the_whole_base(folder: Path, tmp_path: Path) -> None:
    batch = small_model.collator()(list(small_model.samples(4)))
    coarse = add_adapter(
        load(str(folder), quantization="nf4", device="cpu", dtype="float32").model, {"language": "lora"}
    )
    for parameter in coarse.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05
    coarse.save_pretrained(tmp_path)
    with torch.no_grad():
        seen = coarse.eval()(**batch).logits
        fine = load_adapter(load(str(folder), device="cpu", dtype="float32").model, tmp_path).eval()
        expected = fine(**batch).logits
        merged = merge(fine)(**batch).logits
    torch.testing.assert_close(merged, expected, rtol=1e-4, atol=1e-4)
    difference = ((merged - seen).abs().mean() / seen.std()).item()
    print(f"merged against 4 bit: {difference:.1%} of the logits' spread")
    assert 0 < difference < 0.5  # NF4's own rounding, no more
