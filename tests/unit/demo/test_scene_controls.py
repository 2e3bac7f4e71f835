"""The pages of tasks whose scenes people change: what knobs and drags make, and what the models are asked."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unblind.errors import DemoError
from unblind.tasks.controls import Move
from unblind.tasks.registry import TASKS, task_named

pytest.importorskip("gradio", reason="Gradio is not installed: pip install -e '.[demo]'")
import gradio

from unblind.demo.generic import controls_of
from unblind.tasks.scene_controls import SHOWN, SceneControls

NAMES = tuple(name for name in TASKS if name != "circled-letter")
SIZE = 224


@cache
def page(name: str) -> SceneControls[Any]:
    task = task_named(name)
    made = controls_of(task, task.default_prompt, SIZE)
    assert isinstance(made, SceneControls)
    return made


def values_of(controls: SceneControls[Any], number: int = 0) -> list[Any]:
    scene = controls.held_out(number)
    return [scene, *controls.told(scene), controls.prompt]


def with_knob(controls: SceneControls[Any], values: list[Any], which: int, value: Any) -> Any:
    """The scene once a knob has another value."""
    return controls.scene([*values[: 1 + which], value, *values[2 + which :]])


@pytest.mark.parametrize("name", NAMES)
def test_the_model_sees_what_the_page_shows_and_is_asked_about_it(name: str) -> None:
    controls, task = page(name), task_named(name)
    for number in range(6):
        values = values_of(controls, number)
        picture, large = controls.picture(values), controls.large(values)
        assert picture.image.size == (SIZE, SIZE) and large.pixels.shape == (SHOWN, SHOWN, 3)
        small = Image.fromarray(large.pixels).resize((SIZE, SIZE), Image.Resampling.BOX)
        apart = np.abs(np.asarray(small, float) - np.asarray(picture.image, float))
        assert apart.mean() < 1.5, "the same picture, larger"
        asked = task.ask(values[0], controls.prompt)
        assert (picture.answer, picture.row["prompt"], large.alt) == (
            asked.answer,
            asked.question,
            asked.question,
        )
        assert task.split_of(values[0]) == "test"
        for part in picture.parts:
            assert (np.asarray(part.hidden) != np.asarray(picture.image)).any()
        for spot in large.spots:
            x, y, width, height = spot.box
            assert -0.1 < x < x + width < 1.1 and -0.1 < y < y + height < 1.1


@pytest.mark.parametrize("name", NAMES)
def test_knobs_show_what_each_held_out_scene_has(name: str) -> None:
    controls = page(name)
    components = controls.knobs(controls.first)
    for number in range(60):
        for component, value in zip(components, controls.told(controls.held_out(number)), strict=True):
            if isinstance(component, gradio.Slider):
                assert component.minimum <= value <= component.maximum, (number, component.label)


@pytest.mark.parametrize("name", NAMES)
def test_another_is_another_and_the_page_can_tell(name: str) -> None:
    controls = page(name)
    values = values_of(controls)
    scene, *knobs, question = controls.another(values)
    assert scene != values[0] and knobs == controls.told(scene) != values[1:-1]
    assert question == gradio.skip()


@pytest.mark.parametrize("name", NAMES)
def test_drags_leave_the_knobs_and_stay_within_the_picture(name: str) -> None:
    controls, rng = page(name), np.random.default_rng(0)
    for number in range(4):
        values = values_of(controls, number)
        for _ in range(25):
            spot = int(rng.integers(len(controls.spots(values[0]))))
            dx, dy = rng.uniform(-0.5, 0.5, 2).tolist()
            values[0] = controls.moved(values, Move(spot, dx, dy))
            assert controls.told(values[0]) == values[1:-1]
            assert controls.scene(values) == values[0]
        picture = controls.picture(values)
        assert picture.answer == task_named(name).ask(values[0], controls.prompt).answer
        kept = controls.moved(values, Move(999, 0.1, 0.1))
        assert kept == values[0], "a spot that is not there"


@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_is_wiped_out_is_missed(name: str) -> None:
    controls = page(name)
    values = values_of(controls)
    values[1] = None
    with pytest.raises(DemoError, match="Fill in each of the numbers"):
        controls.picture(values)


def test_circles_are_pushed_apart_and_together() -> None:
    controls = page("two-circles")
    values = values_of(controls)
    scene = values[0]
    (x, y, _), (u, v, _) = scene.first, scene.second
    onto = Move(1, (x - u) / SIZE, (y - v) / SIZE)
    values[0] = controls.moved(values, onto)
    assert controls.picture(values).answer == "Yes"
    assert values[0].first == scene.first and values[0].second[:2] == pytest.approx((x, y), abs=SIZE / 10)
    values[1] = values[2] = 10.0
    values[0] = controls.scene(values)
    values[0] = controls.moved(values, Move(0, -1, -1))
    values[0] = controls.moved(values, Move(1, 1, 1))
    assert controls.picture(values).answer == "No"
    assert values[0].gap == pytest.approx(math.sqrt(2) * (SIZE - 2 - 22.4) - 22.4, abs=0.1)


@pytest.mark.parametrize("name", ["olympic-circles", "olympic-pentagons"])
def test_rings_are_added_and_taken_out(name: str) -> None:
    controls = page(name)
    for number in range(5):
        values = values_of(controls, number)
        for count in (1, 12, len(values[0].outlines)):
            try:
                scene = with_knob(controls, values, 0, count)
            except DemoError as error:
                assert "no room" in str(error)
                continue
            assert len(scene.outlines) == len(scene.colors) == count
            assert len(set(scene.outlines)) == count
            assert scene.outlines[0] == values[0].outlines[0]
        assert len(controls.picture(values).parts) == len(values[0].outlines)


def test_squares_are_added_while_there_is_room() -> None:
    controls = page("nested-squares")
    values = next(v for n in range(99) if (v := values_of(controls, n)) and v[1] == 2)
    for count in (1, 3):
        scene = with_knob(controls, values, 0, count)
        assert len(scene.squares) == count and all(gap > 0 for gap in scene.gaps)
    with pytest.raises(DemoError, match="no room"):
        controls.scene([values[0], 7, 12.0, controls.prompt])
    inner = controls.moved(values, Move(1, 1, 1))
    (x, y, side), (u, v, inside) = inner.squares
    assert x + side - u - inside == pytest.approx(y + side - v - inside)
    assert min(inner.gaps) > 0


@pytest.mark.parametrize("number", range(4))
def test_tables_have_the_rows_and_columns_that_are_chosen(number: int) -> None:
    controls = page("grid")
    values = values_of(controls, number)
    for rows, columns, words in ((3, 8, False), (12, 2, True), (5, 5, True)):
        chosen = [values[0], rows, columns, values[3], words, controls.prompt]
        scene = controls.scene(chosen)
        assert (scene.rows, scene.columns, bool(scene.words)) == (rows, columns, words)
        assert (scene.xs[0], scene.xs[-1]) == pytest.approx((values[0].xs[0], values[0].xs[-1]))
        assert controls.picture(chosen).answer == f"{rows},{columns}"


@pytest.mark.parametrize("bends", [1, 6])
def test_bends_are_added_without_changing_the_picture(bends: int) -> None:
    controls = page("line-intersections")
    values = values_of(controls)
    scene = with_knob(controls, values, 0, bends)
    assert len(scene.blue) == len(scene.red) == bends + 2
    assert scene.blue[0] == values[0].blue[0] and scene.red[-1] == values[0].red[-1]
    if bends == 6:
        more = controls.picture([scene, *controls.told(scene), controls.prompt])
        before = np.asarray(controls.picture(values).image, int)
        assert np.abs(np.asarray(more.image, int) - before).max() <= 2


def test_routes_are_added_between_the_stations_that_are_asked_about() -> None:
    controls = page("subway")
    grown = 0
    for number in range(12):
        values = values_of(controls, number)
        scene = values[0]
        assert len(with_knob(controls, values, 0, 1).routes) == 1
        try:
            more = with_knob(controls, values, 0, len(scene.routes) + 1)
        except DemoError:
            continue
        grown += 1
        assert more.connections == scene.connections + 1 and more.routes[:-1] == scene.routes
    assert grown >= 6


def test_the_last_two_stations_clicked_on_are_asked_about() -> None:
    controls = page("subway")
    values = next(v for n in range(99) if (v := values_of(controls, n)) and len(v[0].stations) > 3)
    for station in (2, 3):
        values[0] = controls.moved(values, Move(station))
    assert values[0].asked == (2, 3)
    pressed = [spot.pressed for spot in controls.spots(values[0])]
    assert [i for i, one in enumerate(pressed) if one] == [2, 3]
    letters = {values[0].stations[i][0] for i in (2, 3)}
    assert all(letter in controls.large(values).alt for letter in letters)
    assert controls.moved(values, Move(3)).asked == (2, 3)
