"""Contrast pairs: the twins of rows of every task, what is asked about them, and how pairs are counted."""

import datasets
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import small_model
from unblind.data.dataset_options import DatasetOptions
from unblind.data.mixture import mixture_of
from unblind.errors import DatasetError, RecipeError
from unblind.evaluation.contrast import twin_of
from unblind.evaluation.questions import questions, with_ids
from unblind.evaluation.run import evaluate
from unblind.scoring.metrics import score
from unblind.tasks.base import Row
from unblind.tasks.registry import TASKS, task_named


def rows_of(task: str, count: int, prompt: str | None = None) -> list[Row]:
    options = DatasetOptions(task=(task,), **({"prompt": prompt} if prompt else {}))
    return list(mixture_of(options).samples("test", 0, count))


def dataset(rows: list[Row]) -> datasets.Dataset:
    made = [{**row, "image": Image.fromarray(row["image"])} for row in rows]
    return datasets.Dataset.from_list(made).cast_column("image", datasets.Image())


@pytest.mark.parametrize("name", TASKS)
def test_a_twin_has_another_answer_to_the_same_question(name: str) -> None:
    rows, task, found = rows_of(name, 12), task_named(name), 0
    for row, question in zip(rows, questions(dataset(rows)), strict=True):
        twin = twin_of(row, question)
        if twin is None:
            continue
        found += 1
        picture, asked = twin
        assert asked.answer in task.answers.choices and asked.answer != question.answer
        assert asked.reply == task.prompt_of(question.text, row).reply(asked.answer)
        assert (asked.text, asked.choices, asked.task) == (question.text, question.choices, name)
        pixels = np.asarray(picture["image"])
        assert pixels.shape == row["image"].shape and (pixels != row["image"]).any()
        again, _ = twin_of(row, question)
        assert np.array_equal(np.asarray(again["image"]), pixels)
    assert found >= 9


def test_the_twin_is_about_what_the_question_asks() -> None:
    """The circles of one answer to `touching` may have the other one to `overlapping`."""
    rows = rows_of("two-circles", 12, "overlapping")
    task = task_named("two-circles")
    for row, question in zip(rows, questions(dataset(rows)), strict=True):
        scene = task.from_json(row["scene"])
        twin = task.contrast(np.random.default_rng(0), scene, "overlapping")
        made = twin_of(row, question)
        assert (made is None) == (twin is None)
        assert twin is None or {made[1].answer, question.answer} == {"Yes", "No"}


def test_an_answer_that_the_scene_does_not_tell_has_no_twin() -> None:
    (row,) = rows_of("circled-letter", 1)
    other = {**row, "answer": "q" if row["answer"] != "q" else "r"}
    (question,) = questions(dataset([other]))
    assert twin_of(other, question) is None


def test_twins_are_answered_as_pictures_of_their_own() -> None:
    rows = dataset([*rows_of("two-circles", 5), *rows_of("nested-squares", 4)])
    rows = rows.map(lambda _, i: {"id": str(i)}, with_indices=True)
    table = evaluate(small_model.loaded(), rows, contrast=True, batch_size=4)
    asked = questions(with_ids(rows))
    twins = [twin_of(row, question) for row, question in zip(rows, asked, strict=True)]
    assert [twin and twin[1].answer for twin in twins] == table["twin_answer"].to_pylist()
    alone = [
        {**row, "image": twin[0]["image"], "prompt": twin[1].text, "answer": twin[1].answer}
        for row, twin in zip(rows, twins, strict=True)
        if twin
    ]
    apart = evaluate(small_model.loaded(), datasets.Dataset.from_list(alone, features=rows.features))
    for ours, its in (("twin_free", "free"), ("twin_restricted", "restricted")):
        given = [text for text in table[ours].to_pylist() if text is not None]
        assert given == apart[its].to_pylist()
    assert set(score(table)["tasks"]) == {"two-circles", "nested-squares"}
    assert all(metrics["contrast"]["n"] > 0 for metrics in score(table)["tasks"].values())


def test_pairs_are_right_if_both_are() -> None:
    columns = {
        "id": list("abcde"),
        "task": ["two-circles"] * 5,
        "answer": ["Yes", "No", "Yes", "No", "Yes"],
        "free": ["Yes", "No.", "No", "No", "Yes"],
        "restricted": ["Yes", "Yes", "Yes", "No", "Yes"],
        "twin_answer": ["No", "Yes", "No", "Yes", None],
        "twin_free": ["No", "Yes", "No", "No", None],
        "twin_restricted": ["No", "Yes", "Yes", "Yes", None],
    }
    found = score(pa.table(columns))["contrast"]
    assert found["n"] == 4
    assert {way: share["value"] for way, share in found["both"].items()} == {"free": 0.5, "restricted": 0.5}
    assert {way: share["value"] for way, share in found["twins"].items()} == {
        "free": 0.75,
        "restricted": 0.75,
    }
    assert found["both"]["free"]["low"] < 0.5 < found["both"]["free"]["high"]
    columns |= {"free": [None] * 5, "twin_free": [None] * 5}
    assert score(pa.table(columns))["contrast"]["both"]["free"] is None
    accepted = columns | {"accepted_answers": [["Yes", "No"]] * 5}
    assert score(pa.table(accepted))["contrast"]["twins"] == score(pa.table(columns))["contrast"]["twins"]
    without = {name: values for name, values in columns.items() if not name.startswith("twin")}
    assert score(pa.table(without))["contrast"] is None


def test_what_has_no_twins_is_refused() -> None:
    with pytest.raises(DatasetError, match="--contrast needs the column 'scene'"):
        evaluate(small_model.loaded(), small_model.samples(2), contrast=True)
    strange = dataset(rows_of("two-circles", 1)).map(lambda _: {"task": "my-own"})
    with pytest.raises(RecipeError, match="--contrast: the task my-own knows of no twins"):
        evaluate(small_model.loaded(), strange, contrast=True)
