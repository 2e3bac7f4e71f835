"""What a model answers: one forward pass over images and questions, and all that follows from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unblind.evaluation.likelihoods import choice_tokens, fork, likelihoods, written_tokens
from unblind.evaluation.questions import Question, question
from unblind.models.adapters import base_of
from unblind.models.collate import Collator
from unblind.models.finite import refuse_non_finite
from unblind.models.loading import Loaded
from unblind.tasks.base import Row, Task
from unblind.tasks.registry import DEFAULT_TASK, task_named

TOP = 5


@dataclass(frozen=True)
class Answer:
    """What a model answers to one question.

    Attributes:
        restricted: the likeliest of the choices; None where any text is an answer.
        probability: its share among the choices, in [0, 1].
        top: the likeliest choices, five at most, with their shares.
        free: the reply by greedy decoding; None where it was not asked for.
        tokens_right: where any text is an answer and the right one is known: the share of its tokens that are
            the likeliest after the right ones before them. The end of the sequence is not counted.
    """

    restricted: str | None
    probability: float | None
    top: list[tuple[str, float]] | None
    free: str | None
    tokens_right: float | None = None


@dataclass(frozen=True)
class Prefill:
    """Images and questions after their forward pass.

    Attributes:
        inputs: what the model was given, on its device.
        logits: of the first token of the replies: float32 (B, V).
        cache: of keys and values, for what comes next.
        position: of the token behind each question: int64 (B, 1).
    """

    inputs: dict[str, Tensor]
    logits: Tensor
    cache: Any
    position: Tensor


def collate(loaded: Loaded, rows: Sequence[Row], questions: Sequence[Question]) -> dict[str, Tensor]:
    """The model's input of one batch. Raises DatasetError for a broken image."""
    asked = [{**row, "prompt": q.text} for row, q in zip(rows, questions, strict=True)]
    return Collator(loaded.family, loaded.processor, answers=False)(asked)


@torch.inference_mode()
def prefill(loaded: Loaded, batch: Mapping[str, Tensor]) -> Prefill:
    """The forward pass. Raises ModelError for logits that are not finite."""
    inputs = {name: value.to(loaded.device) for name, value in batch.items()}
    outputs = loaded.model(**inputs, use_cache=True, logits_to_keep=1)
    logits = outputs.logits[:, -1]
    refuse_non_finite(logits, loaded.called)
    position = loaded.family.next_position(base_of(loaded.model), inputs["attention_mask"])
    return Prefill(inputs, logits.float(), outputs.cache, position)


def ask(
    loaded: Loaded,
    rows: Sequence[Row],
    *,
    prompt: str | None = None,
    task: Task[Any] | None = None,
    restricted: bool = True,
) -> tuple[Prefill, list[Question]]:
    """The forward pass of a batch of rows of one task, and what was asked. Arguments: see `answer`."""
    task = task_named(DEFAULT_TASK) if task is None else task
    asked = [question(row, task, prompt, restricted=restricted) for row in rows]
    return prefill(loaded, collate(loaded, rows, asked)), asked


def answer(
    loaded: Loaded,
    rows: Sequence[Row],
    *,
    prompt: str | None = None,
    task: Task[Any] | None = None,
    restricted: bool = True,
    free: bool = True,
    max_new_tokens: int = 16,
) -> list[Answer]:
    """Answer one batch of rows (image, prompt; a decoded image will do), all at once.

    Args:
        loaded: the model.
        rows: of one task.
        prompt: instead of the rows' own; a name of the task's, or a text.
        task: of the rows; None: circled letters.
        restricted: also choose among the task's answers, where these are known.
        free: also decode greedily.
        max_new_tokens: where a free answer is cut off.

    Raises:
        DatasetError: a row without prompt, or with a broken image.
        ModelError: logits that are not finite, or choices that the model's tokenizer cannot tell apart.
    """
    filled, asked = ask(loaded, rows, prompt=prompt, task=task, restricted=restricted)
    return answers(loaded, filled, asked, free=free, max_new_tokens=max_new_tokens)


def answers(
    loaded: Loaded,
    filled: Prefill,
    questions: Sequence[Question],
    *,
    free: bool = True,
    max_new_tokens: int = 16,
) -> list[Answer]:
    """The answers to questions after their forward pass; free ones take its cache.

    Raises ModelError as `answer` does.
    """
    shares = choice_shares(loaded, filled, questions)
    right = _tokens_right(loaded, filled, questions)
    replies: Sequence[str | None] = [None] * len(questions)
    if free:
        replies = decode(loaded, filled, max_new_tokens)
    return [
        Answer(*_best(q.choices, share), reply, of_tokens)
        for q, share, reply, of_tokens in zip(questions, shares, replies, right, strict=True)
    ]


def _best(
    choices: Sequence[str] | None, shares: Tensor | None
) -> tuple[str | None, float | None, list[tuple[str, float]] | None]:
    if choices is None or shares is None:
        return None, None, None
    values, indices = shares.topk(min(TOP, len(choices)))
    top = [(choices[i], share) for i, share in zip(indices.tolist(), values.tolist(), strict=True)]
    return *top[0], top


def choice_shares(loaded: Loaded, filled: Prefill, questions: Sequence[Question]) -> list[Tensor | None]:
    """For each question how probable each of its choices is, in [0, 1]: float32 (choices,), on the CPU.

    None where any text is an answer. Rows with the same choices are computed together. Raises ModelError as
    `answer` does.
    """
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, q in enumerate(questions):
        if q.replies:
            groups[q.replies].append(i)
    shares: list[Tensor | None] = [None] * len(questions)
    trees: dict[int, tuple[tuple[int, ...], ...]] = {}
    for replies, rows in groups.items():
        tokens = choice_tokens(loaded, replies)
        if all(len(reply) == 1 for reply in tokens):
            of_group = filled.logits[rows][:, [token for (token,) in tokens]].softmax(-1).cpu()
            for i, share in zip(rows, of_group, strict=True):
                shares[i] = share
        else:
            trees |= dict.fromkeys(rows, tokens)
    attention = filled.inputs["attention_mask"]
    totals = likelihoods(loaded, filled.logits, attention, filled.cache, filled.position, trees)
    for i, total in totals.items():
        shares[i] = total.softmax(-1)
    return shares


@torch.inference_mode()
def _tokens_right(loaded: Loaded, filled: Prefill, questions: Sequence[Question]) -> list[float | None]:
    """Where any text is an answer, the share of the right reply's tokens that are the likeliest after those
    before them; None elsewhere. These tokens go through the model behind the question, which is in the cache.
    """
    right: list[float | None] = [None] * len(questions)
    replies = {i: q.reply for i, q in enumerate(questions) if q.choices is None and q.reply is not None}
    if not replies:
        return right
    targets = [torch.tensor(written_tokens(loaded, reply)) for reply in replies.values()]
    rows = torch.tensor(list(replies), device=loaded.device)
    likeliest = filled.logits[rows].argmax(-1, keepdim=True).cpu()
    before = torch.nn.utils.rnn.pad_sequence(targets, batch_first=True)[:, :-1].to(loaded.device)
    if before.shape[1]:
        seen = filled.inputs["attention_mask"][rows]
        outputs = loaded.model(
            input_ids=before,
            attention_mask=torch.cat([seen, torch.ones_like(before)], dim=1),
            position_ids=filled.position[rows] + torch.arange(before.shape[1], device=loaded.device),
            cache=fork(filled.cache, rows),
            use_cache=True,
        )
        likeliest = torch.cat([likeliest, outputs.logits.argmax(-1).cpu()], dim=1)
    for i, best, target in zip(replies, likeliest, targets, strict=True):
        right[i] = float((best[: len(target)] == target).float().mean()) if len(target) else 0.0
    return right


@torch.inference_mode()
def decode(loaded: Loaded, filled: Prefill, max_new_tokens: int) -> list[str]:
    """Greedy decoding after a prefill, whose cache it takes.

    The first token costs nothing more, each further one a step for the rows that are not done; the others
    leave the cache. Raises ModelError for logits that are not finite.
    """
    tokenizer, cache = loaded.processor.tokenizer, filled.cache
    attention, position = filled.inputs["attention_mask"], filled.position
    ends = torch.tensor(sorted(loaded.family.ends(loaded.processor)), device=attention.device)
    last = filled.logits.argmax(-1)
    tokens = torch.full((len(last), max_new_tokens), tokenizer.pad_token_id, device=last.device)
    open_rows = torch.arange(len(last), device=last.device)
    for step in range(max_new_tokens):
        tokens[open_rows, step] = last
        going = (~torch.isin(last, ends)).nonzero().flatten()
        if step == max_new_tokens - 1 or len(going) == 0:
            break
        if len(going) < len(open_rows):
            cache.batch_select_indices(going)
            open_rows, attention, last = open_rows[going], attention[going], last[going]
            position = position[going]
        attention = torch.cat([attention, torch.ones_like(attention[:, :1])], dim=1)
        outputs = loaded.model(
            input_ids=last[:, None],
            attention_mask=attention,
            position_ids=position + step,
            cache=cache,
            use_cache=True,
        )
        logits = outputs.logits[:, -1]
        refuse_non_finite(logits, loaded.called)
        last = logits.argmax(-1)
    return [text.strip() for text in tokenizer.batch_decode(tokens, skip_special_tokens=True)]
