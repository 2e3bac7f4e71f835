"""Qwen2.5-VL and Qwen3-VL: images keep their shape and size, within bounds; their tokens are as many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from unblind.models.chat import ChatFamily
from unblind.models.family import Processor
from unblind.recipe import Part

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

SIDE = 448  # pixels of the square image that memory is estimated with


class Qwen25VL(ChatFamily):
    """A tower whose patches are merged by fours, and a Qwen with positions in time, height and width."""

    name = "Qwen2.5-VL"
    model_types = frozenset({"qwen2_5_vl"})
    processor_class = "Qwen2_5_VLProcessor"
    parts: ClassVar[Mapping[Part, tuple[str, ...]]] = {
        "language": ("model.language_model",),
        "projector": ("model.visual.merger",),
        "vision": ("model.visual",),
    }
    image_text = "<|image_pad|>"
    cures = ("qwen2.5-vl-3b-lora", "qwen2.5-vl-3b-qlora")

    def bound_pixels(self, processor: Processor, pixels: int) -> None:
        """Have larger images scaled down to so many pixels."""
        size = dict(processor.image_processor.size)
        size["longest_edge"] = pixels  # the name is transformers'; it counts pixels
        size["shortest_edge"] = min(size["shortest_edge"], pixels)
        processor.image_processor.size = size

    def next_position(self, model: PreTrainedModel, attention: Tensor) -> Tensor:
        """Behind an image of h x w tokens positions go on from max(h, w): the model keeps the difference."""
        shift: Tensor = model.model.rope_deltas
        return attention.sum(1, keepdim=True) + shift.to(attention.device)

    def image_states(self, model: PreTrainedModel, batch_size: int) -> Tensor:
        """What the language model gets of a square image of `SIDE` pixels a row."""
        import torch

        tower: Any = model.model.visual
        vision = model.config.vision_config
        merged = vision.spatial_merge_size
        patches = (SIDE // (vision.patch_size * merged) * merged) ** 2
        values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        pixels = torch.zeros(batch_size * patches, values, dtype=model.dtype)
        angles = torch.zeros(len(pixels), vision.hidden_size // vision.num_heads, dtype=model.dtype)
        ends = torch.arange(batch_size + 1, dtype=torch.int32, device="cpu") * patches
        states = tower.patch_embed(pixels)
        for block in tower.blocks:
            states = block(states, cu_seqlens=ends, max_seqlen=patches, position_embeddings=(angles, angles))
        read: Tensor = tower.merger(states)
        return read.reshape(batch_size, -1, read.shape[-1])


class Qwen3VL(Qwen25VL):
    """The same with mergers behind several layers of the tower; they count as projector."""

    name = "Qwen3-VL"
    model_types = frozenset({"qwen3_vl"})
    processor_class = "Qwen3VLProcessor"
    parts: ClassVar[Mapping[Part, tuple[str, ...]]] = {
        "language": ("model.language_model",),
        "projector": ("model.visual.merger", "model.visual.deepstack_merger_list"),
        "vision": ("model.visual",),
    }
    cures = ("qwen3-vl-4b-lora", "qwen3-vl-4b-qlora")


FAMILY = Qwen25VL()
QWEN3 = Qwen3VL()
