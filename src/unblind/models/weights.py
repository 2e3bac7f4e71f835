"""A model's weights: their size, found without them, and what they are told apart by."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel

from unblind.models.registry import family_of
from unblind.recipe import Part, Quantization

# Bits a weight: NF4 has a float32 scale for 64 weights, or 8 bits for it and a float32 for 256 of these
# (Dettmers et al. 2023, QLoRA, section 3); int8 a float32 for a row, which is next to nothing.
BITS = {("nf4", False): 4 + 32 / 64, ("nf4", True): 4 + 8 / 64 + 32 / (64 * 256)}
BITS |= {("int8", double): 8.0 for double in (False, True)}


def on_meta(config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """A model of this shape that takes no memory: on PyTorch's meta device."""
    with torch.device("meta"):
        factory: Any = AutoModelForImageTextToText
        model: nn.Module = factory.from_config(config)
    return cast(PreTrainedModel, model.to(dtype))


def weight_bytes(
    model: PreTrainedModel, quantization: Quantization | None, double: bool, vision: bool
) -> tuple[int, int]:
    """Bytes of a model's weights if they were quantized so; and of the largest as it is unpacked to multiply.

    Args:
        model: on any device, not quantized.
        quantization: as in `unblind.models.loading.load`, like those that follow.
        double: also the scales of nf4.
        vision: also vision tower and projector.
    """
    family = family_of(model.config)
    total, largest = 0.0, 0
    seen: set[int] = set()  # the head may be tied to the embeddings
    for name, module in model.named_modules():
        part = family.part_of(name)
        quantized = isinstance(module, nn.Linear) and (part == "language" or (vision and part is not None))
        for label, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if quantization is not None and quantized and label == "weight":
                total += parameter.numel() * BITS[quantization, double] / 8
                largest = max(largest, parameter.nbytes)
            else:
                total += parameter.nbytes
    return int(total), largest


def parameters_by_part(model: PreTrainedModel) -> dict[Part, int]:
    """The number of parameters of each part of a model; what belongs to none (an untied head) is left out."""
    family = family_of(model.config)
    counts: dict[Part, int] = dict.fromkeys(family.parts, 0)
    for name, module in model.named_modules():
        part = family.part_of(name)
        if part is not None:
            counts[part] += sum(parameter.numel() for parameter in module.parameters(recurse=False))
    return counts


def hash_weights(key: hashlib.blake2b, module: nn.Module) -> None:
    """Feed names, types, shapes and bytes of a module's parameters and buffers into a hash."""
    for name, value in sorted(module.state_dict().items()):
        key.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        key.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
