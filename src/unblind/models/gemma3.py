"""Gemma 3: 256 image tokens, which see each other; text is causal throughout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from unblind.models.chat import ChatFamily
from unblind.models.family import in_vision_model
from unblind.recipe import Part

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class Gemma3(ChatFamily):
    """A SigLIP tower, a pooling projector without linear layers, and a Gemma 3."""

    name = "Gemma 3"
    model_types = frozenset({"gemma3"})
    processor_class = "Gemma3Processor"
    parts: ClassVar[Mapping[Part, tuple[str, ...]]] = {
        "language": ("model.language_model",),
        "projector": ("model.multi_modal_projector",),
        "vision": ("model.vision_tower",),
    }
    image_text = "<start_of_image>"
    cures = ("gemma3-4b-lora", "gemma3-4b-qlora")

    def licence(self, name: str) -> str | None:
        """Gemma's terms, for the official checkpoints."""
        return "gemma" if name.startswith("google/gemma-3-") else None

    def published_name(self, tensor: str) -> str:
        """As the published checkpoints call it."""
        return in_vision_model(tensor)

    def image_states(self, model: PreTrainedModel, batch_size: int) -> Tensor:
        """What the language model gets of an image a row."""
        import torch

        base: Any = model.model
        side = model.config.vision_config.image_size
        pixels = torch.zeros(batch_size, 3, side, side, dtype=model.dtype)
        states: Tensor = base.multi_modal_projector(base.vision_tower(pixels).last_hidden_state)
        return states


FAMILY = Gemma3()
