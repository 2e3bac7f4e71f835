"""A merged checkpoint: base and adapter in one, which plain transformers, 4.57 and 5, loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from unblind.data.generation import drawn
from unblind.errors import ModelError
from unblind.evaluation.answers import Answer, answers, ask
from unblind.models.finite import refuse_broken_adapter
from unblind.models.loading import DTYPES, Loaded, configuration, load
from unblind.models.published_files import publish
from unblind.runtime.device_memory import give_back
from unblind.runtime.outputs import atomic, refuse_content, write_text
from unblind.sharing.hub_results import found_results, read_results
from unblind.sharing.merging import BATCH, Difference, device_with_room, merge_adapter
from unblind.sharing.model_card import model_card
from unblind.sharing.origin import Origin, public_name, read_origin, write_origin
from unblind.tasks.base import Row

# What merging may change by rounding alone: the mean total variation distance of the next token, where the
# weights were not quantized; and the logits' mean change by saving, in their standard deviations. For tiny in
# bfloat16 the latter was 0.0006.
SAME, CLOSE = 0.05, 0.05


def export(
    out: Path,
    adapter: Path,
    *,
    model: str | None = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    samples: int = 16,
    results: Sequence[Path] = (),
) -> Origin:
    """Merge an adapter into its base, and leave the folder `out` only if the result answers the same.

    The folder has safetensors, processor, tokenizer, chat template, generation config, a card (README.md),
    and unblind.json, which says where it came from. An adapter that was trained on quantized weights is
    merged onto the whole ones; how far that moves the answers is reported, and no reason to stop.

    Args:
        out: a new or empty folder.
        adapter: a run folder of `unblind train`, or one that peft saved.
        model: the adapter's base; None: what the run names.
        revision: of the base on the hub; None: what the run names.
        dtype: to save in: "auto" (the base's own), "float32", "bfloat16" or "float16". Merged and compared is
            in float32.
        device: "auto", "cpu", "cuda" or "mps"; the CPU is taken where it is too small.
        samples: drawn, on which it is checked.
        results: evaluation folders of the model, for the card; by default those of the quickstart that it
            belongs to.

    Returns:
        Where the model came from, with how it compared in `merged`.

    Raises:
        ModelError: no such adapter or base, they don't fit, a weight that is not finite, or the merged model
            answers otherwise.
        OutputError: `out` holds something, or cannot be written.
        DatasetError: evaluations beside the run that are damaged.
    """
    refuse_content(out)
    origin = read_origin(adapter, model, revision)
    refuse_broken_adapter(adapter)
    saved = _dtype(dtype, origin)
    before, after = read_results(results or found_results(adapter), adapter, origin, None)
    rows, prompt = drawn(samples), origin.options.get("prompt")
    merged, change = merge_adapter(
        origin.base, adapter, rows, revision=origin.revision, device=device, dtype="float32"
    )
    if change.quantization is None and not change.mean <= SAME:
        raise ModelError(
            f"merged, the model answers otherwise than {adapter} on its base (probabilities {change.mean:.1%}"
            " apart on average); nothing was written: is it an adapter of this base (--model)?"
        )
    expected = _answers(merged, rows, prompt)
    with atomic(out) as folder:
        merged.model.to(dtype=DTYPES[saved])  # type: ignore[call-arg]
        _refuse_overflow(merged, saved)
        merged.model.save_pretrained(str(folder))
        merged.processor.chat_template = merged.processor.chat_template or merged.family.chat_template
        merged.processor.save_pretrained(folder)
        publish(folder, merged.family)
        del merged  # two models at once may be more than fits
        give_back()
        room = device_with_room(str(folder), None, device, "float32")
        rounding = compare(expected, _answers(load(str(folder), device=room, dtype="float32"), rows, prompt))
        origin = replace(origin, merged=_told(change, saved, rounding))
        write_text(
            folder / "README.md", str(model_card("model", out.resolve().name, adapter, origin, before, after))
        )
        write_origin(folder, replace(origin, base=public_name(origin.base, adapter)))
    return origin


def compare(expected: tuple[list[Answer], Tensor], found: tuple[list[Answer], Tensor]) -> float:
    """How far two models' logits (n, V) are apart: on average, in standard deviations of the expected ones.

    Raises:
        ModelError: a restricted or free answer differs, or the logits are not close.
    """
    pairs = list(zip(expected[0], found[0], strict=True))
    others = sum((a.restricted, a.free) != (b.restricted, b.free) for a, b in pairs)
    distance = float((found[1] - expected[1]).abs().mean() / expected[1].std())
    if others or not distance <= CLOSE:
        raise ModelError(
            f"loaded again, the merged model answers {others} of {len(pairs)} samples otherwise (logits"
            f" {distance:.2%} of their spread away); nothing was written: save in float32 (--dtype float32)"
        )
    return distance


def _answers(loaded: Loaded, rows: Sequence[Row], prompt: str | None) -> tuple[list[Answer], Tensor]:
    """Answers, and the logits of each answer's first token: float32 (n, V), on the CPU."""
    given, logits = [], []
    for start in range(0, len(rows), BATCH):
        filled, questions = ask(loaded, rows[start : start + BATCH], prompt=prompt)
        given += answers(loaded, filled, questions)
        logits.append(filled.logits.cpu())
    return given, torch.cat(logits)


def _refuse_overflow(merged: Loaded, dtype: str) -> None:
    """Raise ModelError if a weight does not fit into the data type that it was brought to."""
    large = [name for name, weight in merged.model.named_parameters() if not bool(weight.isfinite().all())]
    if large:
        raise ModelError(
            f"{len(large)} weights are too large for {dtype}, among them {large[0]}; nothing was written:"
            " save in float32 (--dtype float32)"
        )


def _told(change: Difference, dtype: str, rounding: float) -> dict[str, str | int | float | None]:
    """What is said of a merge in public, shares in [0, 1]."""
    return {
        "dtype": dtype,
        "quantization": change.quantization,
        "samples": change.samples,
        "same": round(change.same * change.samples),
        "distance": round(change.mean, 6),
        "rounding": round(rounding, 6),
    }


def _dtype(name: str, origin: Origin) -> str:
    """The name of the data type to save in."""
    if name == "auto":
        stored = configuration(origin.base, origin.revision).dtype
        name = str(stored or torch.float32).removeprefix("torch.")
    if name not in DTYPES:
        raise ModelError(f"unknown dtype {name}; choose auto, {', '.join(DTYPES)} (--dtype)")
    return name
