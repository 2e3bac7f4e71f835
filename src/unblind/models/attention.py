"""How a language model computes its attention.

`eager` holds batch x heads x tokens x tokens numbers at once, several times over. `sdpa` and `flex`, that is
PyTorch's scaled_dot_product_attention and FlexAttention, never hold them. Gemma 2 caps its attention logits:
sdpa cannot do that, and flex can.
"""

from __future__ import annotations

import sys
from functools import lru_cache

import torch
from transformers import PreTrainedModel

from unblind.recipe import Attention

IMPLEMENTATIONS = {"eager": "eager", "sdpa": "sdpa", "flex": "flex_attention"}  # as transformers names them


def set_attention(model: PreTrainedModel, attention: Attention) -> None:
    """Have the language model of `model` compute its attention so; `auto` leaves it as transformers chose.

    That is sdpa where the family allows it. What cannot be had is said, and changes nothing.
    """
    if attention == "auto":
        return
    try:
        model.set_attn_implementation({"text_config": IMPLEMENTATIONS[attention]})
    except (ValueError, ImportError):
        text = model.config.get_text_config()
        chosen = {name: ours for ours, name in IMPLEMENTATIONS.items()}.get(text._attn_implementation)
        say_without(attention, f"{text.model_type} does not allow it", chosen or text._attn_implementation)


def trainable_attention(attention: Attention, device: torch.device) -> Attention:
    """The attention to train with on a device: FlexAttention has no backward pass on a CPU."""
    if attention != "flex" or device.type != "cpu":
        return attention
    say_without(attention, "PyTorch has no backward pass for it on a CPU", "auto")
    return "auto"


@lru_cache(maxsize=64)
def say_without(attention: Attention, reason: str, instead: str) -> None:
    """Say, once, that an attention cannot be had, and which takes its place."""
    print(f"--attention {attention}: {reason}; continuing with {instead}", file=sys.stderr, flush=True)
