"""Accuracy by the traits of a sample."""

import json
from dataclasses import replace

import pyarrow as pa
import pytest

from unblind.errors import FontsError
from unblind.scoring.breakdowns import Bin, binned, breakdowns, overlap
from unblind.tasks.circled_letter.blindtest import benchmark_fonts, benchmark_scene
from unblind.tasks.circled_letter.draw import letter_boxes
from unblind.tasks.circled_letter.scene import SceneOptions, sample_scene


def table(**columns):
    rows = {"answer": ["l", "e", "H"], "word": ["hello", "hello", "Hello"], "index": [2, 1, 0]}
    return pa.table({**rows, **columns})


def values(by):
    return {name: (group["n"], group["value"]) for name, group in by.items()}


def test_letters_by_case_repetition_and_look_alikes():
    found = breakdowns(table(), [True, False, True])
    assert values(found["case"]) == {"lower": (2, 0.5), "upper": (1, 1)}
    assert values(found["repeated"]) == {"once": (2, 0.5), "repeated": (1, 1)}
    assert values(found["look_alike"]) == {"elsewhere": (1, 0), "nowhere": (2, 1)}
    assert "padding" not in found and "overlap" not in found


def test_a_look_alike_beside_the_circle():
    found = breakdowns(pa.table({"word": ["tilt"], "index": [1]}), [True])
    assert list(found["look_alike"]) == ["beside"]


def test_few_numbers_are_groups_and_many_are_put_into_ranges():
    assert binned([25, 200, None, "x", 25.0], (0, 100)) == [
        Bin(25, 25),
        Bin(200, 200),
        None,
        None,
        Bin(25, 25),
    ]
    assert [str(bin_) for bin_ in binned([3.2, 3.9], (0, 3, 4))] == ["3–4", "3–4"]
    many = binned([5, 25, 30, 99, 100, 101, 7000, float("nan")], (0, 25, 100))
    assert [str(bin_) for bin_ in many[:3]] == ["0–25", "25–100", "25–100"]
    assert str(many[4]) == str(many[6]) == "100 and more"
    assert many[7] is None


def test_ranges_come_in_the_order_of_their_numbers():
    padding = [float(p) for p in (190, 30, 60, 110, 120, 10, 260, 5)]
    rows = pa.table({"padding": padding})
    assert list(breakdowns(rows, [True] * 8)["padding"]) == [
        "0–25", "25–50", "50–100", "100–150", "150–200", "200 and more",
    ]  # fmt: skip


def test_the_benchmarks_columns_and_our_scenes_tell_padding_and_line_width():
    found = breakdowns(table(padding=[25.0, 50.0, 25.0], thickness=[4.0, 5.0, 6.0]), [True, True, False])
    assert values(found["padding"]) == {"25": (2, 0.5), "50": (1, 1)}
    assert list(found["line_width"]) == ["4", "5", "6"]
    scenes = [json.dumps({"padding": 25, "line_width": 4}), "damaged", "[]"]
    found = breakdowns(table(scene=scenes), [True, True, True])
    assert values(found["padding"]) == {"25": (1, 1)}
    assert "overlap" not in found


def test_overlap_is_measured_where_scene_and_font_are_known(words, fonts):
    scenes = [sample_scene(3, "test", i, words, fonts, SceneOptions()) for i in range(8)]
    columns = {"word": [s.word for s in scenes], "index": [s.index for s in scenes]}
    found = breakdowns(pa.table({**columns, "scene": [s.to_json() for s in scenes]}), [True] * 8)
    assert sum(group["n"] for group in found["overlap"].values()) == 8
    strange = replace(scenes[0], font=replace(scenes[0].font, digest="0" * 64)).to_json()
    assert "overlap" not in breakdowns(pa.table({"scene": [strange]}), [True])


def test_overlap_grows_with_the_ring(words, fonts):
    scene = next(s for i in range(9) if len((s := sample_scene(3, "test", i, words, fonts)).word) > 2)
    boxes = letter_boxes(scene, fonts.get(scene.font.digest)).tolist()
    wide = replace(scene, ellipse=replace(scene.ellipse, width=4 * scene.image_size))
    none = replace(scene, ellipse=replace(scene.ellipse, width=0.0, line_width=0.0))
    assert overlap(none, boxes) == 0
    assert 0 <= overlap(scene, boxes) < overlap(wide, boxes) == pytest.approx(1)


def test_the_benchmarks_overlap_follows_from_its_metadata(tmp_path):
    """Real files have no scenes; the same images drawn by us have the same overlaps."""
    try:
        pair = benchmark_fonts()
    except FontsError as error:
        pytest.skip(str(error))
    cells = [(0, 25.0, 6.0), (8, 200.0, 4.0)]
    drawn = [benchmark_scene("Acknowledgement", i, pair[0], int(p), int(w)) for i, p, w in cells]
    columns = {"word": ["Acknowledgement"] * 2, "index": [index for index, *_ in cells]}
    known = {
        "padding": [p for _, p, _ in cells],
        "thickness": [w for *_, w in cells],
        "font": ["OpenSans"] * 2,
    }
    ours = breakdowns(pa.table(columns | {"scene": [s.to_json() for s in drawn]}), [True, False])
    assert sum(group["n"] for group in ours["overlap"].values()) == 2
    assert breakdowns(pa.table(columns | known), [True, False])["overlap"] == ours["overlap"]
    strange = known | {"font": ["Comic Sans", None], "thickness": [4.0, None]}
    assert "overlap" not in breakdowns(pa.table(columns | strange), [True, False])
