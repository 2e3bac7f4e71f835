"""The benchmark as the hub has had it: its names of tasks, its number of rows, its wordings."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unblind.data.images import encode_png
from unblind.data.reading import read
from unblind.evaluation.questions import questions, with_ids
from unblind.tasks.base import example_in
from unblind.tasks.registry import TASKS, benchmark_task, task_named, task_of

IMAGE = {"bytes": encode_png(np.zeros((2, 2, 3), np.uint8)), "path": "x.png"}
# Tasks, answers and questions of the newest revision, and how many rows each question has.
ROUTES = "How many {} go from {} to {}? Answer with a number in curly brackets, e.g., {{3}}"
ROWS = (
    ("Circled Letter", "a", "Which letter is being circled?", 312),
    ("Circled Letter", "a", "Which character is being highlighted with a red oval?", 312),
    ("Line Plot Intersections", "2", "count", 3600),
    ("Touching Circles", "Yes", "touching", 672),
    ("Touching Circles", "No", "overlapping", 672),
    ("Olympic Counting - Circles", "5", "count", 480),
    ("Olympic Counting - Pentagons", "6", "how-many", 480),
    ("Nested Squares", "4", "total", 240),
    ("Counting Grid - Blank Grids", "5,6", "pair", 264),
    ("Counting Grid - Word Grids", "5,6", "braces", 264),
    ("Subway Connections", "1", ROUTES.format("one-color lines", "A", "C"), 720),
)


def benchmark(path: Path) -> Path:
    """A file of the newest revision's schema and size; the images are two pixels wide."""
    rows = []
    for task, answer, prompt, count in ROWS:
        text = task_of(task).prompts[prompt].text if prompt in task_of(task).prompts else prompt
        rows += [(task, text, answer)] * count
    tasks, prompts, answers = zip(*rows, strict=True)
    columns = {"task": tasks, "prompt": prompts, "groundtruth": answers, "metadata": ["{}"] * len(rows)}
    images = [IMAGE | {"path": f"{number}.png"} for number in range(len(rows))]
    pq.write_table(pa.table({"image": images, **columns}), path)
    return path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    return read(benchmark(tmp_path_factory.mktemp("hub") / "valid.parquet"))


def test_all_of_its_rows_are_read_by_their_tasks(rows: datasets.Dataset) -> None:
    assert len(rows) == 8016
    assert Counter(rows["task"]) == {
        "circled-letter": 624,
        "line-intersections": 3600,
        "two-circles": 1344,
        "olympic-circles": 480,
        "olympic-pentagons": 480,
        "nested-squares": 240,
        "grid": 528,
        "subway": 720,
    }


def test_a_wording_of_its_own_is_answered_in_the_format_that_it_shows(rows: datasets.Dataset) -> None:
    subway = with_ids(rows.select(range(8016 - 720, 8016)))
    for question in questions(subway)[:3]:
        assert question.text == ROUTES.format("one-color lines", "A", "C")
        assert (question.answer, question.reply) == ("1", "{1}")
        assert question.choices == task_named("subway").answers.choices
        assert question.replies[:2] == ("{0}", "{1}")
    (again,) = questions(subway.select([0]), "routes")
    assert again.text.startswith("Count the one-colored routes that go from A to C.")


@pytest.mark.parametrize(
    "change", [str, str.lower, str.upper, lambda n: n.replace(" ", "_"), lambda n: n.replace(" - ", "_")]
)
@pytest.mark.parametrize("name", TASKS)
def test_names_differ_in_case_and_spaces_alone(name: str, change) -> None:
    for theirs in task_named(name).benchmark:
        assert benchmark_task(change(theirs)) == task_of(change(theirs)).name == name


@pytest.mark.parametrize("name", ["", "letters", "Circled", "Counting Grid", "two circles", "Unknown Task"])
def test_other_names_are_none_of_its(name: str) -> None:
    assert benchmark_task(name) is None
    assert task_of(name).name == "generic"


def test_rows_of_a_revision_with_other_names_are_read(tmp_path: Path) -> None:
    made = [
        {"image": IMAGE, "task": task, "prompt": "Yes or no?", "groundtruth": "Yes", "metadata": "{}"}
        for task in ("touching_circles", "Touching Circles", "subway connections", "A New Task")
    ]
    pq.write_table(pa.Table.from_pylist(made), tmp_path / "valid.parquet")
    found = read(tmp_path / "valid.parquet")
    assert found["task"][:] == ["two-circles", "two-circles", "subway"]


def test_a_users_own_column_is_left_alone(tmp_path: Path) -> None:
    made = [
        {"image": IMAGE, "task": task, "prompt": "?", "answer": "x", "metadata": json.dumps([])}
        for task in ("colour", "nested-squares", "shape")
    ]
    pq.write_table(pa.Table.from_pylist(made), tmp_path / "test.parquet")
    assert read(tmp_path / "test.parquet")["task"][:] == ["colour", "nested-squares", "shape"]


@pytest.mark.parametrize(
    ("question", "example"),
    [
        ("How many? Answer with a number in curly brackets, e.g., {3}", "{#}"),
        ("Which letter? Please provide your answer in curly brackets, e.g. {a}", "{#}"),
        ("Answer with only the numbers in a pair (row, column), e.g., (5,6)", "(#,#)"),
        ("Answer with numbers in curly brackets. For example, rows={5} columns={6}", "rows={#} columns={#}"),
        ("Are the two circles touching each other? Answer with Yes/No.", ""),
        ("Is this an example?", ""),
        ("", ""),
    ],
)
def test_examples(question: str, example: str) -> None:
    assert example_in(question) == example


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("Rows and columns? For example, rows={1} columns={2}.", "rows={3} columns={4}"),
        ("Rows and columns, e.g. (1,2)", "(3,4)"),
        ("Rows and columns?", "3,4"),
        ("answer en Rows and columns, e.g., (7,7)", "(3,4)"),
    ],
)
def test_another_wording_takes_the_format_of_its_example(question: str, reply: str) -> None:
    assert task_named("grid").prompt_of(question, {}).reply("3,4") == reply
