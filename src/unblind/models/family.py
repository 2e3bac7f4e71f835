"""What a model family is: architectures that share how text, image tokens and masks are built.

Loading, adapters, batches, memory and sharing are written against this class and know no architecture by
name. Importing it needs no torch, so that a licence can be told without one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from unblind.errors import RecipeError
from unblind.recipe import Part

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

Processor: TypeAlias = Any  # a transformers.ProcessorMixin; what it holds depends on its class
_BARE_TOWER = re.compile(r"\bvision_tower\.(?!vision_model\.)")
IGNORED = -100  # the label of a token that the loss leaves out, as transformers has it


class Family(ABC):
    """A family. `docs/add-a-family.md` shows how to write one.

    Attributes:
        name: as people call it, such as `PaliGemma`.
        model_types: of its checkpoints' config.json.
        parts: module prefixes of each part in the model that AutoModelForImageTextToText makes; of two that
            hold a module the longer one wins, so that a projector may lie inside the vision tower.
        first_position: the position of a text's first token.
        image_text: what stands for an image in a text, and must not occur in a question.
        question_prefixes: what pretrained checkpoints may expect before a question.
        fixed_grid: whether each image becomes one token a patch, as many for every image (`FixedGrid`).
        chat_template: for servers, where a processor has none of its own.
        cures: the recipes to begin with, the fastest first.
        recipes: those whose memory is estimated: the cures, and others.
    """

    name: ClassVar[str]
    model_types: ClassVar[frozenset[str]]
    parts: ClassVar[Mapping[Part, tuple[str, ...]]]
    first_position: ClassVar[int] = 0
    image_text: ClassVar[str]
    question_prefixes: ClassVar[tuple[str, ...]] = ()
    fixed_grid: ClassVar[bool] = False
    chat_template: ClassVar[str | None] = None
    cures: ClassVar[tuple[str, ...]] = ("paligemma2-3b-lora", "paligemma2-3b-qlora")

    # -- what a family has to say ----------------------------------------------------------------------------

    @abstractmethod
    def encode(
        self,
        processor: Processor,
        images: Sequence[Image.Image],
        questions: Sequence[str],
        replies: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """A batch of B rows with S tokens, padded on the left.

        Returns:
            input_ids, attention_mask: int64 (B, S), and what else the model takes. With replies also what
            `targets` gives; the tokens before a reply are then those of the same row without it.
        """

    @abstractmethod
    def reply_tokens(self, processor: Processor, reply: str) -> list[int]:
        """The tokens of a reply, as it stands after a question, and the one that ends it."""

    @abstractmethod
    def logits_on_meta(
        self,
        model: PreTrainedModel,
        batch_size: int,
        *,
        question: int,
        answer: int,
        cached_vision: bool = False,
    ) -> Tensor:
        """A forward pass of tensors without content, for the memory that it takes.

        Args:
            model: on PyTorch's meta device.
            batch_size: rows.
            question: tokens of a question beside the image's.
            answer: tokens at the end of which logits are made.
            cached_vision: with what the vision tower makes of the images instead of pixels.

        Returns:
            (batch_size * answer, vocabulary).
        """

    # -- what it may say -------------------------------------------------------------------------------------

    def load_processor(self, source: str, **options: Any) -> Processor:
        """The processor of a checkpoint, with the image processor that needs no torchvision."""
        from transformers import AutoProcessor

        factory: Any = AutoProcessor
        return factory.from_pretrained(source, backend="pil", **options)

    def image_size(self, processor: Processor) -> int:
        """Pixels a side of the square pictures to draw for a model: what it scales all to, or else 448."""
        size: Mapping[str, int] = dict(processor.image_processor.size)
        return int(size.get("height") or 448)

    def bound_pixels(self, processor: Processor, pixels: int) -> None:  # noqa: ARG002
        """Have the processor scale larger images down to so many pixels; what it makes of others stays.

        Raises:
            RecipeError: images are of one size.
        """
        raise RecipeError(
            f"max_pixels bounds images that keep their size, and {self.name} scales all to its own; leave it"
            " out"
        )

    def ends(self, processor: Processor) -> frozenset[int]:
        """The tokens that end what a model writes."""
        return frozenset({processor.tokenizer.eos_token_id})

    def reserved(self, processor: Processor) -> tuple[str, ...]:
        """What is read as a mark, and never as text: neither question nor answer may hold it."""
        names = ("bos_token", "eos_token", "pad_token", "unk_token")
        marks = [getattr(processor.tokenizer, name, None) for name in names]
        return (self.image_text, *(mark for mark in marks if mark))

    def next_position(self, model: PreTrainedModel, attention: Tensor) -> Tensor:  # noqa: ARG002
        """The position of the token behind each question that the model has just read: int64 (B, 1).

        Args:
            model: the base, without what peft wraps around it.
            attention: of the questions: int64 (B, S).
        """
        return attention.new_full((len(attention), 1), attention.shape[1] + self.first_position)

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Refuse a training batch that would train to no use. Raises ValueError."""
        if not bool((batch["labels"] != IGNORED).any(dim=1).all()):
            raise ValueError("the batch has a row without a target")

    def tune(self, model: PreTrainedModel, device: torch.device) -> None:  # noqa: B027  (nothing to choose)
        """Choose what is fastest for a loaded model on its device."""

    def known_config(self, name: str) -> PreTrainedConfig | None:  # noqa: ARG002
        """The configuration of a published checkpoint, where it is known without the hub."""
        return None

    def licence(self, name: str) -> str | None:  # noqa: ARG002
        """The hub's name of a published checkpoint's licence, where its card is for members only."""
        return None

    @property
    def recipes(self) -> tuple[str, ...]:
        return self.cures

    def published_name(self, tensor: str) -> str:
        """A tensor's name in published checkpoints, by the one that transformers 5 may save it under."""
        return tensor

    # -- what follows ----------------------------------------------------------------------------------------

    def part_of(self, module: str) -> Part | None:
        """The part that a module belongs to, by its dotted name in the model."""
        prefixes = ((prefix, part) for part, named in self.parts.items() for prefix in named)
        holding = [(len(p), part) for p, part in prefixes if f"{module}.".startswith(f"{p}.")]
        return max(holding)[1] if holding else None

    def layer_classes(self, model: PreTrainedModel) -> list[str]:
        """The classes of the layers that language model and vision tower are stacks of."""
        from torch.nn import ModuleList

        stacks = [
            module
            for name, module in model.named_modules()
            if isinstance(module, ModuleList) and self.part_of(name) in ("language", "vision")
        ]
        return sorted({type(layer).__name__ for stack in stacks for layer in stack})


class FixedGrid(Family):
    """A family whose vision tower makes one token a patch, as many for every image.

    Its tower may run ahead of training (`cache_features`), and leave out patches (`drop_blank`).

    Attributes:
        patch_embeddings: the tower's module that embeds all patches with their positions.
    """

    fixed_grid = True
    patch_embeddings: ClassVar[str]

    @abstractmethod
    def pixels(self, processor: Processor, images: Sequence[Image.Image]) -> Tensor:
        """Images of any size and mode as the tower's input: float32 (B, 3, H, W)."""

    @abstractmethod
    def encode_pixels(
        self,
        processor: Processor,
        pixels: Tensor,
        questions: Sequence[str],
        replies: Sequence[str] | None = None,
        kept: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """`encode` for pixels, or what the tower makes of them.

        Args:
            processor: the model's.
            pixels: of B images.
            questions: B.
            replies: B.
            kept: int64 (B, N), the numbers of the patches that the model is to see; None: all.
        """

    @abstractmethod
    def grid(self, processor: Processor) -> int:
        """Patches a side."""

    def encode(
        self,
        processor: Processor,
        images: Sequence[Image.Image],
        questions: Sequence[str],
        replies: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """A batch, as in `Family.encode`."""
        return self.encode_pixels(processor, self.pixels(processor, images), questions, replies)

    @property
    def tower(self) -> str:
        """The vision tower's name in the model."""
        return self.parts["vision"][0]


def with_fixed_grid(family: Family, option: str) -> FixedGrid:
    """The family, where an option can be had with it. Raises RecipeError, which names both."""
    if not isinstance(family, FixedGrid):
        raise RecipeError(
            f"{option} needs one image token a patch, as many for every image, and {family.name} has them"
            f" otherwise; leave {option} out"
        )
    return family


def in_vision_model(tensor: str) -> str:
    """A tensor's name in published checkpoints, which have the SigLIP or CLIP tower in a `vision_model`."""
    return _BARE_TOWER.sub("vision_tower.vision_model.", tensor)


def targets(ids: Tensor, is_reply: Tensor) -> dict[str, Tensor]:
    """What the loss counts, for tokens int64 (B, S) of which a reply's are marked, bool (B, S).

    Returns:
        labels: int64 (B, S), IGNORED outside the replies; logits_to_keep: bool (B, S), where the next token
        is one of a reply; shift_labels: int64 (K,), these tokens. With the last two a model computes logits
        for the replies alone, and the loss is the same.
    """
    keep = is_reply.roll(-1, dims=1)  # the first column is never a reply's, so nothing wraps round
    return {
        "labels": ids.masked_fill(~is_reply, IGNORED),
        "logits_to_keep": keep,
        "shift_labels": ids[is_reply],
    }
