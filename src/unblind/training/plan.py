"""How a model is cured on a device: the recipe that fits, and the time that it will take."""

from __future__ import annotations

import math
import os
from typing import Any

import torch

from unblind.errors import ModelError
from unblind.models.embedded import EMBEDDED
from unblind.models.loading import choose_dtype, configuration
from unblind.models.memory_estimate import estimated_jobs, fitting_job
from unblind.models.registry import family_of
from unblind.models.speed import evaluation_operations, expected_share, matrix_rate, training_operations
from unblind.recipe import TrainOptions, load_recipe
from unblind.runtime.device_memory import total_memory


def fitting_recipe(model: str, device: torch.device, *, tasks: int = 1) -> tuple[str, dict[str, Any]]:
    """The name of the fastest recipe with which a model is trained on a device, and its options.

    An embedded model has a recipe for one task, and one for several. Of other models' recipes the batch is
    kept, or else samples come one by one, with as many to an optimizer step.

    Raises:
        ModelError: none fits; or as `unblind.models.loading.configuration` does.
    """
    if model in EMBEDDED:
        recipe = "tiny" if tasks == 1 else "tiny-all"
        return recipe, load_recipe(recipe) | {"model": model}
    limit, cures = total_memory(device), family_of(configuration(model)).cures
    jobs = estimated_jobs(model, None, choose_dtype("auto", device), device, known=False)
    job = fitting_job((job for job in jobs if job.recipe in cures), limit)
    if job is None or job.recipe is None:
        raise ModelError(
            f"no recipe for {model} fits {device} ({(limit or 0) / 2**30:.1f} GiB); take a smaller model, or"
            f" see what it needs: `unblind doctor --model {model}`"
        )
    options = load_recipe(job.recipe) | {"model": model}
    together = options["batch_size"] * options["accumulation"]
    options |= {"batch_size": job.batch, "accumulation": math.ceil(together / job.batch)}
    return job.recipe, options | {"workers": min(options["workers"], os.cpu_count() or 1)}


def seconds_needed(options: TrainOptions, device: torch.device, *, train: int, asked: int) -> float:
    """The time that training on `train` samples, its validation, and `asked` questions take, estimated.

    It is what the operations take at `expected_share` of the rate on large matrices, which is measured.
    """
    config = configuration(options.model)
    steps = math.ceil(train * options.epochs / (options.batch_size * options.accumulation))
    watched = math.ceil(steps / options.eval_every) * options.eval_samples if options.eval_every else 0
    forward = evaluation_operations(config)
    repeated = forward if options.gradient_checkpointing else 0.0
    work = train * options.epochs * (training_operations(config, options) + repeated)
    work += (watched + asked) * forward
    rate = matrix_rate(device, choose_dtype("auto", device), 8192 if device.type == "cuda" else 1024)
    return work / (expected_share(options) * rate)
