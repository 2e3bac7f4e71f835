"""Which task asks about a row, in which words, and when answers are restricted."""

from __future__ import annotations

import datasets
import pytest

from unblind.errors import DatasetError, RecipeError, SceneError
from unblind.evaluation.questions import question, questions, recorded_tasks, rows_of_tasks
from unblind.tasks.generic import GENERIC
from unblind.tasks.registry import task_named
from unblind.tasks.words import LETTERS

CIRCLED = "Which letter is being circled?"


def rows(*answers: str, **columns: list[str | None]) -> datasets.Dataset:
    ids, prompts = [f"r{i}" for i in range(len(answers))], [CIRCLED] * len(answers)
    return datasets.Dataset.from_dict({"id": ids, "prompt": prompts, "answer": list(answers)} | columns)


def test_letters_without_a_task_are_circled_ones() -> None:
    made = questions(rows("a", "B"))
    assert {q.task for q in made} == {"circled-letter"}
    assert [(q.text, q.answer, q.reply) for q in made] == [(CIRCLED, "a", "a"), (CIRCLED, "B", "B")]
    assert made[0].choices == made[0].replies == tuple(LETTERS)


def test_a_prompt_has_its_own_format_for_every_choice() -> None:
    (made,) = questions(rows("k"), "circled-braces")
    assert made.text.endswith("in curly brackets, e.g. {a}")
    assert (made.answer, made.reply, made.replies[0]) == ("k", "{k}", "{A}")
    assert questions(rows("k"), made.text) == [made]  # its text will do as well as its name


def test_words_are_not_restricted() -> None:
    for made in (questions(rows("hello", "a")), questions(rows("hello", "you", task=["circled-letter"] * 2))):
        assert {(q.choices, q.replies) for q in made} == {(None, ())}
    assert {q.task for q in questions(rows("hello", "a"))} == {"generic"}


@pytest.mark.parametrize("task", [None, "circled-letter"])
def test_an_answer_that_is_no_choice_among_many_that_are_is_a_mistake(task: str | None) -> None:
    columns = {} if task is None else {"task": [task] * 5}
    with pytest.raises(DatasetError, match=r"row r1: the answer '7' is none of the 52 letters of circled"):
        questions(rows("a", "7", "b", "c", "d", **columns))


def test_each_task_is_asked_for_itself() -> None:
    """Letters stay restricted beside another task's words; an unknown task keeps its name."""
    mixed = rows("a", "4,5", "b", task=["circled-letter", "fields", None])
    made = questions(mixed)
    assert [q.task for q in made] == ["circled-letter", "fields", "circled-letter"]
    assert [q.choices is None for q in made] == [False, True, False]
    assert recorded_tasks(mixed) == [q.task for q in made]
    assert rows_of_tasks(mixed, ["fields"])["answer"][:] == ["4,5"]
    assert len(rows_of_tasks(mixed, ["all"])) == 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("field", "did you mean fields"),
        ("circled-letter", "the data has no such task; it has fields"),
        ("xyzzy", "the data has no such task; it has fields"),
    ],
)
def test_an_unknown_task_gets_the_nearest_right_name(name: str, says: str) -> None:
    with pytest.raises(RecipeError, match=f"--task {name}: .*{says}"):
        rows_of_tasks(rows("4,5", task=["fields"]), [name])


def test_another_truth_needs_the_scene() -> None:
    with pytest.raises(SceneError, match=r"row r0 has no scene.*Read the word.*--prompt"):
        questions(rows("a"), "read")


def test_rows_that_nobody_knows_the_answer_to() -> None:
    made = question({"prompt": "circled"}, task_named("circled-letter"))
    assert (made.text, made.answer, made.reply) == (CIRCLED, None, None)
    with pytest.raises(DatasetError, match=r"has no prompt.*--prompt"):
        question({}, task_named("circled-letter"))


def test_our_questions_go_by_their_names_for_data_of_no_known_task() -> None:
    made = question({"prompt": "Larger?", "answer": "left", "word": "now"}, GENERIC, "{word}: read")
    assert (made.text, made.answer, made.reply) == ("now: read", "left", "left")
    assert question({"prompt": "Larger?", "answer": "left"}, GENERIC, "read").text == "Read the word."
    assert question({"prompt": "Larger?", "answer": "left"}, GENERIC).text == "Larger?"
