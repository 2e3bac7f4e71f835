"""What does a GPU make of PaliGemma 2: the notebook's recipe and ours, and evaluation?

Saves a checkpoint of the published shape of google/paligemma2-3b-pt-224 with random weights, then runs
`unblind train` on it by each recipe, and `unblind evaluate`, in one process, in the data type that is fastest
there (bfloat16 on a GPU that has it). Prints samples/s, peak memory, and which share of the chip's own rate
on large matrices that is, by the operations of a step; and each of our recipes again with FlexAttention.

    python benchmarks/gpu.py                                  # on a GPU, all of the model
    python benchmarks/gpu.py --device cpu --small --steps 1   # does it work?
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

from unblind.data.dataset_options import GenerateOptions
from unblind.data.generation import generate
from unblind.data.reading import read
from unblind.evaluation.run import evaluate
from unblind.models.loading import choose_device, choose_dtype, load, load_as_trained
from unblind.models.memory_estimate import training_memory
from unblind.models.paligemma_shapes import make_config
from unblind.models.speed import matrix_rate, training_operations
from unblind.recipe import Attention, TrainOptions, load_recipe
from unblind.training.run import fit

RECIPES = ("seed-notebook", "paligemma2-3b-qlora", "paligemma2-3b-lora")
WARM = 2  # steps that are not timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=10, help="timed optimizer steps a recipe")
    parser.add_argument("--small", action="store_true", help="one layer, narrow, two samples a step")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    asked = parser.parse_args()
    device = choose_device(asked.device)
    rate = matrix_rate(device, choose_dtype("auto", device), 256 if asked.small else 8192)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        config = save_random(out / "base", asked.small)
        generate(out / "data", GenerateOptions(train=512, validation=0, test=64))
        results = {
            name: train(recipe, attention, out / name, config, asked, device, rate)
            for name, recipe, attention in runs(asked.recipes, device)
        }
        count = 8 if asked.small else 64
        images = {name: evaluation(out, device, count, name) for name in attentions(device)}
    for name, speed in images.items():
        print(f"evaluation, {name}: {speed:.1f} images/s, restricted answers, {choose_dtype('auto', device)}")
    ours, first = results[asked.recipes[-1]], results[asked.recipes[0]]
    line = {"benchmark": "gpu", "ratio": round(ours["samples_per_second"] / first["samples_per_second"], 3)}
    line |= {
        "ours": ours["samples_per_second"],
        "alternative": first["samples_per_second"],
        "unit": "samples/s",
    }
    evaluated = {name: round(speed, 3) for name, speed in images.items()}
    line |= {"evaluation": evaluated, "device": device_name(device), "recipes": results}
    print(json.dumps(line))


def attentions(device: torch.device) -> tuple[Attention, ...]:
    """Those that are compared: FlexAttention has no gradients on a CPU."""
    return ("eager",) if device.type == "cpu" else ("eager", "flex")


def runs(recipes: list[str], device: torch.device) -> Iterator[tuple[str, str, Attention]]:
    """What to call a run, its recipe and its attention; the notebook had eager alone."""
    for recipe in recipes:
        for attention in attentions(device):
            if attention == "eager" or recipe != "seed-notebook":
                yield f"{recipe}{'' if attention == 'eager' else ' ' + attention}", recipe, attention


def save_random(folder: Path, small: bool) -> PaliGemmaConfig:
    processor = load("tiny", device="cpu").processor
    config = (
        make_config(64, 1, 128, 2, 1, 32, 32, vision_layers=1)
        if small
        else make_config(2304, 26, 9216, 8, 4, 256, 256)
    )
    if small:
        config.text_config.vocab_size = len(processor.tokenizer)
    config.image_token_id = processor.image_token_id
    PaliGemmaForConditionalGeneration._from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    processor.save_pretrained(folder)
    return config


def train(
    recipe: str,
    attention: Attention,
    out: Path,
    config: PaliGemmaConfig,
    asked: Any,
    device: torch.device,
    rate: float,
) -> dict[str, Any]:
    values = load_recipe(recipe) | {
        "data": str(out.parent / "data"),
        "out": out,
        "model": str(out.parent / "base"),
        "attention": attention,
    }
    values |= {"device": asked.device, "max_steps": asked.steps + WARM}
    options = TrainOptions(**values | {"eval_every": 0, "log_every": 1, "workers": 0})
    if asked.small:
        options = replace(options, batch_size=2, accumulation=1)
    loaded = load_as_trained(options)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    fit(loaded, read(options.data, "train"), None, options)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    rows = [json.loads(line) for line in (options.out / "log.jsonl").read_text().splitlines()]
    at = {row["step"]: row["seconds"] for row in rows if "loss" in row}
    speed = options.batch_size * options.accumulation * asked.steps / (at[asked.steps + WARM] - at[WARM])
    share = speed * training_operations(config, options) / rate
    estimate = training_memory(config, options, choose_dtype("auto", device), device).total
    print(
        f"{out.name:<26} {speed:8.2f} samples/s   {share:6.1%} of {rate / 1e12:.1f} TFLOP/s   peak"
        f" {peak / 2**30:.2f} GiB (estimated: {estimate / 2**30:.2f})",
        flush=True,
    )
    figures = {"samples_per_second": speed, "share": share, "peak_gib": peak / 2**30}
    return {key: round(value, 4) for key, value in figures.items()}


def evaluation(out: Path, device: torch.device, samples: int, attention: Attention) -> float:
    loaded = load(str(out / "base"), device=device.type, attention=attention)
    rows = read(str(out / "data"), "test").select(range(samples))
    evaluate(loaded, rows.select(range(2)), free=False)
    began = time.perf_counter()
    evaluate(loaded, rows, free=False)
    return samples / (time.perf_counter() - began)


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


if __name__ == "__main__":
    main()
