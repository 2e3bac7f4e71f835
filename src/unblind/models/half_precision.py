"""Products in float16, all else in float32: for hardware that has no bfloat16.

What Gemma adds up from layer to layer passes 65,504, where float16 ends. Its products do not, as what goes
into them is normalized; so weights, norms and what is added up stay in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel


def stored_dtype(dtype: torch.dtype) -> torch.dtype:
    """The data type of unquantized weights where products are of this one."""
    return torch.float32 if dtype == torch.float16 else dtype


def multiply_in_float16(model: PreTrainedModel, device: torch.device) -> None:
    """Have a float32 model multiply matrices in float16; it is changed in place."""
    model.forward = torch.autocast(device.type, torch.float16)(model.forward)
    for module in model.modules():
        if "norm" in type(module).__name__.lower():  # each architecture has a class of its own
            module.register_forward_pre_hook(_in_float32)


def _in_float32(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """A norm returns what it is given: a product's float16 would overflow in its result."""
    return (inputs[0].float(), *inputs[1:])
