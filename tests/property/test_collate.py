"""What the mask, the labels and the padding must do, on a real (small) model."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import small_model
from unblind.data.generation import drawn
from unblind.errors import DatasetError, ModelError, SceneError
from unblind.models.choices import choices_as_tokens
from unblind.models.paligemma import FAMILY
from unblind.tasks.words import LETTERS

MODEL = small_model.model()
TEXT = st.text(alphabet="abc XYZ?,", min_size=1, max_size=12)
ANSWER = st.text(alphabet="abcXYZ", min_size=1, max_size=4)
IMAGE = small_model.samples(1)[0]["image"]
KEYS = ("input_ids", "attention_mask", "token_type_ids", "pixel_values")


def row(prompt: str, answer: str = "A") -> dict:
    return {"id": "r", "image": IMAGE, "prompt": prompt, "answer": answer}


def batch_of(*rows: dict, **options) -> dict[str, torch.Tensor]:
    return small_model.collator(**options)(rows)


@torch.no_grad()
def states(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return MODEL.model(**{key: batch[key] for key in KEYS}).last_hidden_state


@torch.no_grad()
def logits(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return MODEL(**{key: batch[key] for key in KEYS}).logits


@settings(max_examples=15, deadline=None)
@given(TEXT, ANSWER, st.data())
def test_an_answer_token_changes_nothing_before_it(prompt: str, answer: str, data: st.DataObject) -> None:
    batch = batch_of(row(prompt, answer))
    place = data.draw(
        st.integers(batch["input_ids"].shape[1] - len(answer) - 1, batch["input_ids"].shape[1] - 1)
    )
    before = logits(batch)
    batch["input_ids"][0, place] += 1
    after = logits(batch)
    torch.testing.assert_close(before[:, :place], after[:, :place], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, place:], after[:, place:], atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(TEXT, st.data())
def test_a_prompt_token_changes_every_image_state(prompt: str, data: st.DataObject) -> None:
    batch = batch_of(row(prompt))
    images = small_model.processor().image_seq_length
    place = data.draw(st.integers(images, images + len(prompt)))  # bos, then a token a character
    before = states(batch)[0, :images]
    batch["input_ids"][0, place] += 1
    change = (states(batch)[0, :images] - before).abs().amax(-1)
    assert (change > 0).all()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(TEXT, ANSWER), min_size=1, max_size=4))
def test_the_loss_is_that_of_full_logits(texts: list[tuple[str, str]]) -> None:
    batch = batch_of(*(row(*text) for text in texts))
    with torch.no_grad():
        ours = MODEL(**batch).loss
    full = logits(batch)[:, :-1].flatten(0, 1)
    reference = torch.nn.functional.cross_entropy(full, batch["labels"][:, 1:].flatten())
    torch.testing.assert_close(ours, reference, rtol=0, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(TEXT, ANSWER), min_size=2, max_size=4))
def test_padding_changes_nothing(texts: list[tuple[str, str]]) -> None:
    together = logits(batch_of(*(row(*text) for text in texts)))
    for i, text in enumerate(texts):
        alone = logits(batch_of(row(*text)))[0]
        torch.testing.assert_close(together[i, -len(alone) :], alone, rtol=1e-4, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(TEXT, ANSWER)
def test_the_text_is_that_of_the_processor(prompt: str, answer: str) -> None:
    processor = small_model.processor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # transformers: numpy's __array__(copy=...)
        theirs = processor(images=[IMAGE], text=[f"<image>{prompt}"], suffix=[answer], return_tensors="pt")
    ours = batch_of(row(prompt, answer))
    for key in (*KEYS, "labels"):
        assert torch.equal(ours[key], theirs[key]), key


def test_labels_are_the_answer_and_its_end() -> None:
    batch = batch_of(row("Which letter?", "Q"), row("Which?", "xyz"))
    tokenizer = small_model.processor().tokenizer
    assert tokenizer.decode(batch["shift_labels"]) == "Q<eos>xyz<eos>"
    assert batch["labels"].ne(-100).sum(1).tolist() == [2, 4]
    assert batch["logits_to_keep"].sum(1).tolist() == [2, 4]
    assert batch["attention_mask"][:, 0].tolist() == [1, 0]  # the shorter one is padded on the left


def test_without_answers_nothing_is_a_target() -> None:
    batch = batch_of(row("Which letter?"), answers=False)
    assert set(batch) == {"input_ids", "attention_mask", "token_type_ids", "pixel_values"}
    assert not batch["token_type_ids"].any()


@settings(max_examples=15, deadline=None)
@given(TEXT, ANSWER)
def test_training_sees_the_question_of_evaluation(prompt: str, answer: str) -> None:
    training, asking = batch_of(row(prompt, answer)), batch_of(row(prompt), answers=False)
    prefix = training["token_type_ids"][0] == 0
    assert torch.equal(training["input_ids"][0, prefix], asking["input_ids"][0])
    assert torch.equal(training["pixel_values"], asking["pixel_values"])


def test_a_bad_mask_is_refused() -> None:
    batch = batch_of(row("Which?", "A"))
    FAMILY.check(batch)
    with pytest.raises(ValueError, match="no token_type_ids"):
        FAMILY.check({key: value for key, value in batch.items() if key != "token_type_ids"})
    with pytest.raises(ValueError, match="answer would see itself"):
        FAMILY.check(batch | {"token_type_ids": torch.zeros_like(batch["token_type_ids"])})
    with pytest.raises(ValueError, match="not 1 on the answer alone"):
        FAMILY.check(batch | {"token_type_ids": torch.ones_like(batch["token_type_ids"])})


def test_the_prompt_can_be_replaced() -> None:
    tokenizer = small_model.processor().tokenizer
    assert "Which letter is being circled?\n" in tokenizer.decode(
        batch_of(row("x"), prompt="circled")["input_ids"][0]
    )
    with_word = batch_of(row("x") | {"word": "Zebra"}, prompt="word")
    assert "<bos>Zebra\n" in tokenizer.decode(with_word["input_ids"][0])
    with pytest.raises(DatasetError, match="row r has no word"):
        batch_of(row("x"), prompt="word")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": None}, "row r has no prompt"),
        ({"answer": ""}, "row r has no answer"),
        ({"prompt": "a <image> b"}, "must not contain <image>"),
        ({"prompt": "a <pad> b"}, "row r: the prompt must not contain <pad>"),
        ({"answer": "a<eos>"}, "row r: the answer must not contain <eos>"),
        ({"image": {"bytes": b"\x89PNG\r\n\x1a\nbroken", "path": None}}, "row r"),
    ],
)
def test_a_bad_row_is_named(change: dict, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        batch_of(row("Which?") | change)


def test_each_letter_is_one_token() -> None:
    tokens = list(choices_as_tokens(FAMILY, small_model.processor(), LETTERS).tokens)
    assert small_model.processor().tokenizer.decode(tokens) == LETTERS


def reply_of(row: dict, **options) -> str:
    """What training would have the model say."""
    tokenizer = small_model.processor().tokenizer
    return tokenizer.decode(batch_of(row, **options)["shift_labels"]).removesuffix("<eos>")


def question_of(row: dict, **options) -> str:
    text = small_model.processor().tokenizer.decode(batch_of(row, answers=False, **options)["input_ids"][0])
    return text.partition("<bos>")[2].removesuffix("\n")


@pytest.mark.parametrize("task", [None, "circled-letter", "someone's own"])
def test_training_writes_the_answer_in_the_prompts_format(task: str | None) -> None:
    asked = row("What is it?", "k") | {"task": task}
    assert reply_of(asked) == reply_of(asked, prompt="circled") == "k"
    assert reply_of(asked, prompt="circled-braces") == "{k}"
    text = question_of(asked, prompt="circled-braces")
    assert text == question_of(asked | {"prompt": text}) and text.startswith(
        "Which letter is being circled? "
    )
    assert reply_of(asked | {"prompt": text}) == "{k}"


def test_answers_that_are_no_letters_are_asked_for_by_the_old_names_as_well() -> None:
    asked = row("Dark or light?", "dark") | {"word": "Zebra"}
    assert (question_of(asked), reply_of(asked)) == ("Dark or light?", "dark")
    assert question_of(asked, prompt="circled") == "Which letter is being circled?"
    assert question_of(asked, prompt="Is {word} dark?") == "Is Zebra dark?"
    assert reply_of(asked, prompt="Is {word} dark?") == "dark"


def test_another_truth_needs_the_rows_scene() -> None:
    asked = row("Which letter is being circled?", "k") | {"task": "circled-letter"}
    with pytest.raises(SceneError, match="row r has no scene, which alone tells the answer"):
        batch_of(asked, prompt="read")
    (drawn_row,) = drawn(1)
    assert reply_of(drawn_row) == drawn_row["letter"]
    assert reply_of(drawn_row, prompt="read") == drawn_row["word"]


def test_choices_are_told_apart_by_one_token() -> None:
    tokenizer = small_model.processor().tokenizer
    braced = choices_as_tokens(FAMILY, small_model.processor(), [f"{{{letter}}}" for letter in LETTERS])
    assert tokenizer.decode(braced.shared) == "{" and tokenizer.decode(braced.tokens) == LETTERS
    words = choices_as_tokens(FAMILY, small_model.processor(), ["no", "never"])
    assert (tokenizer.decode(words.shared), tokenizer.decode(words.tokens)) == ("n", "oe")
    for replies in (["1", "10", "2"], ["é", "ü"]):
        with pytest.raises(ModelError, match="does not tell"):
            choices_as_tokens(FAMILY, small_model.processor(), replies)
