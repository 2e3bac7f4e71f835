"""What holds for every task: scenes, pixels, answers and columns fit together, and the benchmark is whole."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from unblind.errors import FontsError, SceneError
from unblind.options import values_of
from unblind.tasks.base import Task, sample_scene
from unblind.tasks.redraw import redraw
from unblind.tasks.registry import TASKS, task_named
from unblind.tasks.splits import SPLITS

SCENES = 12


@cache
def drawn(name: str) -> tuple[Task[Any], Any, list[Any]]:
    """A task, what it draws with, and some scenes of each split."""
    task = task_named(name)
    options = task.options_class()
    resources = task.resources(options)
    return (
        task,
        resources,
        [sample_scene(task, 5, s, i, options, resources) for s in SPLITS for i in range(SCENES)],
    )


@pytest.mark.parametrize("name", TASKS)
def test_a_scene_is_stored_and_drawn_again_bit_for_bit(name: str) -> None:
    task, resources, scenes = drawn(name)
    for scene in scenes:
        text = task.to_json(scene)
        assert task.to_json(task.from_json(text)) == text
        pixels = task.draw(scene, resources)
        assert pixels.dtype == np.uint8 and pixels.shape[2] == 3 and pixels.std() > 0
        assert (redraw({"task": name, "scene": text}) == pixels).all()


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"x": 1}', "[" * 9999])
def test_text_that_is_no_scene_is_refused(name: str, text: str) -> None:
    with pytest.raises(SceneError, match="not a scene"):
        task_named(name).from_json(text)


@pytest.mark.parametrize("name", TASKS)
def test_a_scene_with_a_value_of_another_type_is_refused(name: str) -> None:
    task, _, scenes = drawn(name)
    fields = json.loads(task.to_json(scenes[0]))
    for key in fields:
        with pytest.raises(SceneError, match="not a scene"):
            task.from_json(json.dumps(fields | {key: {"strange": [None]}}))


@pytest.mark.parametrize("name", TASKS)
def test_the_columns_are_those_that_are_declared(name: str) -> None:
    task, resources, scenes = drawn(name)
    rows = [{**task.columns(scene), **task.measured(scene, resources)} for scene in scenes]
    for row in rows:
        assert list(row) == list(task.own_columns)
    schema = pa.schema([(column, pa.type_for_alias(dtype)) for column, dtype in task.own_columns.items()])
    table = pa.Table.from_pylist(rows, schema)
    assert all(table[column].null_count < len(rows) for column in task.own_columns)
    assert set(task.meanings) <= set(task.own_columns)


@pytest.mark.parametrize("name", TASKS)
def test_each_prompt_asks_for_an_answer_that_its_reply_names(name: str) -> None:
    task, _, scenes = drawn(name)
    for scene in scenes:
        for prompt in task.prompts:
            asked = task.ask(scene, prompt)
            if task.answers.choices is None or asked.answer in task.answers.choices:
                assert task.answers.same(asked.reply, asked.answer), prompt
            else:
                assert task.prompts[prompt].truth, "a truth of another kind, such as the whole word"


@pytest.mark.parametrize("name", TASKS)
def test_the_benchmark_has_as_many_scenes_as_is_said(name: str) -> None:
    task = task_named(name)
    try:
        resources = task.benchmark_resources(task.options_class())
    except FontsError as error:
        pytest.skip(str(error))
    assert sum(1 for _ in task.benchmark_scenes(0, resources)) == task.benchmark_count > 0


@pytest.mark.parametrize("name", TASKS)
def test_options_have_values_that_yaml_and_json_know(name: str) -> None:
    values = values_of(task_named(name).options_class())
    assert "image_size" in values
    json.dumps(values)
