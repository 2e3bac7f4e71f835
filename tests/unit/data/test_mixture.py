"""Rows of several tasks: in turn, by shares, with each task's own options, questions and columns."""

from __future__ import annotations

import csv
import gc
import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from unblind.data.dataset_options import DatasetOptions, GenerateOptions
from unblind.data.generation import generate
from unblind.data.mixture import mixture_of
from unblind.data.reading import read
from unblind.data.stream import Stream, stream_mixture
from unblind.errors import DatasetError, RecipeError, SceneError
from unblind.options import build
from unblind.tasks.redraw import redraw
from unblind.tasks.registry import TASKS, task_named

TWO = {"task": ("circled-letter", "two-circles"), "train": 12, "validation": 2, "test": 4, "image_size": 64}


def options(**changes: Any) -> GenerateOptions:
    return build(GenerateOptions, {**TWO, **changes}, "test")


def test_tasks_take_turns(tmp_path: Path) -> None:
    generate(tmp_path, options(), workers=1)
    dataset = read(tmp_path, "train")
    assert dataset["task"][:] == ["circled-letter", "two-circles"] * 6
    assert dataset.column_names[:5] == ["id", "task", "image", "prompt", "answer"]
    assert dataset.column_names[-1] == "scene"
    for row in dataset:
        letter = row["task"] == "circled-letter"
        assert (row["word"] is None, row["gap"] is None) == (not letter, letter)
        assert row["answer"] == row["letter"] if letter else row["answer"] in ("Yes", "No")
        assert (redraw(row) == np.asarray(row["image"])).all()
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["task"] == ["circled-letter", "two-circles"]
    card = (tmp_path / "README.md").read_text()
    assert "| two-circles | " in card and "| circled-letter | " in card


def test_shares_are_kept_and_spread() -> None:
    mixture = mixture_of(options(task=("circled-letter=3", "two-circles=2"), train=20))
    names = [component.task.name for component, _ in mixture.scenes("train", 0, 20)]
    assert Counter(names) == {"circled-letter": 12, "two-circles": 8}
    assert names[:5] == names[5:10]
    assert Counter(names[:5]) == {"circled-letter": 3, "two-circles": 2}
    assert "two-circles" in names[:2]


def test_a_row_depends_on_its_number_alone() -> None:
    mixture = mixture_of(options())
    whole = [scene for _, scene in mixture.scenes("train", 0, 12)]
    assert [scene for _, scene in mixture.scenes("train", 7, 10)] == whole[7:10]


def test_all_tasks_are_drawn_together(tmp_path: Path) -> None:
    generate(tmp_path, options(task="all", train=2 * len(TASKS), image_size=128), workers=1)
    assert Counter(read(tmp_path, "train")["task"]) == dict.fromkeys(TASKS, 2)


def test_datasets_alone_loads_both_layouts(tmp_path: Path) -> None:
    for layout in ("parquet", "imagefolder"):
        folder = tmp_path / layout
        generate(folder, options(layout=layout), workers=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # `datasets` leaves its metadata files open
            loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
            gc.collect()
        assert {split: len(part) for split, part in loaded.items()} == {
            "train": 12,
            "validation": 2,
            "test": 4,
        }
        assert loaded["train"]["task"][:2] == ["circled-letter", "two-circles"]
        assert loaded["train"]["index"][1] is None
    ours = read(tmp_path / "imagefolder", "train")
    stored = read(tmp_path / "parquet", "train")
    for name in ("task", "prompt", "answer", "word", "index", "gap"):
        assert ours[name][:] == stored[name][:]


def test_an_image_folder_of_another_task_has_its_own_columns(tmp_path: Path) -> None:
    generate(tmp_path, options(task=("two-circles",), layout="imagefolder"), workers=1)
    with (tmp_path / "train" / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["file_name", "task", "prompt", "answer"]
    assert {row["task"] for row in rows} == {"two-circles"}


def test_knobs_and_flags_of_the_same_name_reach_their_task() -> None:
    knobs = ("radius=0.2", "0.3", "gap=0.5")  # as the shell parts them
    (circles,) = mixture_of(options(task=("two-circles",), knobs=knobs, image_size=96)).components
    assert circles.options.radius == (0.2, 0.3)
    assert (circles.options.gap, circles.options.image_size) == (0.5, 96)
    letters, _ = mixture_of(options(padding=[20, 30], words="random")).components
    assert letters.options.scene.padding == (20, 30)
    assert letters.options.words == "random"


def test_each_task_asks_its_own_question_and_a_text_is_asked_of_all() -> None:
    own = [component.prompts for component in mixture_of(options()).components]
    assert len(set(own)) == 2
    texts = [row["prompt"] for row in mixture_of(options(prompt="Well?")).samples("train", 0, 2)]
    assert texts == ["Well?", "Well?"]


def test_each_prompt_asks_all_of_a_tasks_questions_in_turn() -> None:
    mixture = mixture_of(options(prompt="each", train=40))
    rows = list(mixture.samples("train", 0, 16))
    for name in TWO["task"]:
        task = task_named(name)
        asked = [row["prompt"] for row in rows if row["task"] == name]
        questions = [task.prompts[prompt].text for prompt in task.questions]
        assert asked == (questions * 2)[: len(asked)]
    assert "Read the word." not in {row["prompt"] for row in rows}
    touching = {row["prompt"]: row["answer"] for row in rows if row["task"] == "two-circles"}
    assert set(touching.values()) <= {"Yes", "No"}
    assert [row["id"] for row in mixture.samples("train", 5, 7)] == [row["id"] for row in rows[5:7]]
    assert [row["prompt"] for row in mixture.samples("train", 5, 7)] == [row["prompt"] for row in rows[5:7]]


def test_reading_is_replayed_in_its_share_of_the_training_images() -> None:
    for task in (("two-circles",), ("circled-letter", "two-circles")):
        told = options(task=task, replay=0.2, train=50)
        rows = list(mixture_of(told).samples("train", 0, 50))
        words = [row for row in rows if row["prompt"] == "Read the word."]
        assert len(words) == 10 and all(row["answer"] == row["word"] for row in words)
        plain = list(mixture_of(options(task=task, train=50)).samples("train", 0, 50))
        same = [row["answer"] == other["answer"] for row, other in zip(rows, plain, strict=True)]
        assert sum(same) >= 40  # all others are as they were
        assert "Read the word." not in {row["prompt"] for row in mixture_of(told).samples("test", 0, 4)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": ("two-circle",)}, "--task two-circle: no such task; did you mean two-circles"),
        ({"task": ()}, "--task is empty"),
        ({"task": ("two-circles", "two-circles=2")}, "named twice"),
        ({"task": ("two-circles=0",)}, "--task two-circles=0: the share"),
        ({"task": ("two-circles=x",)}, "--task two-circles=x: the share"),
        ({"task": ("all", "two-circles")}, "--task all: no such task"),
        (
            {"task": ("two-circles",), "padding": [1, 2]},
            "--padding means nothing to two-circles; leave it out",
        ),
        ({"task": ("two-circles",), "answer": "word"}, "--answer means nothing to two-circles"),
        (
            {"knobs": ("gapp=1 2",)},
            "--knobs gapp: .*two-circles has no such option; did you mean `gap`",
        ),
        ({"knobs": ("gap=wide",)}, "--task two-circles: `gap` must be a number, not 'wide'"),
        ({"knobs": ("gap",)}, "--knobs: 'gap' is no option; write NAME=VALUE"),
        ({"prompt": "highlighted"}, "--prompt highlighted is a question of circled-letter, and not of"),
        ({"preset": "notebook", "image_size": 224}, "--preset notebook is of circled-letter alone"),
        ({"preset": "blindtest"}, r"sets the drawing's knobs itself \(--image-size\); leave them out"),
    ],
)
def test_what_makes_no_mixture(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        options(**changes)
    assert "\n" not in str(caught.value)


def test_a_tasks_own_refusals_are_kept() -> None:
    with pytest.raises(SceneError, match="--image-size 9"):
        options(image_size=9)


def test_the_benchmark_of_several_tasks(tmp_path: Path) -> None:
    told = DatasetOptions(task=("nested-squares", "olympic-circles"), preset="blindtest", seed=3)
    assert told.rows == {"train": 0, "validation": 0, "test": 360}
    generate(tmp_path, told, workers=1)
    assert Counter(read(tmp_path)["task"]) == {"nested-squares": 120, "olympic-circles": 240}


def test_a_stream_of_tasks() -> None:
    source = "stream:task=two-circles circled-letter=2,image-size=64,knobs=radius=0.1 0.2 gap=0.3"
    stream = Stream(stream_mixture(source), 6)
    assert stream.mixture.components[0].options.radius == (0.1, 0.2)
    assert Counter(stream[i]["task"] for i in range(6)) == {"circled-letter": 4, "two-circles": 2}
    with pytest.raises(RecipeError, match="no such task"):
        stream_mixture("stream:task=two-squares")


def test_redraw_knows_its_tasks() -> None:
    (row,) = mixture_of(options(task=("two-circles",))).samples("train", 0, 1)
    assert (redraw(row) == row["image"]).all()
    assert (redraw(row, without="first") != row["image"]).any()
    with pytest.raises(RecipeError, match="two-circles has no part 'ellipse'; it has "):
        redraw(row, circled=False)
    with pytest.raises(DatasetError, match="row train-0000000: task two-square: no such task"):
        redraw(row | {"task": "two-square"})
    (letter,) = mixture_of(options(task=("circled-letter",))).samples("train", 0, 1)
    assert (redraw(letter, circled=False) == redraw(letter, without="ellipse")).all()
    assert (redraw({name: letter[name] for name in ("id", "scene")}) == letter["image"]).all()
