"""PaliGemma 1 and 2: what nothing else needs to know of them.

Their text is `<image>` x N + bos + question + newline, then reply + eos. Image and question are the prefix:
they see each other in both directions (token type 0). The reply is causal (token type 1), and the only part
that the loss counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from unblind.models.family import IGNORED, FixedGrid, Processor, in_vision_model, targets
from unblind.recipe import Part
from unblind.tasks.base import ANSWER_EN

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

_OFFICIAL = re.compile(r"google/paligemma2?-.+")
# Up to so many patches, the tower's plain attention is faster on a CPU than torch's fused one: the cure of
# the tiny model ran at 29 samples/s instead of 25 (two cores of an EPYC, bfloat16).
_FEW_PATCHES = 256


class PaliGemma(FixedGrid):
    """A SigLIP tower, a linear projector, and a Gemma that sees image and question in both directions."""

    name = "PaliGemma"
    model_types = frozenset({"paligemma"})
    parts: ClassVar[Mapping[Part, tuple[str, ...]]] = {
        "language": ("model.language_model",),
        "projector": ("model.multi_modal_projector",),
        "vision": ("model.vision_tower",),
    }
    patch_embeddings = "model.vision_tower.embeddings"
    first_position = 1
    image_text = "<image>"
    question_prefixes = (ANSWER_EN,)
    # the image first, then the text; the processor adds bos and the newline
    chat_template = (
        "{% for message in messages %}"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] if part['type'] == 'image' %}<image>{% endfor %}"
        "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
        "{% endif %}{% endfor %}"
    )

    @property
    def recipes(self) -> tuple[str, ...]:
        """The cures, and the run of the project that this one began with."""
        return (*self.cures, "seed-notebook")

    def load_processor(self, source: str, **options: Any) -> Processor:
        """The processor; old checkpoints do not name its class."""
        from transformers import PaliGemmaProcessor

        return PaliGemmaProcessor.from_pretrained(source, backend="pil", **options)

    def pixels(self, processor: Processor, images: Sequence[Image.Image]) -> Tensor:
        """Images of any size and mode as the tower's input: float32 (B, 3, H, W)."""
        made: Tensor = processor.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
        return made

    def grid(self, processor: Processor) -> int:
        """Patches a side."""
        return math.isqrt(processor.image_seq_length)

    def encode_pixels(
        self,
        processor: Processor,
        pixels: Tensor,
        questions: Sequence[str],
        replies: Sequence[str] | None = None,
        kept: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """A batch, as in `FixedGrid.encode_pixels`.

        Returns:
            input_ids, attention_mask, token_type_ids: int64 (B, S); pixel_values. With replies also what
            `targets` gives. Where patches are left out, also kept_patches: int64 (B, N); position_ids: int64
            (B, S), the places that the tokens have beside a whole image.
        """
        import torch

        whole = processor.image_seq_length
        seen = whole if kept is None else kept.shape[1]
        prefixes = [
            [processor.image_token_id] * seen + self._question_tokens(processor, question)
            for question in questions
        ]
        endings: list[list[int]] = [[] for _ in questions]
        if replies is not None:
            endings = [self.reply_tokens(processor, reply) for reply in replies]
        length = max(len(prefix) + len(ending) for prefix, ending in zip(prefixes, endings, strict=True))
        ids = torch.full((len(prefixes), length), processor.tokenizer.pad_token_id)
        types = torch.zeros_like(ids)
        attention = torch.zeros_like(ids)
        for i, (prefix, ending) in enumerate(zip(prefixes, endings, strict=True)):
            tokens = prefix + ending
            ids[i, length - len(tokens) :] = torch.tensor(tokens)
            attention[i, length - len(tokens) :] = 1
            types[i, length - len(ending) :] = 1
        batch = {"input_ids": ids, "attention_mask": attention, "token_type_ids": types}
        batch["pixel_values"] = pixels
        if kept is not None:
            batch |= {"kept_patches": kept, "position_ids": _places(attention, kept, whole)}
        return batch if replies is None else batch | targets(ids, types == 1)

    def reply_tokens(self, processor: Processor, reply: str) -> list[int]:
        """The tokens of a reply, with its end of sequence."""
        return _tokens(processor, reply + processor.tokenizer.eos_token)

    def _question_tokens(self, processor: Processor, question: str) -> list[int]:
        return _tokens(processor, f"{processor.tokenizer.bos_token}{question}\n")

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Refuse a mask that would let the reply see itself, or make the prefix causal.

        Both train without complaint and to no use: PaliGemma takes missing token types for an all-causal
        text, and all-zero ones for a prefix that includes the reply.

        Raises:
            ValueError: token types missing, without a reply in some row, or other than 1 on the reply alone.
        """
        import torch

        types = batch.get("token_type_ids")
        if types is None:
            raise ValueError("the batch has no token_type_ids: the prefix would be causal")
        if not bool((types == 1).any(dim=1).all()):
            raise ValueError("token_type_ids are 0 throughout a row: the answer would see itself")
        if not torch.equal(types == 1, batch["labels"] != IGNORED):
            raise ValueError("token_type_ids are not 1 on the answer alone")

    def tune(self, model: PreTrainedModel, device: torch.device) -> None:
        """Plain attention for a small tower on a CPU."""
        if device.type == "cpu" and _patches(model.config) <= _FEW_PATCHES:
            model.set_attn_implementation({"vision_config": "eager"})

    def logits_on_meta(
        self,
        model: PreTrainedModel,
        batch_size: int,
        *,
        question: int,
        answer: int,
        cached_vision: bool = False,
    ) -> Tensor:
        """A forward pass of tensors without content, as in `Family.logits_on_meta`."""
        import torch

        vision, patches = model.config.vision_config, _patches(model.config)
        image = (patches, vision.hidden_size) if cached_vision else (3, vision.image_size, vision.image_size)
        with torch.device("meta"), _image_tokens_given(model):
            ids = torch.zeros(batch_size, patches + question + answer, dtype=torch.long)
            states = model.model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                token_type_ids=torch.zeros_like(ids),
                pixel_values=torch.zeros(batch_size, *image, dtype=model.dtype),
                use_cache=not torch.is_grad_enabled(),
            ).last_hidden_state
            logits: Tensor = model.lm_head(states[:, -answer:].flatten(0, 1))
        cap = getattr(model.config.text_config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def known_config(self, name: str) -> PreTrainedConfig | None:
        """The configuration of an official checkpoint, like google/paligemma2-3b-pt-224."""
        from unblind.models.paligemma_shapes import known_config

        return known_config(name)

    def published_name(self, tensor: str) -> str:
        """As Google's checkpoints call it."""
        return in_vision_model(tensor)

    def licence(self, name: str) -> str | None:
        """Gemma's terms, for the official checkpoints."""
        return "gemma" if _OFFICIAL.fullmatch(name) else None


def _tokens(processor: Processor, text: str) -> list[int]:
    tokens: list[int] = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokens


def _places(attention: Tensor, kept: Tensor, whole: int) -> Tensor:
    """The tokens' places beside a whole image, of `whole` tokens."""
    import torch

    first = PaliGemma.first_position
    places = attention.cumsum(dim=1) - 1 + first + whole - kept.shape[1]
    images = attention.argmax(dim=1, keepdim=True) + torch.arange(kept.shape[1])  # their columns
    return places.scatter(1, images, kept + first)


def _patches(config: Any) -> int:
    """Of an image, as many as its tokens."""
    side: int = config.vision_config.image_size // config.vision_config.patch_size
    return side * side


@contextmanager
def _image_tokens_given(model: Any) -> Iterator[None]:
    """Where image tokens are cannot be asked of tensors without content; any places do for their memory."""
    find = model.model.get_placeholder_mask
    model.model.get_placeholder_mask = lambda ids, inputs_embeds, **_: (ids == 0)[..., None].expand_as(
        inputs_embeds
    )
    try:
        yield
    finally:
        model.model.get_placeholder_mask = find


FAMILY = PaliGemma()
