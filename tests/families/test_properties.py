"""What must hold for a question, its image and a reply in each family, on a small random model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from PIL import Image
from transformers import GenerationConfig

from unblind.evaluation.answers import ask, choice_shares, decode, prefill
from unblind.evaluation.likelihoods import choice_tokens
from unblind.evaluation.questions import Question
from unblind.models.adapters import add_adapter, base_of
from unblind.models.choices import choices_as_tokens
from unblind.models.collate import Collator
from unblind.models.loading import Loaded, load
from unblind.recipe import Part, Scope
from unblind.tasks.words import LETTERS

PARTS: tuple[Part, ...] = ("language", "projector", "vision")
LIMIT = 12  # tokens of a reply
SIZES = ((40, 40), (40, 70), (90, 50))  # height and width: cut up differently, where a family does


def picture(size: tuple[int, int] = SIZES[0], seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8))


def row(prompt: str = "Which letter is being circled?", answer: str = "c", **more: Any) -> dict[str, Any]:
    return {"id": "r", "image": picture(), "prompt": prompt, "answer": answer} | more


ROWS = [
    row(),
    row("What?", "Hello there", image=picture(SIZES[1], 1)),
    row("Which one is it, and why?", "No", image=picture(SIZES[2], 2)),
]


def batch_of(loaded: Loaded, rows: list[dict[str, Any]], **options: Any) -> dict[str, torch.Tensor]:
    return Collator(loaded.family, loaded.processor, **options)(rows)


def full_logits(loaded: Loaded, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    inputs = {k: v for k, v in batch.items() if k not in ("labels", "shift_labels", "logits_to_keep")}
    with torch.no_grad():
        return loaded.model(**inputs).logits


def test_the_answer_is_exactly_the_answer(loaded: Loaded) -> None:
    batch, asked = batch_of(loaded, ROWS), batch_of(loaded, ROWS, answers=False)
    tokenizer = loaded.processor.tokenizer
    for i, sample in enumerate(ROWS):
        written = tokenizer.decode(batch["labels"][i][batch["labels"][i] != -100])
        reply, end = written[: -len(_end(loaded))], written[-len(_end(loaded)) :]
        assert (reply.strip(), end) == (sample["answer"], _end(loaded))
        is_prompt = (batch["labels"][i] == -100) & batch["attention_mask"][i].bool()
        assert torch.equal(
            batch["input_ids"][i][is_prompt], asked["input_ids"][i][asked["attention_mask"][i] > 0]
        )
    for name, pixels in asked.items():
        if name not in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
            assert torch.equal(pixels, batch[name]), name
    assert batch["labels"][:, -1].ne(-100).all()  # padded on the left


def _end(loaded: Loaded) -> str:
    marks = {"Gemma 3": "<end_of_turn>", "Idefics3": "<end_of_utterance>", "SmolVLM": "<end_of_utterance>"}
    return marks.get(loaded.family.name, "<|im_end|>")


def test_the_whole_text_is_what_the_template_renders(loaded: Loaded) -> None:
    """Tokenized at once, the template's own text of question and reply begins with what training sees."""
    sample = ROWS[1]
    batch = batch_of(loaded, [sample])
    asked, written = loaded.family.turns(loaded.processor, sample["prompt"], sample["answer"])
    begin = loaded.processor.tokenizer.bos_token
    whole = loaded.processor(
        images=[[sample["image"]]], text=[asked + written], return_tensors="pt",
        add_special_tokens=not (begin and asked.startswith(begin)),
    )["input_ids"]  # fmt: skip
    length = batch["input_ids"].shape[1]
    assert torch.equal(whole[:, :length], batch["input_ids"])
    assert loaded.processor.tokenizer.decode(whole[0, length:]).strip() == ""


def test_an_answer_token_changes_nothing_before_it_and_a_prompt_token_does(loaded: Loaded) -> None:
    batch = batch_of(loaded, [ROWS[1]])
    before = full_logits(loaded, batch)
    place = batch["input_ids"].shape[1] - 3
    assert batch["labels"][0, place] != -100
    changed = {**batch, "input_ids": batch["input_ids"].clone()}
    changed["input_ids"][0, place] = loaded.processor.tokenizer.encode("z", add_special_tokens=False)[0]
    after = full_logits(loaded, changed)
    torch.testing.assert_close(before[:, :place], after[:, :place], rtol=0, atol=1e-6)
    assert (before[:, place:] - after[:, place:]).abs().amax() > 1e-4

    question = loaded.processor.tokenizer.encode("What", add_special_tokens=False)[-1]
    (asked,) = (batch["input_ids"][0] == question).nonzero()[-1:].flatten().tolist()
    changed["input_ids"] = batch["input_ids"].clone()
    changed["input_ids"][0, asked] = loaded.processor.tokenizer.encode("z", add_special_tokens=False)[0]
    assert (before[:, place:] - full_logits(loaded, changed)[:, place:]).abs().amax() > 1e-4


def test_the_image_is_seen(loaded: Loaded) -> None:
    batch, other = batch_of(loaded, [row()]), batch_of(loaded, [row(image=picture(seed=5))])
    assert torch.equal(batch["input_ids"], other["input_ids"])
    assert (full_logits(loaded, batch)[:, -2] - full_logits(loaded, other)[:, -2]).abs().amax() > 1e-4


def test_the_loss_is_the_sum_by_hand_and_answer_only_logits_are_the_full_ones(loaded: Loaded) -> None:
    batch = batch_of(loaded, ROWS)
    with torch.no_grad():
        ours = loaded.model(**batch)
    full = full_logits(loaded, batch)[:, :-1]
    kept = batch["labels"][:, 1:] != -100
    torch.testing.assert_close(ours.logits.squeeze(), full[kept], rtol=1e-5, atol=1e-5)
    logs = full.double().log_softmax(-1)
    by_hand = -sum(logs[i, t, batch["input_ids"][i, t + 1]] for i, t in kept.nonzero().tolist()) / int(
        kept.sum()
    )
    assert abs(float(ours.loss) - float(by_hand)) < 1e-5


def test_a_padded_row_gives_what_it_gives_alone(loaded: Loaded) -> None:
    together = full_logits(loaded, batch_of(loaded, ROWS))
    for i, sample in enumerate(ROWS):
        alone = full_logits(loaded, batch_of(loaded, [sample]))[0]
        torch.testing.assert_close(together[i, -len(alone) :], alone, rtol=1e-4, atol=2e-5)


def test_greedy_decoding_is_generates_while_rows_leave_the_batch(loaded: Loaded) -> None:
    questions = [row(f"Which {word}?", image=picture(SIZES[i % 3], i)) for i, word in enumerate("abcdef")]
    filled, _ = ask(loaded, questions, restricted=False)
    end, leaving = _end_by_which_rows_leave(generated(loaded, filled.inputs, None))
    assert len(leaving) > 1, "all rows leave at once"
    written = loaded.processor.tokenizer.batch_decode(
        generated(loaded, filled.inputs, end), skip_special_tokens=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(loaded.family), "ends", lambda *_: frozenset({end}))
        given = decode(loaded, filled, LIMIT)
    assert given == [text.strip() for text in written]


def generated(loaded: Loaded, inputs: dict[str, torch.Tensor], end: int | None) -> list[list[int]]:
    """What transformers' own `generate` writes behind questions."""
    pad = loaded.processor.tokenizer.pad_token_id
    settings = GenerationConfig(
        do_sample=False, max_new_tokens=LIMIT, eos_token_id=end, pad_token_id=pad, bos_token_id=pad
    )
    whole = loaded.model.generate(**inputs, generation_config=settings)
    return whole[:, inputs["input_ids"].shape[1] :].tolist()


def _end_by_which_rows_leave(free: list[list[int]]) -> tuple[int, set[int]]:
    """The token by which, if it ended replies, rows would leave at most different times; and these."""
    tokens = sorted({token for line in free for token in line[:-1]})
    times = {t: {line.index(t) if t in line else LIMIT for line in free} for t in tokens}
    return max(times.items(), key=lambda item: len(item[1]))


def test_choices_of_several_tokens_have_the_likelihoods_of_whole_replies(loaded: Loaded) -> None:
    replies = ("No", "Hello there", "Hello", "7, 8")
    rows = [dict(sample) for sample in ROWS]
    asked = [
        Question(
            text=r["prompt"], task="circled-letter", choices=replies, replies=replies, answer=None, reply=None
        )
        for r in rows
    ]
    filled = prefill(loaded, batch_of(loaded, rows, answers=False))
    shares = choice_shares(loaded, filled, asked)
    assert any(len(tokens) > 2 for tokens in choice_tokens(loaded, replies))
    for i, sample in enumerate(rows):
        totals = []
        for reply in replies:
            batch = batch_of(loaded, [sample | {"answer": reply}])
            logs = full_logits(loaded, batch)[0, :-1].double().log_softmax(-1)
            kept = batch["labels"][0, 1:] != -100
            totals.append(logs[kept].gather(1, batch["shift_labels"][:, None]).sum())
        torch.testing.assert_close(shares[i].double(), torch.stack(totals).softmax(-1), rtol=1e-3, atol=1e-5)


def test_each_letter_is_one_token_in_its_place(loaded: Loaded) -> None:
    tokens = list(choices_as_tokens(loaded.family, loaded.processor, LETTERS).tokens)
    space = " " if loaded.family.name in ("Idefics3", "SmolVLM") else ""
    assert [loaded.processor.tokenizer.decode([token]) for token in tokens] == [space + c for c in LETTERS]


@pytest.mark.parametrize("scope", ["lora", "full"])
def test_all_that_is_trained_gets_a_gradient(folder: Path, scope: Scope) -> None:
    loaded = load(str(folder), device="cpu", dtype="float32")
    scopes = dict.fromkeys(PARTS, scope) | _projector(loaded, scope)
    assert_gradients(loaded, add_adapter(loaded.model, scopes, rank=2), scopes)


def _projector(loaded: Loaded, scope: Scope) -> dict[Part, Scope]:
    """Gemma 3's has nothing for LoRA."""
    return {"projector": "full" if loaded.family.name == "Gemma 3" else scope}


def assert_gradients(loaded: Loaded, model: PeftModel, scopes: dict[Part, Scope]) -> None:
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at first, which hides lora_A's
            parameter.data.normal_()
    model.train()
    batch = batch_of(loaded, ROWS)
    model(**batch, use_cache=False).loss.backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    parts = {loaded.family.part_of(name.removeprefix("base_model.model.")) for name in trained}
    assert parts == {part for part, scope in scopes.items() if scope != "frozen"}
    lacking = [name for name, p in trained.items() if p.grad is None or not p.grad.any()]
    assert not lacking, lacking[:3]


def test_gradients_with_nf4_and_with_checkpointing(folder: Path) -> None:
    loaded = load(str(folder), device="cpu", dtype="float32", quantization="nf4")
    scopes = dict.fromkeys(PARTS, "lora") | _projector(loaded, "lora")
    kinds = [type(module).__name__ for module in loaded.model.modules()]
    assert "Linear4bit" in kinds and "Linear" in kinds
    model = add_adapter(loaded.model, scopes, rank=2)
    base_of(model).activation_checkpointing_enable({"use_reentrant": False})
    assert_gradients(loaded, model, scopes)
