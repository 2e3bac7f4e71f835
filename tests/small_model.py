"""A PaliGemma of tiny's tokenizer, 2 + 2 layers of 32, 28 px in 4 image tokens; and samples for it."""

from functools import cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from PIL import Image
from transformers import (
    Gemma2Config,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    SiglipVisionConfig,
)

from unblind.models.collate import Collator
from unblind.models.loading import Loaded
from unblind.models.paligemma import FAMILY
from unblind.tiny.build import VOCABULARY, new_processor

SIZE, PATCH, WIDTH = 28, 14, 32


@cache
def processor() -> PaliGemmaProcessor:
    made = new_processor()
    made.image_processor.size = {"height": SIZE, "width": SIZE}
    made.image_processor.image_seq_length = made.image_seq_length = (SIZE // PATCH) ** 2
    return made


def model(width: int = WIDTH, layers: int = 2, seed: int = 0) -> PaliGemmaForConditionalGeneration:
    shape = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * width,
    }
    ids = {f"{name}_token_id": VOCABULARY[f"<{name}>"] for name in ("pad", "bos", "eos")}
    vision = SiglipVisionConfig(
        **shape,
        image_size=SIZE,
        patch_size=PATCH,
        vision_use_head=False,
        projection_dim=width,
        num_image_tokens=(SIZE // PATCH) ** 2,
    )
    text = Gemma2Config(
        **shape,
        **ids,
        vocab_size=len(VOCABULARY),
        num_key_value_heads=1,
        head_dim=width // 2,
        query_pre_attn_scalar=width // 2,
    )
    config = PaliGemmaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=VOCABULARY["<image>"],
        projection_dim=width,
        hidden_size=width,
        **ids,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = PaliGemmaForConditionalGeneration(config).eval()
        made.model.language_model.embed_tokens.weight.data.normal_()  # tied to the head: gives logits range
        return made


def collator(**options: Any) -> Collator:
    return Collator(FAMILY, processor(), **options)


def loaded(seed: int = 0) -> Loaded:
    return Loaded(model(seed=seed), processor(), "small", None, None, torch.device("cpu"))


def checkpoint(folder: Path, **options: int) -> Path:
    """Save a small checkpoint; returns its folder."""
    model(**options).save_pretrained(folder)
    processor().save_pretrained(folder)
    return folder


def samples(n: int, answers: str = "Ab", prompt: str = "Dark?", seed: int = 0) -> datasets.Dataset:
    """Dark and light noise; the answer says which. Enough for a model this small to learn."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        low = 255 * (i % len(answers)) // len(answers)
        image = rng.integers(low, low + 255 // len(answers), (SIZE, SIZE, 3), dtype=np.uint8)
        answer = answers[i % len(answers)]
        rows.append({"id": f"s{i}", "image": Image.fromarray(image), "prompt": prompt, "answer": answer})
    features = {"id": datasets.Value("string"), "image": datasets.Image()}
    features |= dict.fromkeys(("prompt", "answer"), datasets.Value("string"))
    return datasets.Dataset.from_list(rows, features=datasets.Features(features))
