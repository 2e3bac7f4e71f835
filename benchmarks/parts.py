"""Where do a sample's operations, memory and time go, part by part, in a step of PaliGemma 2?

Each part of the published shape of google/paligemma2-3b-pt-224 (random bfloat16 weights, one of the language
model's 26 equal layers) runs forward and backward on one sample, with the notebook's LoRA in it. Operations
and kept bytes are counted from the shapes as it runs, seconds are of CPU time. Prints a table in Markdown.

    OMP_NUM_THREADS=1 python benchmarks/parts.py
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from float32_products import products
from train_step import build
from unblind.models.adapters import add_adapter
from unblind.recipe import load_recipe

LAYERS = 26
ATTENTION = {  # these PyTorch does not count by itself
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda *shapes, **_: sdpa_flop_count(
        *shapes[:3]
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda *shapes, **_: sdpa_backward_flop_count(*shapes[:4])
    ),
}
QUESTION, ANSWER = 10, 2  # tokens beside those of the image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tower", type=int, default=27, help="layers of the vision tower")
    asked = parser.parse_args()
    loaded = build(1, asked.tower)
    recipe = load_recipe("seed-notebook")
    scopes = {"language": "lora", "projector": "frozen", "vision": "lora"}
    model = add_adapter(loaded.model, scopes, rank=recipe["rank"], target_modules=recipe["target_modules"])
    rows = [measure(name, times, run, model) for name, times, run in parts(model.get_base_model())]
    print("| part | forward | forward and backward | kept for backward | measured, CPU |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for row in rows:
        print(
            f"| {row['part']} | {row['forward_gflop']:,.1f} GFLOP | {row['step_gflop']:,.1f} GFLOP"
            f" | {row['kept_mb']:,.0f} MB | {row['cpu_seconds']:.2f} s |"
        )
    print(json.dumps({"benchmark": "parts", "tower": asked.tower, "parts": rows}))


def parts(base: Any) -> list[tuple[str, int, Callable[[], Tensor]]]:
    """Name, how often it occurs in the model, and a forward pass that ends in a number."""
    vision, text = base.config.vision_config, base.config.text_config
    images = (vision.image_size // vision.patch_size) ** 2
    length = images + QUESTION + ANSWER
    pixels = torch.zeros(1, 3, vision.image_size, vision.image_size, dtype=torch.bfloat16)

    def states(n: int, width: int) -> Tensor:  # as what is before it is trained, gradients go through
        return torch.randn(1, n, width, dtype=torch.bfloat16, requires_grad=True)

    def head(n: int) -> Tensor:
        logits = base.lm_head(states(n, text.hidden_size)[0])
        capped = torch.tanh(logits / text.final_logit_softcapping) * text.final_logit_softcapping
        return nn.functional.cross_entropy(capped.float(), torch.zeros(n, dtype=torch.long))

    language = base.model.language_model
    return [
        ("vision tower", 1, lambda: base.model.vision_tower(pixels).last_hidden_state.sum()),
        (
            "projector",
            1,
            lambda: base.model.multi_modal_projector(states(images, vision.hidden_size)).sum(),
        ),
        (
            f"language model, {LAYERS} layers",
            LAYERS,
            lambda: language(inputs_embeds=states(length, text.hidden_size)).last_hidden_state.sum(),
        ),
        ("head, every position", 1, lambda: head(length)),
        ("head, the answer alone", 1, lambda: head(ANSWER)),
    ]


def measure(name: str, times: int, run: Callable[[], Tensor], model: nn.Module) -> dict[str, Any]:
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    began = time.process_time()
    counter = FlopCounterMode(display=False, custom_mapping=ATTENTION)
    with products(), torch.autocast("cpu", torch.bfloat16), counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            loss = run()
        forward = counter.get_total_flops()
        loss.backward()
    seconds = time.process_time() - began
    model.zero_grad()
    return {
        "part": name,
        "forward_gflop": times * forward / 1e9,
        "step_gflop": times * counter.get_total_flops() / 1e9,
        "kept_mb": times * sum(kept.values()) / 1e6,
        "cpu_seconds": round(times * seconds, 3),
    }


if __name__ == "__main__":
    main()
