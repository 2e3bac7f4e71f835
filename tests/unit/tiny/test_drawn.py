"""Drawn lessons: labels lie on what is drawn, count it, and say nothing of what is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unblind.tasks.base import sample_scene
from unblind.tasks.registry import TASKS, task_named
from unblind.tiny import drawn
from unblind.tiny.build import GRID, IMAGE_SIZE, PATCH
from unblind.tiny.patches import IGNORE, MOST, along, chosen, cut, inked, patch_of, traced

COUNTED: dict[str, tuple[str, Callable[[str], int]]] = {
    "line-intersections": ("which crossing", int),
    "olympic-circles": ("ring", int),
    "olympic-pentagons": ("ring", int),
    "nested-squares": ("square", int),
    "grid": ("upright line", lambda answer: int(answer.strip("()").split(",")[1]) + 1),
}


def picture(name: str, number: int) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
    """A picture at the model's size, its labels, and the answer to the task's question."""
    task = task_named(name)
    options = replace(task.options_class(), image_size=IMAGE_SIZE)
    resources = task.resources(options)
    scene = sample_scene(task, 0, "train", number, options, resources)
    return task.draw(scene, resources), drawn._LABELS[name](scene, 1.0), task.truth(scene)


def test_every_other_task_is_drawn_and_shares_are_whole() -> None:
    assert set(drawn.SHARES) == set(TASKS) - {"circled-letter"} == set(drawn._LABELS)
    assert sum(drawn.SHARES.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", drawn.SHARES)
def test_labels_lie_where_something_is_drawn(name: str) -> None:
    for number in range(20):
        image, labels, _ = picture(name, number)
        ink = inked(cut(image))
        for head, marks in labels.items():
            assert marks.shape[1] == drawn.HEADS[head][0] and marks.max() < drawn.HEADS[head][1]
            marked = marks[:, 0] > (0 if head in drawn.MARKS else IGNORE)
            assert marked.sum() == 0 or ink[marked].mean() > 0.95, (number, head)


@pytest.mark.parametrize("name", COUNTED)
def test_labels_count_what_is_drawn(name: str) -> None:
    head, count = COUNTED[name]
    whole = 0
    for number in range(40):
        _, labels, answer = picture(name, number)
        seen = set(labels[head][labels[head] != IGNORE].tolist())
        assert seen <= set(range(count(answer)))
        whole += len(seen) == count(answer)
    assert whole >= 36  # of the others two crossings, or three lines, share a patch


@pytest.mark.parametrize(
    ("name", "head", "count"),
    [
        ("line-intersections", "crossing", int),
        ("olympic-circles", "top of a ring", int),
        ("olympic-pentagons", "top of a ring", int),
        ("nested-squares", "corner of a square", int),
        ("grid", "left of a line", lambda answer: int(answer.strip("()").split(",")[0]) + 1),
    ],
)
def test_there_are_as_many_marks_as_things(name: str, head: str, count: Callable[[str], int]) -> None:
    for number in range(40):
        _, labels, answer = picture(name, number)
        marks = labels[head]
        assert marks.sum() == count(answer) or marks.max() == MOST


def test_routes_know_both_their_ends() -> None:
    _, labels, _ = picture("subway", 1)
    one, other = labels["route's one end"], labels["route's other end"]
    assert ((one == IGNORE) == (other == IGNORE)).all() and (one <= other).all()


def test_circles_overlap_or_not() -> None:
    kinds = {"Yes": {drawn.OVERLAP, drawn.TOUCH}, "No": {drawn.APART}}
    for number in range(30):
        _, labels, answer = picture("two-circles", number)
        assert set(labels["contact"][labels["contact"] != IGNORE].tolist()) <= kinds[answer]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, GRID * GRID))
@settings(max_examples=50, deadline=None)
def test_the_patches_wanted_are_kept_first(seed: int, count: int, kept: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = [rng.integers(0, 3, GRID * GRID) * (rng.random(GRID * GRID) < 0.5) for _ in range(count)]
    index = chosen(rng, wanted, kept)
    assert index.shape == (count, kept)
    for one, found in zip(wanted, index, strict=True):
        assert (np.diff(found) > 0).all()
        assert sorted(one[found]) == sorted(one)[len(one) - kept :]


def test_patches_are_cut_row_by_row() -> None:
    image = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    image[PATCH + 2, 3 * PATCH + 5] = (1, 2, 3)
    patches = cut(image)
    assert np.flatnonzero(inked(patches)).tolist() == [GRID + 3] == [patch_of((3 * PATCH + 5, PATCH + 2), 1)]
    assert patches[GRID + 3, :, 2, 5].tolist() == [1, 2, 3]


def test_a_patch_of_two_lines_has_both_labels() -> None:
    labels = traced([(0, [(8, 8), (8, 72)]), (1, [(8, 40), (72, 40)])], 1.0).reshape(GRID, GRID, 2)
    assert labels[0, 0].tolist() == [0, 0] and labels[2, 0].tolist() == [0, 1]
    assert labels[2, 1:5].tolist() == [[1, 1]] * 4
    assert (labels[..., 0] != IGNORE).sum() == 9
    assert len(list(along([(0, 0), (10, 0)], 4))) == 4
