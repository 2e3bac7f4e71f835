"""What is known of a circled letter."""

import json
from dataclasses import replace

import pytest

from letters import sample_scene
from unblind.tasks.circled_letter.draw import letter_boxes
from unblind.tasks.circled_letter.overlap import overlap
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.circled_letter.traits import BASE_RATES, TRAITS, look_alike, neighbours


def group(name, **row):
    return TRAITS[name].group(row)


def test_letters_by_case_repetition_and_look_alikes():
    assert [group("case", answer=a) for a in ("l", "H", "7", "yes", None)] == [
        "lower", "upper", None, None, None,
    ]  # fmt: skip
    assert group("repeated", word="hello", index=2) == "repeated"
    assert group("repeated", word="hello", index=1) == "once"
    assert group("look_alike", word="tilt", index=1) == "beside"
    assert group("look_alike", word="hello", index=1) == "elsewhere"
    assert group("look_alike", word="Hello", index=0) == "nowhere"


@pytest.mark.parametrize("row", [{}, {"word": 7, "index": "first"}, {"word": "ab", "index": 2}, {"word": ""}])
def test_what_a_row_does_not_tell_is_not_known(row):
    assert [group(name, **row) for name in ("repeated", "look_alike", "case")] == [None] * 3
    assert group("length", word="") is group("length", word=7) is None


def test_a_column_or_else_the_scene_tells_how_it_was_drawn():
    scene = json.dumps({"padding": 30, "line_width": 4})
    assert group("padding", padding=25.0, scene=scene) == 25
    assert group("padding", scene=scene) == 30
    assert group("line_width", thickness=6.0, line_width=3.0) == 6
    assert group("line_width", line_width=3.0) == 3
    assert group("padding", scene="damaged") is group("padding", scene="[]") is None


def test_groups_are_shown_as_people_write_them():
    assert TRAITS["position"].shown("0") == "1"
    assert TRAITS["overlap"].shown("0.1–0.2") == "10–20\u202f%"
    assert TRAITS["overlap"].shown("0.5 and more") == "50\u202f% and more"
    assert TRAITS["case"].shown("upper") == "a capital"
    assert TRAITS["font"].shown("Lato") == "Lato"


def test_base_rates_count_words_of_known_length():
    rows = [{"answer": "a", "word": "ab"}, {"answer": "b", "word": "ab"}, {"answer": "x", "word": None}]
    assert BASE_RATES["chance"].rate(rows) == pytest.approx((1 / 2 + 1 / 2 + 1 / 52) / 3)
    assert BASE_RATES["first_letter"].rate(rows) == 0.5
    assert BASE_RATES["first_letter"].rate(rows[2:]) is None


def test_neighbours_end_at_the_word():
    assert neighbours("abc", 0) == {"b"}
    assert neighbours("abc", 1) == {"a", "c"}
    assert neighbours("a", 0) == set()


@pytest.mark.parametrize(("one", "other", "alike"), [("e", "c", True), ("E", "c", True), ("e", "E", False)])
def test_look_alikes_are_different_letters_of_a_shape(one, other, alike):
    assert look_alike(one, other) is alike


def test_overlap_grows_with_the_ring(words, fonts):
    scene = next(s for i in range(9) if len((s := sample_scene(3, "test", i, words, fonts)).word) > 2)
    boxes = letter_boxes(scene, fonts.get(scene.font.digest)).tolist()
    wide = replace(scene, ellipse=replace(scene.ellipse, width=4 * scene.image_size))
    none = replace(scene, ellipse=replace(scene.ellipse, width=0.0, line_width=0.0))
    assert overlap(none, boxes) == 0
    assert 0 <= overlap(scene, boxes) < overlap(wide, boxes) == pytest.approx(1)


def test_the_caption_rings_the_letter():
    caption = TASK.caption({"word": "hello", "index": 1, "font": "Lato"})
    assert (caption.before, caption.ringed, caption.after, caption.note) == ("h", "e", "llo", "Lato")
    assert TASK.caption({"word": "hello", "index": 9}).ringed == ""
