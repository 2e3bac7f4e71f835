"""An adapter merged into its base, and what that changes in the answers.

An adapter that was trained on 4-bit weights has learnt beside their rounding errors. It is merged onto the
base's own weights all the same, because the sum cannot be rounded to 4 bits again without a loss. How far
the answers move by that is measured here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from torch import Tensor

from unblind.data.generation import drawn
from unblind.errors import ModelError
from unblind.evaluation.answers import ask
from unblind.models.adapters import merge
from unblind.models.loading import (
    DTYPES,
    Loaded,
    choose_device,
    configuration,
    load,
    load_as_trained,
)
from unblind.models.memory_estimate import ROOM, evaluation_memory
from unblind.recipe import TrainOptions, load_recipe
from unblind.runtime.device_memory import free_memory, give_back
from unblind.tasks.base import Row

SAMPLES, BATCH = 32, 8


@dataclass(frozen=True)
class Difference:
    """The merged model's next token after a question against the trained model's, on some samples.

    Attributes:
        samples: how many were asked.
        same: the share of them with the same likeliest token.
        mean: the mean over samples of the total variation distance of the two distributions, 0 to 1.
        largest: of these distances.
        quantization: of the weights that the adapter was trained on; None: they were whole.
    """

    samples: int
    same: float
    mean: float
    largest: float
    quantization: str | None


def merge_adapter(
    model: str,
    adapter: str | Path,
    rows: Sequence[Row] | None = None,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
) -> tuple[Loaded, Difference]:
    """Merge an adapter onto its unquantized base, and compare the answers with the trained model's.

    The trained model is the base as the run's config.yaml says it was quantized, with the adapter beside its
    weights. It is loaded first, and gone before the base is: one of them is in memory at a time.

    Args:
        model: the base: "tiny", a folder with a checkpoint, or an id on the Hugging Face hub.
        adapter: a run folder of `unblind train`, its folder adapter/, or any folder that peft saved.
        rows: with image and prompt, to compare the answers on; None: 32 drawn circles, held out.
        revision: of the base on the hub.
        device: "auto", "cpu", "cuda" or "mps"; merging goes to the CPU where the device is too small.
        dtype: of the merged weights; `auto` is that of the base's checkpoint (bfloat16 for Google's).

    Returns:
        The merged model, without an adapter, ready for `save_pretrained`; and the difference.

    Raises:
        ModelError: as `unblind.load` does; bitsandbytes is needed for an adapter of a quantized base.
        DatasetError: a broken row.
        RecipeError: the run's config.yaml is damaged.
    """
    run = _run_options(Path(adapter))
    rows = drawn(SAMPLES) if rows is None else rows
    before = _next_token_as_trained(run, model, adapter, rows, revision=revision, device=device)
    if dtype == "auto":
        dtype = str(configuration(model, revision).dtype or torch.float32).removeprefix("torch.")
    room = device_with_room(model, revision, device, dtype)
    if room != device:
        print(f"{device} is too small for {model} as {dtype}: merging on the CPU", file=sys.stderr)
    loaded = load(model, adapter=adapter, revision=revision, device=room, dtype=dtype)
    merged = replace(loaded, model=merge(cast(PeftModel, loaded.model)), adapter=None)
    after = _next_token(merged, rows, run.prompt if run else None)
    distances = (before - after).abs().sum(-1) / 2
    return merged, Difference(
        samples=len(distances),
        same=float((before.argmax(-1) == after.argmax(-1)).float().mean()),
        mean=float(distances.mean()),
        largest=float(distances.max()),
        quantization=None if run is None else run.quantization,
    )


def device_with_room(model: str, revision: str | None, device: str, dtype: str) -> str:
    """The name of the device on which a model's whole weights answer: the CPU if the one named is too small.

    Args:
        model: its name.
        revision: on the hub.
        device: "auto", "cpu", "cuda" or "mps".
        dtype: of the weights.
    """
    target = choose_device(device)
    free = free_memory(target)
    if target.type == "cpu" or free is None:
        return device
    needed = evaluation_memory(configuration(model, revision), DTYPES[dtype], target, batch_size=BATCH).total
    return device if needed < ROOM * free else "cpu"


def _next_token_as_trained(
    run: TrainOptions | None,
    model: str,
    adapter: str | Path,
    rows: Sequence[Row],
    *,
    revision: str | None,
    device: str,
) -> Tensor:
    """What `_next_token` says of the trained model, of which nothing is left in memory then."""
    if run is None:
        trained = load(model, adapter=adapter, revision=revision, device=device)
    else:
        trained = load_as_trained(replace(run, model=model, revision=revision, device=device), adapter)
    tokens = _next_token(trained, rows, run.prompt if run else None)
    del trained
    give_back()
    return tokens


def _run_options(adapter: Path) -> TrainOptions | None:
    """The options of the run that made an adapter; None for one that `unblind train` did not make."""
    for folder in (adapter, adapter.parent):
        path = folder / "config.yaml"
        if path.is_file():
            return TrainOptions(**load_recipe(path))
    return None


def _next_token(loaded: Loaded, rows: Sequence[Row], prompt: str | None) -> Tensor:
    """The distribution of an answer's first token: float32 (rows, vocabulary), on the CPU."""
    if not rows:
        raise ModelError("no samples to compare the merged model on; name some")
    parts = [[rows[i] for i in range(n, min(n + BATCH, len(rows)))] for n in range(0, len(rows), BATCH)]
    return torch.cat([ask(loaded, part, prompt=prompt)[0].logits.softmax(-1).cpu() for part in parts])
