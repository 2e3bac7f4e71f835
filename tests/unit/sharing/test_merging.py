"""Merging an adapter of `unblind train` onto its base, and the difference that is reported."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel

import emulated_card
import small_model
from emulated_card import GB
from unblind.errors import ModelError
from unblind.models.loading import load
from unblind.models.memory_estimate import Memory
from unblind.models.paligemma_shapes import known_config
from unblind.recipe import TrainOptions
from unblind.runtime.device_memory import free_memory
from unblind.sharing.export import export
from unblind.sharing.merging import device_with_room, merge_adapter
from unblind.training.run import fit

ROWS = list(small_model.samples(6, seed=3))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model.checkpoint(tmp_path_factory.mktemp("small") / "base")


def run(base: Path, out: Path, **changes: object) -> Path:
    """The folder of a short run with a learning rate that moves the answers."""
    told = TrainOptions(
        data="in memory", out=out, model=str(base), max_steps=4, batch_size=4, accumulation=1, rank=4,
        warmup_steps=0, learning_rate=3e-2, eval_every=0, device="cpu", dtype="float32",
    )  # fmt: skip
    told = replace(told, **changes)
    loaded = load(str(base), device="cpu", dtype=told.dtype, quantization=told.quantization)
    fit(loaded, small_model.samples(16), None, told)
    return out


def shares(model: torch.nn.Module) -> torch.Tensor:
    batch = small_model.collator(answers=False)(ROWS)
    with torch.no_grad():
        return model(**batch, logits_to_keep=1).logits[:, -1].float().softmax(-1)


@pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing`:FutureWarning"
)  # peft 0.21 on transformers 5.23
def test_saved_then_loaded_by_plain_peft_then_merged_gives_the_same_answers(
    base: Path, tmp_path: Path
) -> None:
    out = run(base, tmp_path / "run")
    ours = shares(load(str(base), adapter=out, device="cpu", dtype="float32").model)
    theirs = PeftModel.from_pretrained(small_model.model(), out / "adapter").eval()
    torch.testing.assert_close(shares(theirs), ours, rtol=0, atol=1e-6)  # `load` has its own attention
    merged, difference = merge_adapter(str(base), out, ROWS, device="cpu")
    merged.model.save_pretrained(tmp_path / "merged")
    again = type(merged.model).from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(shares(again), ours, rtol=0, atol=1e-5)
    assert not torch.allclose(ours.log(), shares(small_model.model()).log(), atol=0.1)
    assert (difference.samples, difference.same, difference.quantization) == (6, 1.0, None)
    assert 0 <= difference.mean <= difference.largest < 1e-5


def test_an_adapter_of_4_bit_weights_moves_by_their_rounding(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    out = run(base, tmp_path / "run", quantization="nf4")
    merged, difference = merge_adapter(str(base), out, ROWS, device="cpu", dtype="bfloat16")
    assert {p.dtype for p in merged.model.parameters()} == {torch.bfloat16}
    assert merged.adapter is None and not isinstance(merged.model, PeftModel)
    assert difference.quantization == "nf4"
    coarse = shares(load(str(base), adapter=out, device="cpu", dtype="float32", quantization="nf4").model)
    expected = (coarse - shares(merged.model).float()).abs().sum(-1) / 2
    assert difference.mean == pytest.approx(expected.mean().item(), abs=1e-6)
    assert 0 < difference.mean <= difference.largest == pytest.approx(expected.max().item(), abs=1e-6)


def test_the_dtype_is_that_of_the_checkpoint_and_the_samples_are_drawn(tmp_path: Path) -> None:
    from unblind.models.adapters import add_adapter

    add_adapter(load("tiny", device="cpu").model, {"language": "lora"}, rank=1).save_pretrained(tmp_path)
    merged, difference = merge_adapter("tiny", tmp_path, device="cpu")
    assert merged.model.dtype == torch.bfloat16
    assert difference.samples == 32 and difference.largest < 0.2  # a new adapter changes nothing


def test_no_samples_are_refused(base: Path, tmp_path: Path) -> None:
    out = run(base, tmp_path / "run", max_steps=1)
    with pytest.raises(ModelError, match="no samples"):
        merge_adapter(str(base), out, [])


def test_what_pytorch_reserves_and_does_not_use_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    card = emulated_card.install(monkeypatch, 16 * GB, {})
    card.allocate(10 * GB)
    card.free(10 * GB)
    assert card.reserved == 10 * GB
    assert free_memory(torch.device("cuda")) == 16 * GB - emulated_card.CONTEXT


@pytest.mark.parametrize(
    ("total", "model", "device"),
    [
        (16 * GB, "google/paligemma2-3b-pt-224", "cuda"),
        (24 * GB, "google/paligemma2-3b-pt-448", "cuda"),
        (12 * GB, "google/paligemma2-3b-pt-224", "cpu"),
        (24 * GB, "google/paligemma2-10b-pt-224", "cpu"),
    ],
)
def test_a_card_that_is_too_small_leaves_merging_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch, total: int, model: str, device: str
) -> None:
    emulated_card.install(monkeypatch, total, {})
    monkeypatch.setattr("unblind.sharing.merging.configuration", lambda name, _: known_config(name))
    assert device_with_room(model, None, "cuda", "float32") == device


@pytest.mark.parametrize(("total", "devices"), [(16, ["cuda", "cuda", "cuda"]), (11, ["cuda", "cpu", "cpu"])])
def test_export_has_one_model_on_a_card_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    base: Path,
    tmp_path: Path,
    total: int,
    devices: list[str],
) -> None:
    """Trained in bfloat16, merged in float32, loaded again: 6 and 12 GB, as PaliGemma 2 3B has."""
    out = run(base, tmp_path / "run", dtype="bfloat16", max_steps=1)
    card = emulated_card.install(monkeypatch, total * GB, {"bfloat16": 6 * GB, "float32": 12 * GB})
    monkeypatch.setattr("unblind.sharing.merging.evaluation_memory", lambda *_, **__: Memory(weights=12 * GB))
    export(tmp_path / "merged", out, model=str(base), device="cuda", dtype="float32", samples=2)
    assert card.loaded == devices
    assert ("merging on the CPU" in capfd.readouterr().err) == ("cpu" in devices)
    assert card.most == (12 * GB if "cuda" in devices[1:] else 6 * GB)
    assert card.allocated == 0
