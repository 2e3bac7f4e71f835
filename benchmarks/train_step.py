"""What does a training step of PaliGemma 2 cost the notebook's way, and ours?

The model has the published shape of google/paligemma2-3b-pt-224 and random bfloat16 weights. The notebook's
way: LoRA r = 8 on its seven module names, logits at every position, pixels through the vision tower. Ours:
LoRA in the language model alone, logits of the answers alone, cached vision features, and LoRA's inputs in
bfloat16, as `unblind train` has them. Prints seconds a step and peak memory above the weights for both, and
for each of the first three changes on its own.

    python benchmarks/train_step.py --layers 26 --checkpointing

With fewer layers (--layers 2, the default) the head has a larger share of a step than in the real model, so
that answer-only logits gain more than they would there. With all 26 it takes 15 GB and minutes. Linux only.

On a CPU without bfloat16 instructions, whose emulation of them is up to 50 times slower than float32, float32
kernels multiply the bfloat16 matrices, block by block: values, and so the memory, stay bfloat16. Where other
work disturbs the clock, the seconds of CPU time are the better measure.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import datasets
import torch
from peft.helpers import disable_input_dtype_casting
from PIL import Image
from transformers import PaliGemmaForConditionalGeneration
from transformers.initialization import no_init_weights

from float32_products import products
from unblind.models.adapters import add_adapter
from unblind.models.collate import Collator, prepared
from unblind.models.loading import Loaded, load
from unblind.models.paligemma_shapes import make_config
from unblind.models.vision_cache import cached_features, without_tower
from unblind.recipe import load_recipe

WAYS = {  # LoRA in the tower, logits at every position, pixels through the tower
    "notebook": (True, True, True),
    "language scope": (False, True, True),
    "answer-only logits": (True, False, True),
    "cached features": (False, True, False),  # a cache needs a tower without LoRA
    "ours": (False, False, False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--layers", type=int, default=2, help="of language model and tower; real: 26 (and 27)"
    )
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1, help="timed steps")
    parser.add_argument("--warm", type=int, default=1, help="steps before these")
    parser.add_argument("--only", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--checkpointing", action="store_true", help="also with gradient checkpointing")
    asked = parser.parse_args()
    ctypes.CDLL(None).mallopt(-3, 65536)  # M_MMAP_THRESHOLD: what is freed is not held by the process
    loaded = build(asked.layers, 27 if asked.layers >= 26 else asked.layers)
    rows = samples(asked.batch)
    results: dict[str, Any] = {}
    for checkpointing in (False, True) if asked.checkpointing else (False,):
        print("\nwith gradient checkpointing" if checkpointing else "\nwithout gradient checkpointing")
        for name in asked.only:
            found = measure(loaded, rows, WAYS[name], asked, checkpointing)
            results[f"{name}, checkpointing" if checkpointing else name] = found
            print(
                f"{name:<20} {found['seconds']:8.2f} s a step ({found['cpu_seconds']:.2f} s of CPU)"
                f"   {found['peak_gb']:6.2f} GB above the weights",
                flush=True,
            )
    if asked.layers < 26:
        print(
            f"\n{asked.layers} of 26 layers: the head's share of a step is larger here than in the real model"
        )
    line = {"benchmark": "train_step", **summary(results), "unit": "samples/s"}
    line["ours"], line["alternative"] = (
        round(asked.batch / results[way]["seconds"], 4) for way in ("ours", "notebook")
    )
    if asked.checkpointing:
        line["checkpointing"] = summary(results, ", checkpointing")
    print(json.dumps(line | {"layers": asked.layers, "batch": asked.batch, "ways": results}))


def summary(results: dict[str, Any], mode: str = "") -> dict[str, float]:
    """How much faster, in how much less CPU time and memory, ours is than the notebook's way."""
    first, last = results[f"notebook{mode}"], results[f"ours{mode}"]
    names = {"ratio": "seconds", "cpu_ratio": "cpu_seconds", "memory_ratio": "peak_gb"}
    return {name: round(first[key] / last[key], 3) for name, key in names.items()}


def build(layers: int, tower: int) -> Loaded:
    """The real shape with random weights, at this depth, with the tiny model's tokenizer."""
    processor = load("tiny", device="cpu").processor
    config = make_config(2304, layers, 9216, 8, 4, 256, 256, vision_layers=tower)
    config.image_token_id = processor.image_token_id
    with no_init_weights():
        model = PaliGemmaForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
    model.tie_weights()
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data.uniform_(-0.02, 0.02)
    return Loaded(model, processor, "random", None, None, torch.device("cpu"))


def samples(n: int) -> datasets.Dataset:
    features = {
        "image": datasets.Image(),
        "prompt": datasets.Value("string"),
        "answer": datasets.Value("string"),
    }
    question = "Which letter is being circled?"
    rows = [
        {"image": Image.effect_noise((224, 224), 20 + i).convert("RGB"), "prompt": question, "answer": "a"}
        for i in range(n)
    ]
    return prepared(datasets.Dataset.from_list(rows, features=datasets.Features(features)))


def measure(
    loaded: Loaded, rows: datasets.Dataset, way: tuple[bool, bool, bool], asked: Any, checkpointing: bool
) -> dict[str, float]:
    """Seconds a step, and what the process holds at its peak above the base's weights."""
    tower, full, through = way
    recipe = load_recipe("seed-notebook")
    scopes = {"language": "lora", "projector": "frozen", "vision": "lora" if tower else "frozen"}
    names = recipe["target_modules"] if tower else ()
    before = resident("VmRSS")
    model = add_adapter(
        loaded.model, scopes, rank=recipe["rank"], alpha=recipe["alpha"], target_modules=names
    )
    base = model.get_base_model()
    if checkpointing:
        base.activation_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=recipe["learning_rate"]
    )
    with tempfile.TemporaryDirectory() as folder:
        with products():
            features = None if through else cached_features(loaded, [rows], Path(folder))
        collate = Collator(loaded.family, loaded.processor, features=features)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
        times = []
        with without_tower(base, loaded.family) if features else nullcontext(), products():
            for _ in range(asked.warm + asked.steps):
                began = time.perf_counter(), time.process_time()
                with nullcontext() if full or tower else disable_input_dtype_casting(model):
                    step(model.train(), optimizer, collate, rows, full)
                times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    peak = resident("VmHWM") - before
    if checkpointing:
        base.activation_checkpointing_disable()
    loaded.model = model.unload()
    loaded.model.requires_grad_(False)
    seconds, cpu = (round(min(found), 3) for found in zip(*times[asked.warm :], strict=True))
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_gb": round(peak / 1e9, 3)}


def step(model: Any, optimizer: Any, collate: Callable[..., Any], rows: datasets.Dataset, full: bool) -> None:
    batch = collate([rows[i] for i in range(len(rows))])
    if full:
        del batch["logits_to_keep"], batch["shift_labels"]
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(**batch).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field))) * 1024


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("this benchmark reads the process's memory from Linux's /proc")
    main()
