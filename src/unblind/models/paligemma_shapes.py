"""The published shapes of PaliGemma 1 and 2: for estimates without the weights."""

from __future__ import annotations

import re
from typing import Any

from transformers import PaliGemmaConfig

VOCABULARY, IMAGE_TOKEN, PATCH = 257_216, 257_152, 14
# Their config.json files say so: width, layers, MLP, heads, key-value heads, head size, query scale
_GEMMA2 = {
    "3b": (2304, 26, 9216, 8, 4, 256, 256),
    "10b": (3584, 42, 14336, 16, 8, 256, 256),
    "28b": (4608, 46, 36864, 32, 16, 128, 144),
}
_GEMMA1 = {"3b": (2048, 18, 16384, 8, 1, 256, 256)}
_NAME = re.compile(r"google/paligemma(?P<two>2?)-(?P<size>\d+b)-\w[\w-]*?-(?P<pixels>224|448|896)")


def known_config(name: str) -> PaliGemmaConfig | None:
    """The configuration of an official checkpoint, like google/paligemma2-3b-pt-224; None for other names."""
    match = _NAME.fullmatch(name)
    sizes = _GEMMA2 if match and match["two"] else _GEMMA1
    if match is None or match["size"] not in sizes:
        return None
    return make_config(*sizes[match["size"]], pixels=int(match["pixels"]), gemma2=bool(match["two"]))


def make_config(
    width: int,
    layers: int,
    mlp: int,
    heads: int,
    key_value_heads: int,
    head_size: int,
    query_scale: int,
    *,
    pixels: int = 224,
    gemma2: bool = True,
    vision_layers: int = 27,
) -> PaliGemmaConfig:
    """SigLIP So400m (27 layers of 1152, MLP 4304, 16 heads, patches of 14 px) before a Gemma like this."""
    vision: dict[str, Any] = {
        "model_type": "siglip_vision_model",
        "hidden_size": 1152,
        "num_hidden_layers": vision_layers,
        "intermediate_size": 4304,
        "num_attention_heads": 16,
        "patch_size": PATCH,
        "image_size": pixels,
        "num_image_tokens": (pixels // PATCH) ** 2,
        "projection_dim": width,
        "vision_use_head": False,
    }
    text: dict[str, Any] = {
        "model_type": "gemma2" if gemma2 else "gemma",
        "hidden_size": width,
        "num_hidden_layers": layers,
        "intermediate_size": mlp,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "head_dim": head_size,
        "vocab_size": VOCABULARY,
        "num_image_tokens": (pixels // PATCH) ** 2,
    }
    if gemma2:
        text["query_pre_attn_scalar"] = query_scale
    whole: dict[str, Any] = {"vision_config": vision, "text_config": text, "image_token_id": IMAGE_TOKEN}
    whole |= {"projection_dim": width, "hidden_size": width}
    return PaliGemmaConfig(**whole | {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1})
