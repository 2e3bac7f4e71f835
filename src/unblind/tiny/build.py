"""The tiny architecture with random weights, and its tokenizer and processor."""

from __future__ import annotations

import string
from typing import Any

import torch
from transformers import (
    GemmaTokenizer,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from unblind.models.paligemma import PaliGemma

IMAGE_SIZE, PATCH = 320, 16
GRID = IMAGE_SIZE // PATCH  # patches a side
IMAGE_TOKENS = GRID * GRID

_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")  # Gemma's first ids
_CHARACTERS = "\n▁" + string.digits + string.ascii_letters + string.punctuation  # ▁ stands for a space
_LOCATIONS = [f"<loc{i:04}>" for i in range(1024)] + [f"<seg{i:03}>" for i in range(128)]
VOCABULARY = {token: i for i, token in enumerate([*_SPECIAL, *_CHARACTERS, "<image>", *_LOCATIONS])}

_IDS = {name + "_token_id": VOCABULARY[f"<{name}>"] for name in ("pad", "bos", "eos")}
_CONFIG = {
    "vision_config": {
        "model_type": "siglip_vision_model",
        "hidden_size": 192,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH,
        "vision_use_head": False,
        "projection_dim": 192,
        "num_image_tokens": IMAGE_TOKENS,
    },
    "text_config": {
        "model_type": "gemma2",
        "vocab_size": len(VOCABULARY),
        "hidden_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 48,
        "query_pre_attn_scalar": 48,
        "attn_logit_softcapping": None,  # at this width it costs a tenth of a step, and caps nothing
        "intermediate_size": 512,
        "max_position_embeddings": 1024,
        **_IDS,
    },
    "image_token_id": VOCABULARY["<image>"],
    "projection_dim": 192,
    "hidden_size": 192,
    **_IDS,
}


def new_model(seed: int = 0) -> PaliGemmaForConditionalGeneration:
    """The tiny model, float32, with random weights from `seed`: 2.8 million parameters.

    SigLIP of 4 layers x 192 on 224 px in patches of 14 px, a linear projector, Gemma 2 of 3 layers x 192.
    """
    config = PaliGemmaConfig.from_dict(_CONFIG)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PaliGemmaForConditionalGeneration(config)


def new_processor() -> PaliGemmaProcessor:
    """Gemma's tokenizer with one token a character, and SigLIP's image processor."""
    tokenizer = GemmaTokenizer(
        vocab=VOCABULARY,
        merges=[],
        model_max_length=1024,
        extra_special_tokens={"image_token": "<image>"},
    )
    images: Any = SiglipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    images.image_seq_length = IMAGE_TOKENS
    factory: Any = PaliGemmaProcessor
    processor: PaliGemmaProcessor = factory(images, tokenizer, chat_template=PaliGemma.chat_template)
    return processor
