"""What holds for every scene of the drawn tasks but the letters, whatever the knobs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unblind.tasks.base import Task, sample_scene
from unblind.tasks.registry import task_named
from unblind.tasks.splits import SPLITS, Split


def ends(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    """The ends of a range."""
    values = st.integers(int(low), int(high)) if isinstance(low, int) else st.floats(low, high)
    return st.tuples(values, values).map(lambda pair: (min(pair), max(pair)))


shares = st.floats(0, 1)
sizes = st.integers(64, 320)
rings = {
    "image_size": st.integers(112, 320),
    "count": ends(3, 12),
    "line_width": ends(0.2, 4.0),
    "fill": st.just((0.7, 0.9)),
    "turned": shares,
    "uneven": shares,
}
KNOBS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "line-intersections": {
        "image_size": st.integers(112, 320),
        "crossings": ends(0, 4),
        "bends": st.tuples(st.integers(1, 3), st.integers(3, 5)),
        "line_width": ends(0.5, 6.0),
        "hard": shares,
    },
    "two-circles": {
        "radius": ends(0.05, 0.2),
        "ratio": st.floats(1, 2),
        "gap": st.floats(0.3, 1.0),
        "touching": shares,
        "hard": shares,
    },
    "olympic-circles": rings,
    "olympic-pentagons": rings,
    "nested-squares": {
        "squares": ends(1, 7),
        "line_width": ends(0.5, 40.0),
        "hard": shares,
        "colored": shares,
    },
    "grid": {
        "rows": ends(2, 12),
        "columns": ends(2, 12),
        "line_width": ends(1.0, 100.0),
        "uneven": shares,
        "bleed": st.floats(0, 0.9),
        "lettered": shares,
        "colored": shares,
    },
    "subway": {
        "connections": ends(1, 4),
        "nodes": ends(11, 24),
        "line_width": ends(1.0, 60.0),
        "wander": ends(0.0, 4.0),
        "colored": shares,
    },
}
COUNTED = {
    "line-intersections": ("crossings",),
    "olympic-circles": ("count",),
    "olympic-pentagons": ("count",),
    "nested-squares": ("squares",),
    "grid": ("rows", "columns"),
    "subway": ("connections",),
}
cases = st.sampled_from(sorted(KNOBS)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.fixed_dictionaries({"image_size": sizes, **KNOBS[name]}),
        st.integers(0, 2**32),
        st.sampled_from(SPLITS),
    )
)


@lru_cache
def resources_of(name: str) -> Any:
    task = task_named(name)
    return task.resources(task.options_class())


@given(cases)
@settings(deadline=None, max_examples=200)
def test_a_scene_is_the_same_again_and_keeps_to_its_knobs(
    case: tuple[str, dict[str, Any], int, Split],
) -> None:
    name, knobs, seed, split = case
    task: Task[Any] = task_named(name)
    options, resources = task.options_class(**knobs), resources_of(name)
    scene = sample_scene(task, seed, split, 5, options, resources)
    again = task.from_json(task.to_json(scene))
    assert again == scene == sample_scene(task, seed, split, 5, options, resources)
    assert task.split_of(scene) == split
    image = task.draw(scene, resources)
    assert image.tobytes() == task.draw(again, resources).tobytes()
    assert image.shape == (knobs["image_size"], knobs["image_size"], 3) and np.ptp(image) > 20
    answer = task.truth(scene)
    assert answer in (task.answers.choices or ())
    for count, knob in zip(answer.split(","), COUNTED.get(name, ()), strict=False):
        assert knobs[knob][0] <= int(count) <= knobs[knob][1]
    for prompt in task.prompts:
        asked = task.ask(scene, prompt)
        assert task.answers.same(asked.reply, asked.answer)
        assert asked.answer == task.truth(scene, task.prompts[prompt].truth)
        assert "{start}" not in asked.question and "{end}" not in asked.question


@given(cases, st.integers(0, 2**32))
@settings(deadline=None, max_examples=140)
def test_a_twin_has_another_answer_and_another_picture(
    case: tuple[str, dict[str, Any], int, Split], other: int
) -> None:
    name, knobs, seed, split = case
    task: Task[Any] = task_named(name)
    resources = resources_of(name)
    scene = sample_scene(task, seed, split, 0, task.options_class(**knobs), resources)
    twin = task.contrast(np.random.default_rng(other), scene)
    if twin is None:  # the least that there can be, or circles that would leave the image
        assert name == "two-circles" or task.truth(scene) in ("1", "2,2", "0")
        return
    assert task.truth(twin) != task.truth(scene) and task.truth(twin) in (task.answers.choices or ())
    assert task.split_of(twin) == split
    assert (task.draw(twin, resources) != task.draw(scene, resources)).any()
