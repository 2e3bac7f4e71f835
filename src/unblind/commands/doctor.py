"""unblind doctor."""

from __future__ import annotations

import importlib.util
import os
import platform
from shlex import quote
from typing import TYPE_CHECKING

from unblind.recipe import Attention
from unblind.runtime.versions import install_command, versions

if TYPE_CHECKING:
    import torch


def doctor(*, model: str | None = None, revision: str | None = None, attention: Attention = "auto") -> None:
    """Say what this machine can run, and what is missing.

    Example: `unblind doctor --model google/paligemma2-3b-pt-224`

    Args:
        model: also estimate the memory for fine-tuning and evaluating this model, by recipe. A folder with a
            checkpoint, or a model id on the hub; Google's models need no access for this.
        revision: the model's revision on the hub.
        attention: the language model's attention for the estimate: auto, eager, sdpa or flex.
    """
    import torch

    from unblind.models.loading import choose_device, choose_dtype
    from unblind.models.registry import broken_families
    from unblind.tasks.fonts import find_fonts
    from unblind.tasks.registry import broken_tasks

    device = choose_device()
    dtype = str(choose_dtype("auto", device)).removeprefix("torch.")
    library = find_fonts()
    for name, value in (
        ("machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{_memory()}"),
        ("device", f"{_device_name(device)}, computing in {dtype}"),
        ("fonts", f"{len(library.families)} families, {len(library.fonts)} fonts"),
        ("versions", ", ".join(f"{package} {number}" for package, number in versions().items())),
    ):
        print(f"{name:<9} {value}")
    for defect in (*broken_tasks().values(), *broken_families().values()):
        print(f"{'broken':<9} {defect}")
    print()
    print("can run   unblind quickstart, and everything with --model tiny")
    for line in _larger_models(torch.cuda.is_available()):
        print(line)
    if model is not None:
        _describe(model, revision)
        _show_estimates(model, revision, device, attention)


def _describe(name: str, revision: str | None) -> None:
    """The family of a model, and its parts."""
    import torch

    from unblind.models.loading import configuration
    from unblind.models.registry import family_of
    from unblind.models.weights import on_meta, parameters_by_part

    config = configuration(name, revision, known=True)
    family = family_of(config)
    print()
    print(f"family    {family.name} ({config.model_type})")
    for part, count in parameters_by_part(on_meta(config, torch.float32)).items():
        print(f"{part:<9} {count:,} parameters in {', '.join(family.parts[part])}")


def _show_estimates(name: str, revision: str | None, device: torch.device, attention: Attention) -> None:
    """A table of memory by recipe, and which recipe fits."""
    from rich.console import Console
    from rich.table import Column, Table

    from unblind.models.loading import choose_dtype
    from unblind.models.memory_estimate import estimated_jobs, fitting_job
    from unblind.runtime.device_memory import total_memory

    dtype = choose_dtype("auto", device)
    limit = total_memory(device)
    held = ("weights", "adapter", "optimizer", "activations", "logits", "total")
    table = Table(Column("GiB", no_wrap=True), "batch", *held, box=None)
    jobs = list(estimated_jobs(name, revision, dtype, device, attention=attention))
    for job in jobs:
        memory = job.memory
        parts = (memory.weights, memory.adapter, memory.optimizer, memory.activations, memory.logits)
        numbers = [f"{part / 2**30:.2f}" for part in (*parts, memory.total)]
        table.add_row(job.name, str(job.batch), *numbers)
    console = Console(highlight=False, soft_wrap=True)
    console.print()
    console.print(table)
    there = "" if limit is None else f" (it has {limit / 2**30:.1f} GiB)"
    best = fitting_job(jobs, limit)
    if best is None:
        print(f"No recipe fits {device}{there}; a smaller --batch-size or another model may.")
        return
    command = f"unblind train --model {quote(name)} --recipe {best.recipe} --batch-size {best.batch}"
    print(f"fits {device}{there}: {command}")


def _memory() -> str:
    from unblind.runtime.device_memory import machine_memory

    total = machine_memory()
    return "" if total is None else f", {total / 2**30:.0f} GiB of memory"


def _device_name(device: object) -> str:
    import torch

    if str(device) != "cuda":
        return str(device)
    properties = torch.cuda.get_device_properties(0)
    return f"{properties.name} with {properties.total_memory / 2**30:.0f} GiB"


def _larger_models(cuda: bool) -> list[str]:
    """What stands between this machine and the real checkpoints."""
    from huggingface_hub import get_token

    missing = []
    if not cuda:
        missing.append(
            "missing   a GPU that PyTorch sees: --model google/paligemma2-3b-pt-224 would be slow here"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        missing.append(f"missing   bitsandbytes, for --quantization: {install_command('gpu')}")
    if get_token() is None:
        missing.append("missing   a Hugging Face token, for Google's checkpoints: hf auth login")
    return missing or ["can run   google/paligemma2-3b-pt-224, if its licence is accepted on the hub"]
