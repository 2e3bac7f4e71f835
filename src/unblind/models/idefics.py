"""Idefics 3, SmolVLM and SmolVLM 2: an image is cut into tiles, and seen as a whole beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from unblind.models.chat import ChatFamily
from unblind.recipe import Part

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

TILES = 17  # of a square image, as the published processors enlarge it: 4 x 4, and the whole


class Idefics3(ChatFamily):
    """A SigLIP tower, a pixel shuffle with one linear layer, and a Llama."""

    name = "Idefics3"
    model_types = frozenset({"idefics3"})
    processor_class = "Idefics3Processor"
    parts: ClassVar[Mapping[Part, tuple[str, ...]]] = {
        "language": ("model.text_model",),
        "projector": ("model.connector",),
        "vision": ("model.vision_model",),
    }
    image_text = "<image>"
    cures = ("smolvlm2-2b-lora", "smolvlm2-2b-qlora")

    def image_states(self, model: PreTrainedModel, batch_size: int) -> Tensor:
        """What the language model gets of a square image a row."""
        import torch

        base: Any = model.model
        vision = base.vision_model
        side = model.config.vision_config.image_size
        pixels = torch.zeros(batch_size * TILES, 3, side, side, dtype=model.dtype)
        patches = vision.embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2)
        seen = vision.post_layernorm(vision.encoder(inputs_embeds=patches).last_hidden_state)
        states: Tensor = base.connector(seen)
        return states.reshape(batch_size, -1, states.shape[-1])


class SmolVLM(Idefics3):
    """The same with SmolLM 2 and a processor that also knows videos."""

    name = "SmolVLM"
    model_types = frozenset({"smolvlm"})
    processor_class = "SmolVLMProcessor"


FAMILY = Idefics3()
SMOLVLM = SmolVLM()
