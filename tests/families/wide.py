"""A step on a small checkpoint, made wider, in a process of its own; prints the bytes that it takes."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import small

WIDTH = 256
# As in the published models most tokens are the image's: patches are small, and there are many of them.
PATCH = {"idefics3": 2, "smolvlm": 2, "llava_onevision": 2}
SIDES = {
    "qwen2_5_vl": 448,
    "qwen3_vl": 448,
    "idefics3": 112,
    "smolvlm": 112,
    "gemma3": 56,
    "llava_onevision": 28,
}
BATCH = {"qwen2_5_vl": 4, "qwen3_vl": 4, "idefics3": 2, "smolvlm": 2, "gemma3": 96, "llava_onevision": 12}


def made(name: str) -> tuple[Any, Any]:
    """Configuration and processor, of images as large as memory is estimated with."""
    small.WIDTH, small.HEADS = WIDTH, WIDTH // 8
    config, processor = small._MAKERS[name]()
    config.vision_config.patch_size = PATCH.get(name, config.vision_config.patch_size)
    if name.startswith("qwen"):
        processor.image_processor.size = {"shortest_edge": 4**2, "longest_edge": 448**2}
    if name in ("idefics3", "smolvlm"):  # 16 tiles of 28 pixels, and the whole image
        processor.image_processor.size = {"longest_edge": 112}
        processor.image_seq_len = 49
    if name == "llava_onevision":
        processor.num_image_tokens = 196
    return config, processor


def main(name: str) -> None:
    import numpy as np
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText

    from unblind.models.adapters import add_adapter
    from unblind.models.collate import Collator
    from unblind.models.registry import family_of

    torch.set_num_threads(1)
    torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    x = torch.randn(64, 64, requires_grad=True)
    (x @ x).sum().backward()
    config, processor = made(name)
    family = family_of(config)
    pixels = np.zeros((SIDES[name], SIDES[name], 3), np.uint8)
    row = {"image": Image.fromarray(pixels), "prompt": "Which letter is being circled?", "answer": "a"}
    batch = Collator(family, processor)([row] * BATCH[name])
    before = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    model = AutoModelForImageTextToText.from_config(config)
    family.tune(model, torch.device("cpu"))
    projector = "full" if name == "gemma3" else "lora"
    model = add_adapter(model, {"language": "lora", "projector": projector, "vision": "lora"}).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    for _ in range(2):
        model(**batch, use_cache=False).loss.backward()
        optimizer.step()
    highest = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
    print(highest * 1024 - before)


if __name__ == "__main__":
    main(sys.argv[1])
