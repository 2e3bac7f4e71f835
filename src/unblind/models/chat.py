"""Families whose text is the processor's chat template: all that they have in common.

A question is rendered with the template's generation prompt. A reply is what the template adds when it is
rendered as the assistant's turn: the reply, and the token that ends a turn. What follows that token, mostly a
line break, is left out, because no model is asked to write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

from unblind.errors import ModelError
from unblind.models.family import Family, Processor, targets

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

_BY_TOKEN = ("attention_mask", "token_type_ids", "mm_token_type_ids")  # (B, S), beside input_ids
_THOUGHT = re.compile(r"<think>\s*</think>\s*")
_ANY_QUESTION = "?"
_AROUND = 24  # tokens that a template writes around a question, at most of those that we know


class ChatFamily(Family):
    """A family with a chat template; a plain one says its names, its parts and `image_states`.

    Attributes:
        processor_class: of transformers.
    """

    processor_class: ClassVar[str]

    def image_states(self, model: PreTrainedModel, batch_size: int) -> Tensor:
        """What the language model gets of an image a row, for `logits_on_meta`: (B, N, width).

        Raises NotImplementedError where a family does not say; its memory cannot be estimated then.
        """
        raise NotImplementedError(f"{self.name} does not say what its images take")

    def load_processor(self, source: str, **options: Any) -> Processor:
        """The processor, for images alone."""
        from unblind.models.images_only import images_only

        return images_only(self.processor_class).from_pretrained(source, backend="pil", **options)

    def known_config(self, name: str) -> PreTrainedConfig | None:
        """The configuration of the published checkpoints whose shapes come along."""
        from transformers import AutoConfig

        file = files("unblind.models") / "published" / f"{name.replace('/', '--')}.json"
        if not re.fullmatch(r"[\w-]+/[\w.-]+", name) or not file.is_file():
            return None
        values = json.loads(file.read_text("utf-8"))
        kind = values.pop("model_type")
        return AutoConfig.for_model(kind, **values) if kind in self.model_types else None

    # -- text ------------------------------------------------------------------------------------------------

    def turns(self, processor: Processor, question: str, reply: str) -> tuple[str, str]:
        """What is asked, and what the template writes after it for a reply.

        Raises:
            ModelError: no template, a broken one, or one that renders a question otherwise behind a reply.
        """
        asked = self.rendered(processor, _conversation(question), ask=True)
        whole = self.rendered(processor, _conversation(question, reply), ask=False)
        asked = _with_empty_thought(asked, whole)
        if not whole.startswith(asked):
            raise ModelError(
                "the chat template renders a question otherwise with a reply than without"
                f" ({asked[-40:]!r} begins the reply); take the checkpoint's own template, or an instruct"
                " model"
            )
        return asked, whole[len(asked) :]

    def rendered(self, processor: Processor, messages: list[dict[str, Any]], *, ask: bool) -> str:
        """The template's text, with its generation prompt (`ask`) or without."""
        from jinja2 import TemplateError

        template = processor.chat_template or processor.tokenizer.chat_template
        if isinstance(template, Mapping):
            template = template.get("default")
        if not template:
            raise ModelError(f"this {self.name} has no chat template; name an instruct model (--model)")
        try:
            text: str = processor.tokenizer.apply_chat_template(
                messages,
                chat_template=template,
                tokenize=False,
                add_generation_prompt=ask,
                enable_thinking=False,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise ModelError(f"the chat template cannot be rendered ({error}); copy it again") from error
        return text

    def reply_tokens(self, processor: Processor, reply: str) -> list[int]:
        """The tokens of a reply behind a question, with the one that ends the turn.

        Raises:
            ModelError: as `turns` does; or the tokens of a question are others behind a reply; or no token of
                its own ends a reply.
        """
        asked, written = self.turns(processor, _ANY_QUESTION, reply)
        before, whole = _tokens(processor, asked), _tokens(processor, asked + written)
        if whole[: len(before)] != before:
            raise ModelError(
                f"the tokens of a question change by the reply {reply!r} behind it; write it without the"
                " space or line break at its beginning"
            )
        marks = _marks(processor)
        for place, token in enumerate(whole[len(before) :], start=len(before) + 1):
            if token in marks:
                return whole[len(before) : place]
        raise ModelError("the chat template ends a reply with no token of its own; take the checkpoint's own")

    def ends(self, processor: Processor) -> frozenset[int]:
        """The end of a turn, beside that of a sequence."""
        return super().ends(processor) | {self.reply_tokens(processor, "")[-1]}

    def reserved(self, processor: Processor) -> tuple[str, ...]:
        """Every mark of the tokenizer's, such as that of a turn."""
        added = processor.tokenizer.added_tokens_decoder.values()
        return (*super().reserved(processor), *(token.content for token in added if token.special))

    # -- batches ---------------------------------------------------------------------------------------------

    def encode(
        self,
        processor: Processor,
        images: Sequence[Image.Image],
        questions: Sequence[str],
        replies: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """A batch, as in `Family.encode`, with the pixels as the processor makes them."""
        asked = [self.turns(processor, question, "")[0] for question in questions]
        batch: dict[str, Tensor] = dict(
            processor(
                images=[[image.convert("RGB")] for image in images],
                text=asked,
                padding=True,
                padding_side="left",
                return_tensors="pt",
                add_special_tokens=_adds_specials(processor, asked[0]),
            )
        )
        if replies is None:
            return batch
        return _with_replies(
            batch,
            [self.reply_tokens(processor, reply) for reply in replies],
            processor.tokenizer.pad_token_id,
        )

    # -- memory ----------------------------------------------------------------------------------------------

    def logits_on_meta(
        self,
        model: PreTrainedModel,
        batch_size: int,
        *,
        question: int,
        answer: int,
        cached_vision: bool = False,  # noqa: ARG002  (it is refused)
    ) -> Tensor:
        """A forward pass of tensors without content, as in `Family.logits_on_meta`."""
        import torch

        from unblind.models.fused_attention import fuse_attention

        fuse_attention(model)
        embeddings: Any = model.get_input_embeddings()
        head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        language: Any = model.get_submodule(self.parts["language"][0])
        with torch.device("meta"):
            ids = torch.zeros(batch_size, _AROUND + question + answer, dtype=torch.long)
            states = torch.cat([self.image_states(model, batch_size), embeddings(ids)], dim=1)
            read = language(
                inputs_embeds=states,
                attention_mask=torch.ones(states.shape[:2], dtype=torch.long),
                use_cache=not torch.is_grad_enabled(),
            ).last_hidden_state
            logits: Tensor = head(read[:, -answer:].flatten(0, 1))
        return logits


def _conversation(question: str, reply: str | None = None) -> list[dict[str, Any]]:
    text = {"type": "text", "text": question}
    user = {"role": "user", "content": [{"type": "image"}, text]}
    if reply is None:
        return [user]
    return [user, {"role": "assistant", "content": [{"type": "text", "text": reply}]}]


def _with_empty_thought(asked: str, whole: str) -> str:
    """A question of a model that thinks first: an empty thought is part of what it is asked with."""
    opened = asked.removesuffix("<think>\n")
    thought = _THOUGHT.match(whole, len(opened)) if whole.startswith(opened) else None
    return opened + thought.group() if thought else asked


def _adds_specials(processor: Processor, text: str) -> bool:
    """Whether the tokenizer is to add its marks, as transformers decides it for a rendered template."""
    begin = processor.tokenizer.bos_token
    return begin is None or not text.startswith(begin)


def _tokens(processor: Processor, text: str) -> list[int]:
    specials = _adds_specials(processor, text)
    tokens: list[int] = processor.tokenizer(text, add_special_tokens=specials)["input_ids"]
    return tokens


def _marks(processor: Processor) -> frozenset[int]:
    """The tokens that are no text."""
    added = processor.tokenizer.added_tokens_decoder
    return frozenset(number for number, token in added.items() if token.special)


def _with_replies(
    batch: Mapping[str, Tensor], replies: Sequence[Iterable[int]], pad: int
) -> dict[str, Tensor]:
    """A batch of questions with a reply behind each, padded on the left again."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    seen = batch["attention_mask"].bool()
    endings = [torch.tensor(list(reply)) for reply in replies]

    def joined(rows: Iterable[Tensor], behind: Iterable[Tensor], filler: int) -> Tensor:
        whole = [torch.cat([row, ending]) for row, ending in zip(rows, behind, strict=True)]
        return pad_sequence(whole, batch_first=True, padding_value=filler, padding_side="left")

    def kept(name: str) -> list[Tensor]:
        return [row[there] for row, there in zip(batch[name], seen, strict=True)]

    longer = {"input_ids": joined(kept("input_ids"), endings, pad)}
    for name in _BY_TOKEN:
        if name in batch:  # a reply is text, and seen
            value = int(name == "attention_mask")
            longer[name] = joined(kept(name), [torch.full_like(e, value) for e in endings], 0)
    is_reply = joined(
        [torch.zeros_like(row) for row in kept("input_ids")], [torch.ones_like(e) for e in endings], 0
    )
    return {**longer, **{k: v for k, v in batch.items() if k not in longer}} | targets(
        longer["input_ids"], is_reply.bool()
    )
