"""LLaVA-OneVision: the image as a whole, and in tiles, whose number follows its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from unblind.models.chat import ChatFamily
from unblind.models.family import Processor, in_vision_model
from unblind.recipe import Part

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

TILES = 2  # of an image that is no larger than the tower's: one, and the whole


class LlavaOnevision(ChatFamily):
    """A SigLIP tower, two linear layers, and a Qwen 2."""

    name = "LLaVA-OneVision"
    model_types = frozenset({"llava_onevision"})
    processor_class = "LlavaOnevisionProcessor"
    parts: ClassVar[Mapping[Part, tuple[str, ...]]] = {
        "language": ("model.language_model",),
        "projector": ("model.multi_modal_projector",),
        "vision": ("model.vision_tower",),
    }
    image_text = "<image>"
    cures = ("llava-onevision-0.5b-lora", "llava-onevision-7b-qlora")

    def rendered(self, processor: Processor, messages: list[dict[str, Any]], *, ask: bool) -> str:
        """The template's text; the published one writes a space behind `assistant` only where it replies."""
        text = super().rendered(processor, messages, ask=ask)
        return text.replace("<|im_start|>assistant \n", "<|im_start|>assistant\n")

    def part_of(self, module: str) -> Part | None:
        """The part; the tower's last norm is none, as the projector takes what is before it."""
        return None if module.endswith("vision_tower.post_layernorm") else super().part_of(module)

    def published_name(self, tensor: str) -> str:
        """As the published checkpoints call it."""
        return in_vision_model(tensor)

    def image_states(self, model: PreTrainedModel, batch_size: int) -> Tensor:
        """What the language model gets of a small square image a row; the tiles' line breaks are left out."""
        import torch

        base: Any = model.model
        side = model.config.vision_config.image_size
        pixels = torch.zeros(batch_size * TILES, 3, side, side, dtype=model.dtype)
        states: Tensor = base.multi_modal_projector(base.vision_tower(pixels).last_hidden_state)
        return states.reshape(batch_size, -1, states.shape[-1])


FAMILY = LlavaOnevision()
