"""The likelihoods of replies of several tokens, against plain forward passes over each whole reply."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import small_model
from unblind.errors import ModelError
from unblind.evaluation import likelihoods
from unblind.evaluation.answers import answers, choice_shares, collate, prefill
from unblind.evaluation.likelihoods import choice_tokens, fork, tree_of
from unblind.evaluation.questions import Question
from unblind.models.collate import Collator
from unblind.models.loading import Loaded

COUNTS = ("1", "12", "2", "21", "122")
LETTERS = tuple("abcXYZ")
ROWS = list(small_model.samples(5))


def asked(text: str, choices: tuple[str, ...], form: str = "{}") -> Question:
    replies = tuple(form.format(choice) for choice in choices)
    return Question("test", text, choices, replies)


# questions of different lengths: the batch is padded on the left; and trees of different shapes
MIXED = [
    asked("Dark?", COUNTS),
    asked("Is it dark here, or is it not?", LETTERS, "It is {}."),
    asked("D?", LETTERS),
    asked("How many?", COUNTS, "<{}>"),
    asked("Dark?", ("a", "ab", "abc")),
]


@torch.no_grad()
def mild(sliding_window: int | None = None) -> Loaded:
    """A small model that is not too sure of anything."""
    loaded = small_model.loaded()
    loaded.model.model.language_model.embed_tokens.weight *= 0.25
    if sliding_window:  # of its first layer
        loaded.model.config.text_config.sliding_window = sliding_window
    return loaded


@torch.no_grad()
def brute_force(loaded: Loaded, row: dict[str, Any], question: Question) -> torch.Tensor:
    """The logarithm of each choice's share, from a pass of its own over image, question, reply and end."""
    totals = []
    for reply in question.replies:
        batch = Collator(loaded.family, loaded.processor)([{**row, "prompt": question.text, "answer": reply}])
        targets, kept = batch["shift_labels"], batch["logits_to_keep"][0]
        assert targets.tolist() == loaded.family.reply_tokens(loaded.processor, reply)
        inputs = {k: v for k, v in batch.items() if k not in ("labels", "shift_labels", "logits_to_keep")}
        logs = loaded.model(**inputs).logits[0, kept].log_softmax(-1)
        steps = logs.gather(1, targets[:, None]).squeeze(1)
        if all(len(loaded.family.reply_tokens(loaded.processor, other)) == 2 for other in question.replies):
            steps = steps[:1]  # one token each: its share alone, without the end
        totals.append(steps.sum())
    return torch.stack(totals).log_softmax(0)


def log_shares(loaded: Loaded, rows: list[dict[str, Any]], questions: list[Question]) -> list[torch.Tensor]:
    found = choice_shares(loaded, prefill(loaded, collate(loaded, rows, questions)), questions)
    return [share.log() for share in found]


def assert_equal_to_brute_force(loaded: Loaded, questions: list[Question]) -> None:
    for found, row, question in zip(log_shares(loaded, ROWS, questions), ROWS, questions, strict=True):
        torch.testing.assert_close(found, brute_force(loaded, row, question), atol=1e-4, rtol=0)


def test_they_equal_brute_force_in_a_mixed_batch() -> None:
    assert_equal_to_brute_force(mild(), MIXED)


def test_they_do_where_every_row_has_several_tokens_and_formats_take_turns() -> None:
    """Rows of the same format are computed together, which must not exchange rows."""
    turns = [asked("How many?", COUNTS, form) for form in ("<{}>", "{}", "<{}>", "{}", "<{}>")]
    assert_equal_to_brute_force(mild(), turns)


def test_they_do_where_the_memory_takes_one_row_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihoods, "LOGITS_AT_ONCE", 1)
    assert_equal_to_brute_force(mild(), MIXED)


@pytest.mark.parametrize("size", [6, 40])
def test_they_do_where_a_layer_forgets_how_the_question_began(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = []
    path_logits = likelihoods._path_logits

    def counted(*arguments: Any) -> torch.Tensor:
        walked.append(arguments)
        return path_logits(*arguments)

    monkeypatch.setattr(likelihoods, "_path_logits", counted)
    loaded = mild(size)
    same = [asked(f"Dark?{'!' * i}", COUNTS) for i in range(5)]  # no padding: it counts in a window
    for question, row in zip(same, ROWS, strict=True):
        (found,) = log_shares(loaded, [row], [question])
        torch.testing.assert_close(found, brute_force(loaded, row, question), atol=1e-4, rtol=0)
    assert bool(walked) == (size == 6)


def test_the_free_answer_is_none_the_worse() -> None:
    """The cache that free answers are decoded from is the question's alone."""
    loaded = small_model.loaded()
    batch = collate(loaded, ROWS, MIXED)
    found = answers(loaded, prefill(loaded, batch), MIXED, max_new_tokens=5)
    plain = [Question("test", q.text, None, ()) for q in MIXED]
    alone = answers(loaded, prefill(loaded, batch), plain, max_new_tokens=5)
    assert [one.free for one in found] == [one.free for one in alone]
    assert [one.restricted for one in alone] == [None] * 5
    for one, question in zip(found, MIXED, strict=True):
        assert one.restricted in question.choices and one.top[0] == (one.restricted, one.probability)
        assert len(one.top) == min(5, len(question.choices))


def test_a_fork_leaves_its_trunk_alone() -> None:
    loaded = small_model.loaded()
    filled = prefill(loaded, collate(loaded, ROWS, MIXED))
    before = [layer.keys.clone() for layer in filled.cache.layers]
    branch = fork(filled.cache, torch.tensor([2, 0]))
    ids = torch.tensor([[5], [6]])
    loaded.model(input_ids=ids, attention_mask=torch.ones(2, 1 + before[0].shape[2]), cache=branch)
    for layer, keys, grown in zip(filled.cache.layers, before, branch.layers, strict=True):
        assert torch.equal(layer.keys, keys)
        assert grown.keys.shape[2] == keys.shape[2] + 1 and torch.equal(grown.keys[0, :, :-1], keys[2])


def test_a_tree_shares_what_is_the_same() -> None:
    """1, 12 and 122 lie on one branch, 2 and 21 on another; `0` is the end of the sequence."""
    tree = tree_of(((1, 0), (1, 2, 0), (2, 0), (2, 1, 0), (1, 2, 2, 0)))
    assert tree.tokens.tolist() == [1, 2, 2, 1, 2] and tree.depths.tolist() == [1, 2, 1, 2, 3]
    assert tree.branches.sum(1).tolist() == [1, 2, 1, 2, 3]
    assert tree.paths[-1] == (0, 1, 4)
    assert tree.steps[0].tolist() == [0, 1, 0, 1, 2, 0, 3, 0, 3, 4, 0, 1, 2, 5]


def test_one_token_each_needs_no_end() -> None:
    loaded = small_model.loaded()
    assert {len(tokens) for tokens in choice_tokens(loaded, LETTERS)} == {1}
    eos = loaded.processor.tokenizer.eos_token_id
    assert all(tokens[-1] == eos for tokens in choice_tokens(loaded, COUNTS))


@pytest.mark.parametrize("replies", [("a", "a"), ("a", ""), ("a", "\ufdfd")])
def test_choices_that_cannot_be_told_apart_are_refused(replies: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="no tokens of its own for the answer"):
        choice_tokens(small_model.loaded(), replies)
