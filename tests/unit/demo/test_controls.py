"""The controls of a task's page: the circled letter's own, and the plain ones of any other task."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

import dot_task
from unblind.errors import DemoError
from unblind.tasks.registry import task_named

pytest.importorskip("gradio", reason="Gradio is not installed: pip install -e '.[demo]'")
from unblind.demo.generic import NumberControls, controls_of
from unblind.demo.serve import check_root_path
from unblind.tasks.controls import Controls
from unblind.tasks.fonts import split_of_family
from unblind.tasks.words import split_of


def dots(prompt: str = "side") -> Controls:
    return controls_of(dot_task.TASK, prompt, 96)


@pytest.mark.parametrize("prompt", ["side", "other"])
def test_a_plain_page_asks_about_a_held_out_scene(prompt: str) -> None:
    controls = dots(prompt)
    for number in range(20):
        values = [0, number, prompt]
        picture, large = controls.picture(values), controls.large(values)
        assert picture.image.size == (96, 96)
        assert np.array_equal(np.asarray(picture.image), large.pixels)
        dot, line = picture.parts
        assert (dot.label, line.label) == ("the dot", "the line")
        x, _, width, _ = dot.box
        side = "Left" if x + width / 2 < 0.5 else "Right"
        assert (picture.answer == side) == (prompt == "side")
        assert picture.row == {"prompt": large.alt, "radius": picture.row["radius"]}
        assert line.box == (0.5, 0.0, 1 / 96, 1.0)


def test_hiding_a_part_changes_its_box_alone() -> None:
    picture = dots().picture([0, 3, "side"])
    whole = np.asarray(picture.image)
    for part in picture.parts:
        x, y, width, height = (round(96 * share) for share in part.box)
        changed = np.asarray(part.hidden).copy()
        assert not np.array_equal(changed, whole)
        changed[y : y + height, x : x + width] = whole[y : y + height, x : x + width]
        assert np.array_equal(changed, whole)


@pytest.mark.parametrize("number", [None, -1])
def test_a_number_that_is_none(number: int | None) -> None:
    with pytest.raises(DemoError, match="Type the number"):
        dots().picture([0, number, "side"])


def test_another_picture_is_another() -> None:
    numbers = {dots().another([])[1] for _ in range(20)}
    assert len(numbers) > 15


def test_fonts_are_of_tasks_that_draw_words() -> None:
    with pytest.raises(DemoError, match="dot-side draws no words; leave out --fonts"):
        controls_of(dot_task.TASK, "side", 96, ("system",))


def test_a_page_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dot_task.DotSide, "demo", "dot_page")
    with pytest.raises(DemoError, match="--task dot-side: its page dot_page cannot be loaded"):
        dots()
    monkeypatch.setitem(sys.modules, "dot_page", ModuleType("dot_page"))
    with pytest.raises(DemoError, match="has no attribute 'controls'"):
        dots()


def test_a_page_of_its_own() -> None:
    controls = controls_of(task_named("circled-letter"), "highlighted", 112)
    assert not isinstance(controls, NumberControls)
    for _ in range(20):
        spot, word, family, *rest = controls.another([])
        assert split_of_family(family) == "test" and split_of(word) == "test"
        assert 0 <= spot < len(word) <= 12 and len(rest) == 3
    picture = controls.picture([99, "Lantern", family, 80, 5, "blue"])
    assert (picture.answer, picture.row["word"], len(picture.parts)) == ("n", "Lantern", 8)
    assert picture.row["prompt"] == "Which character is being highlighted with a red oval?"
    assert picture.parts[0].outline and not any(part.outline for part in picture.parts[1:])
    large = controls.large([0, "Lantern", family, 80, 5, "blue"])
    assert [spot.label for spot in large.spots][:2] == ["Circle letter 1, L", "Circle letter 2, a"]


@pytest.mark.parametrize("path", ["", "/demo", "/demo/", "https://example.com/demo/"])
def test_root_paths(path: str) -> None:
    assert check_root_path(path) == path.rstrip("/")


def test_a_root_path_without_a_slash_is_refused() -> None:
    with pytest.raises(DemoError, match="--root-path demo: begins with neither / nor http"):
        check_root_path("demo")
