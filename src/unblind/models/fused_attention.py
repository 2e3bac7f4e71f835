"""Attention on PyTorch's meta device as fused kernels do it: without a matrix of tokens by tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

_NAME = "fused_on_meta"


def fuse_attention(model: PreTrainedModel) -> None:
    """Have a model on the meta device attend as PyTorch's fused kernels do, all tokens to all.

    Left to itself the meta device takes the plain form, of B x heads x S² numbers, which no kernel for CPUs
    or GPUs keeps.
    """
    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, _no_mask)
    model.set_attn_implementation(_NAME)


def _attend(
    _module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any
) -> tuple[Tensor, None]:
    """Tensors (B, heads, S, size) to (B, S, heads, size); a mask changes nothing in the memory."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    attended = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value)[0]
    return attended.transpose(1, 2).contiguous(), None


def _no_mask(*_: Any, **__: Any) -> None:
    return None
