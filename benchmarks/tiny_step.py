"""How fast is a step of the cure of the tiny model on this CPU?

Fine-tunes the embedded tiny model with LoRA on the same images twice in one run: with `unblind train`'s
recipe, and with a plain transformers.Trainer loop (the processor in the collate function, logits and loss at
every position, whole images, default memory allocator and attention). Prints samples/s of each, their ratio,
and which share of the machine's matrix rate each is: the operations of its samples, counted, over the rate
measured on the model's own matrix shapes. Ours leaves blank paper out, and so has fewer of them.

    python benchmarks/tiny_step.py
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
import torch
from torch.utils.flop_counter import FlopCounterMode

from unblind.data.dataset_options import GenerateOptions
from unblind.data.generation import generate
from unblind.data.images import decode_image
from unblind.data.reading import read
from unblind.models.embedded import TINY
from unblind.models.loading import load
from unblind.recipe import TrainOptions, load_recipe
from unblind.training.run import fit

RECIPE = load_recipe("tiny")
SAMPLES = RECIPE["batch_size"] * RECIPE["accumulation"]  # a step
WARM = 8  # steps that are not timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=48, help="timed steps")
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        generate(data, GenerateOptions(train=SAMPLES * (steps + WARM), validation=0, test=0))
        # a process each: neither inherits the other's memory pools
        plain = _apart(_plain, data, steps, Path(folder) / "plain")
        ours = _apart(_ours, data, steps, Path(folder) / "ours")
        whole, operations, rate = _apart(_floor, data)
    floor = rate / operations
    print(
        f"plain Trainer loop   {plain:7.1f} samples/s   {whole / 1e9:.2f} GFLOP a sample;"
        f" {plain * whole / rate:.0%} of its floor"
    )
    print(f"unblind train        {ours:7.1f} samples/s   {ours / plain:.2f} x")
    print(
        f"floor                {floor:7.1f} samples/s   {operations / 1e9:.2f} GFLOP a sample at"
        f" {rate / 1e9:.0f} GFLOP/s; ours reaches {ours / floor:.0%}"
    )
    result = {"benchmark": "tiny_step", "ratio": ours / plain, "ours": ours, "alternative": plain}
    result |= {"unit": "samples/s", "of_floor": ours / floor, "gflop": operations / 1e9, "gflops": rate / 1e9}
    print(json.dumps({key: round(v, 3) if isinstance(v, float) else v for key, v in result.items()}))


def _apart(function: Any, *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _ours(data: Path, steps: int, out: Path) -> float:
    options = TrainOptions(
        **RECIPE | {"data": str(data), "out": out, "max_steps": steps + WARM, "eval_every": 0, "log_every": 1}
    )
    fit(load("tiny", dtype="float32"), read(str(data), "train"), None, options)
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    seconds = {row["step"]: row["seconds"] for row in rows if "loss" in row}
    return SAMPLES * steps / (seconds[steps + WARM] - seconds[WARM])


def _plain(data: Path, steps: int, out: Path) -> float:
    """What a tutorial would write."""
    from peft import LoraConfig, get_peft_model
    from transformers import PaliGemmaForConditionalGeneration, PaliGemmaProcessor, Trainer, TrainingArguments

    model = PaliGemmaForConditionalGeneration.from_pretrained(TINY, dtype=torch.float32)
    processor = PaliGemmaProcessor.from_pretrained(TINY, backend="pil")
    adapter = LoraConfig(r=RECIPE["rank"], lora_alpha=RECIPE["alpha"], target_modules="all-linear")
    model = get_peft_model(model, adapter)

    def collate(rows: list[dict[str, Any]]) -> Any:
        return processor(
            text=["<image>" + row["prompt"] for row in rows],
            suffix=[row["answer"] for row in rows],
            images=[decode_image(row["image"], row["id"]) for row in rows],
            return_tensors="pt",
            padding="longest",
        )

    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=steps + WARM,
        per_device_train_batch_size=SAMPLES,
        learning_rate=RECIPE["learning_rate"],
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    rows = read(str(data), "train").cast_column("image", datasets.Image(decode=False))
    return _timed(Trainer(model, arguments, collate, rows), steps)


def _timed(trainer: Any, steps: int) -> float:
    """Samples/s after the first steps."""
    from transformers import TrainerCallback

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

    trainer.add_callback(Clock())
    trainer.train()
    return SAMPLES * steps / (times[-1] - times[-1 - steps])


def _floor(data: Path) -> tuple[float, float, float]:
    """Operations of a sample's forward and backward pass, and operations/s of the model's own products.

    Returns the operations with whole images, those of our batches, and the rate.
    """
    from unblind.models.adapters import add_adapter, base_of
    from unblind.models.blank_patches import dropping_patches
    from unblind.models.collate import Collator, prepared

    loaded = load("tiny", dtype="float32")
    scopes = {part: RECIPE[part] for part in ("language", "projector", "vision")}
    model = add_adapter(loaded.model, scopes, rank=RECIPE["rank"], alpha=RECIPE["alpha"])
    rows = prepared(read(str(data), "train"))

    def operations(drop_blank: bool) -> float:
        """A sample's, over batches enough for all heights of text."""
        collator = Collator(loaded.family, loaded.processor, drop_blank=drop_blank)
        size = RECIPE["batch_size"]
        count = 16 * size if drop_blank else size
        with FlopCounterMode(display=False) as counter, dropping_patches(base_of(model), loaded.family):
            for first in range(0, count, size):
                model(**collator([rows[i] for i in range(first, first + size)])).loss.backward()
        return float(counter.get_total_flops() / count)

    rate = max(_rate(8 * 292, 192, 512), _rate(8 * 292, 512, 192))
    return operations(drop_blank=False), operations(RECIPE["drop_blank"]), rate


def _rate(rows: int, inner: int, columns: int) -> float:
    left, right = torch.randn(rows, inner), torch.randn(columns, inner)
    best = 0.0
    for _ in range(10):
        began = time.perf_counter()
        for _ in range(50):
            torch.nn.functional.linear(left, right)
        best = max(best, 50 * 2 * rows * inner * columns / (time.perf_counter() - began))
    return best


if __name__ == "__main__":
    main()
