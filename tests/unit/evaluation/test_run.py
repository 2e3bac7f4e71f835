"""Restricted and free answers against a plain reference, and what is written."""

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import small_model
from letters import sample_scene
from unblind.errors import DatasetError, ModelError
from unblind.evaluation.run import evaluate, evaluate_to
from unblind.models.choices import choices_as_tokens
from unblind.models.collate import Collator
from unblind.models.paligemma import FAMILY
from unblind.tasks.circled_letter.draw import draw
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.fonts import FontLibrary
from unblind.tasks.registry import task_named
from unblind.tasks.words import LETTERS, WordSource

MIXED = small_model.samples(7).map(lambda row, i: {"prompt": "Dark?" + "!" * i}, with_indices=True)


@pytest.fixture(scope="module")
def predictions() -> pa.Table:
    return evaluate(small_model.loaded(), MIXED, batch_size=3, max_new_tokens=5)


def test_the_columns(predictions: pa.Table) -> None:
    ours = ["free", "restricted", "probability", "top5"]
    assert predictions.column_names == ["id", "task", "answer", *ours, "prompt"]
    assert predictions["id"].to_pylist() == [f"s{i}" for i in range(7)]


@torch.no_grad()
def test_restricted_answers_are_the_best_letters(predictions: pa.Table) -> None:
    model, processor = small_model.model(), small_model.processor()
    for row, found in zip(MIXED, predictions.to_pylist(), strict=True):
        inputs = Collator(FAMILY, processor, answers=False)([row])
        share = (
            model(**inputs).logits[0, -1, choices_as_tokens(FAMILY, processor, LETTERS).tokens].softmax(-1)
        )
        assert found["restricted"] == LETTERS[int(share.argmax())]
        assert found["probability"] == pytest.approx(float(share.max()), abs=1e-5)
        top = json.loads(found["top5"])
        assert top[0] == [found["restricted"], found["probability"]]
        assert [letter for letter, _ in top] == [LETTERS[i] for i in share.topk(5).indices]


@torch.no_grad()
def test_free_answers_are_those_of_generate(predictions: pa.Table) -> None:
    model, processor = small_model.model(), small_model.processor()
    for row, found in zip(MIXED, predictions["free"].to_pylist(), strict=True):
        inputs = Collator(FAMILY, processor, answers=False)([row])
        out = model.generate(**inputs, max_new_tokens=5, do_sample=False)
        new = out[0, inputs["input_ids"].shape[1] :]
        assert found == processor.tokenizer.decode(new, skip_special_tokens=True).strip()


def test_without_free_answers() -> None:
    assert evaluate(small_model.loaded(), MIXED, free=False)["free"].to_pylist() == [None] * 7


def test_longer_answers_have_no_restricted_ones() -> None:
    table = evaluate(small_model.loaded(), MIXED.map(lambda _: {"answer": "dark"}), max_new_tokens=2)
    assert table["restricted"].to_pylist() == [None] * 7
    assert all(isinstance(text, str) for text in table["free"].to_pylist())
    assert set(table["probability"].to_pylist()) == set(table["top5"].to_pylist()) == {None}


@torch.no_grad()
def test_words_are_measured_token_by_token(tmp_path: Path) -> None:
    """Each token from the right ones before it, the end of sequence left out; the mean is in the metrics."""
    words = MIXED.map(lambda row, i: {"answer": "k" if i % 2 else "dark"}, with_indices=True)
    out = tmp_path / "out"
    metrics = evaluate_to(out, small_model.loaded(), words, data="words", batch_size=3, blank=True)
    written = pq.read_table(out / "predictions.parquet")
    model, processor = small_model.model(), small_model.processor()
    for row, found in zip(words, written["tokens_right"].to_pylist(), strict=True):
        batch = Collator(FAMILY, processor)([row])
        kept = batch["logits_to_keep"][0]
        targets = batch["shift_labels"].flatten()
        inputs = {k: v for k, v in batch.items() if k not in ("labels", "shift_labels", "logits_to_keep")}
        best = model(**inputs).logits[0, kept].argmax(-1)
        assert found == pytest.approx(float((best == targets)[:-1].float().mean()))
    mean = sum(written["tokens_right"].to_pylist()) / len(words)
    assert metrics["accuracy"]["tokens"]["value"] == pytest.approx(mean)
    assert metrics["accuracy"]["restricted"] is None and set(metrics["base_rates"]) == {"most_frequent"}
    assert written["blank"].to_pylist() == [None] * len(words)


def test_the_prompt_can_be_replaced() -> None:
    with_other = evaluate(small_model.loaded(), MIXED, prompt="highlighted", free=False)
    own = evaluate(
        small_model.loaded(),
        MIXED.map(lambda _: {"prompt": "Which character is being highlighted with a red oval?"}),
        free=False,
    )
    assert with_other["probability"].to_pylist() == own["probability"].to_pylist()


def test_a_dataset_without_ids_gets_row_numbers() -> None:
    table = evaluate(small_model.loaded(), MIXED.remove_columns("id"), free=False)
    assert table["id"].to_pylist() == [str(i) for i in range(7)]


def test_what_is_written(tmp_path: Path) -> None:
    metrics = evaluate_to(tmp_path / "out", small_model.loaded(), MIXED, data="mixed", batch_size=4)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    wanted = "n accuracy by base_rates model adapter data seconds images_per_second versions"
    assert set(wanted.split()) <= set(metrics)
    assert (metrics["n"], metrics["model"], metrics["data"]) == (7, "small", "mixed")
    written = pq.read_table(tmp_path / "out" / "predictions.parquet")
    assert written.num_rows == 7
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "metrics.json",
        "predictions.parquet",
    ]


def test_a_broken_image_is_named() -> None:
    rows = MIXED.cast_column("image", datasets.Image(decode=False))
    broken = rows.map(lambda row: {"image": {"bytes": row["image"]["bytes"][:60], "path": None}})
    with pytest.raises(DatasetError, match="row s0"):
        evaluate(small_model.loaded(), broken)


def test_an_id_twice_is_refused_before_asking() -> None:
    with pytest.raises(DatasetError, match="id 's0' and 6 more ids more than once"):
        evaluate(small_model.loaded(), datasets.concatenate_datasets([MIXED, MIXED]))


def test_an_answer_that_is_no_letter_among_letters_is_named() -> None:
    strange = MIXED.map(lambda row: {"answer": {"s2": "7", "s5": "é"}.get(row["id"], "b")})
    with pytest.raises(
        DatasetError,
        match=r"row s2: the answer '7' is none of the 52 letters of circled-letter .*nor are 1 more",
    ):
        evaluate(small_model.loaded(), strange)


def test_no_sample_and_one() -> None:
    with pytest.raises(DatasetError, match="empty"):
        evaluate(small_model.loaded(), MIXED.select([]))
    assert evaluate(small_model.loaded(), MIXED.select([0])).num_rows == 1


def test_the_answer_to_a_blank_image_depends_on_the_prompt_alone() -> None:
    twice = datasets.concatenate_datasets([MIXED, small_model.samples(2, prompt="Dark?")]).remove_columns(
        "id"
    )
    found = evaluate(small_model.loaded(), twice, free=False, blank=True)["blank"].to_pylist()
    assert found[7] == found[8] == found[0]
    white = MIXED.map(lambda _: {"image": Image.new("RGB", (50, 50), "white")}, features=MIXED.features)
    assert found[:7] == evaluate(small_model.loaded(), white, free=False)["restricted"].to_pylist()


def test_rows_without_a_scene_have_no_uncircled_answer() -> None:
    with pytest.raises(DatasetError, match="--uncircled needs the column 'scene'"):
        evaluate(small_model.loaded(), MIXED, free=False, uncircled=True)


def test_the_uncircled_answer_is_the_one_to_the_word_alone(words: WordSource, fonts: FontLibrary) -> None:
    scene = sample_scene(0, "test", 1, words, fonts)
    font = fonts.get(scene.font.digest)
    row = {"prompt": "Dark?", "answer": scene.letter, "scene": TASK.to_json(scene)}
    images = [Image.fromarray(draw(scene, font, circled=circled)) for circled in (True, False)]
    rows = datasets.Dataset.from_list([{**row, "image": image} for image in images])
    found = evaluate(small_model.loaded(), rows, free=False, uncircled=True)
    assert found["uncircled"].to_pylist() == [found["restricted"].to_pylist()[1]] * 2


def test_a_column_called_like_one_of_ours_is_kept_apart() -> None:
    """Whether or not ours is there; the metadata say which columns are the evaluation's."""
    named = MIXED.add_column("blank", ["x"] * 7).add_column("free", ["yes"] * 7)
    for blank in (False, True):
        table = evaluate(small_model.loaded(), named, blank=blank)
        ours = json.loads(table.schema.metadata[b"unblind.columns"])
        assert ours == [*(["blank"] if blank else []), "free", "probability", "restricted", "top5"]
        assert table["data.blank"].to_pylist() == ["x"] * 7
        assert table["data.free"].to_pylist() == ["yes"] * 7
        assert ("blank" in table.column_names) == blank
        assert "yes" not in table["free"].to_pylist()


def test_several_tasks_in_one_go() -> None:
    """Letters are restricted, as they are alone; what is asked beside them is spelt."""
    tasks = ["circled-letter", "size"] * 3 + ["circled-letter"]
    mixed = MIXED.add_column("task", tasks).map(
        lambda row: {"answer": row["answer"] if row["task"] == "circled-letter" else "left"}
    )
    table = evaluate(small_model.loaded(), mixed, batch_size=3, blank=True)
    assert table["task"].to_pylist() == tasks
    closed = [name == "circled-letter" for name in tasks]
    for name in ("restricted", "probability", "top5", "blank"):
        assert [value is not None for value in table[name].to_pylist()] == closed
    assert [value is None for value in table["tokens_right"].to_pylist()] == closed
    alone = evaluate(small_model.loaded(), MIXED, batch_size=3)
    for i in (0, 2, 4, 6):
        assert table["restricted"][i] == alone["restricted"][i] and table["free"][i] == alone["free"][i]
        assert table["probability"][i].as_py() == pytest.approx(alone["probability"][i].as_py(), abs=1e-5)


def test_choices_in_the_format_of_the_prompt() -> None:
    """In curly brackets a letter is three tokens; what is kept of it is the letter."""
    table = evaluate(small_model.loaded(), MIXED, prompt="circled-braces", free=False, blank=True)
    for row in table.to_pylist():
        assert row["restricted"] in LETTERS and row["blank"] in LETTERS
        top = json.loads(row["top5"])
        assert top[0] == [row["restricted"], row["probability"]]
        assert sum(share for _, share in top) <= 1 + 1e-6
        assert row["prompt"].endswith("{a}") and row["answer"] in "Ab"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_logits_that_are_no_numbers_are_refused(dtype: torch.dtype) -> None:
    loaded = small_model.loaded()
    loaded.model.to(dtype)
    loaded.model.model.multi_modal_projector.linear.bias.data[0] = float("inf")
    wanted = "float32 .*; its weights are broken" if dtype == torch.float32 else "take --dtype bfloat16 or"
    with pytest.raises(ModelError, match=f"small: its logits in .*{wanted}"):
        evaluate(loaded, MIXED.select([0]), free=False)


def test_tasks_with_choices_of_their_own() -> None:
    """Counts in curly brackets beside letters: each row is restricted to what its task and prompt know."""
    counts = MIXED.map(lambda row: {"prompt": "touch", "answer": "3"}).add_column(
        "task", ["line-intersections"] * 7
    )
    letters = MIXED.add_column("task", ["circled-letter"] * 7)
    both = datasets.concatenate_datasets([letters, counts]).remove_columns("id")
    table = evaluate(small_model.loaded(), both, batch_size=4, blank=True)
    for row in table.to_pylist():
        choices = task_named(row["task"]).answers.choices
        assert row["restricted"] in choices and row["blank"] in choices
    alone = evaluate(small_model.loaded(), counts, batch_size=7)
    assert alone["restricted"].to_pylist() == table["restricted"].to_pylist()[7:]
    assert alone["probability"].to_pylist() == pytest.approx(table["probability"].to_pylist()[7:], abs=1e-5)
    assert alone["prompt"][0].as_py() == task_named("line-intersections").prompts["touch"].text
