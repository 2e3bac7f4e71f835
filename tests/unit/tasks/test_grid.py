"""Tables: sampled, lettered, held out, drawn again, and held against the benchmark's real images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from real_images import Pixels, around, assert_alike, ink, real_rows
from unblind.errors import FontsError, SceneError, WordsError
from unblind.tasks.base import sample_scene
from unblind.tasks.fonts import split_of_family
from unblind.tasks.grid.benchmark import WORDS, benchmark_font, benchmark_scene
from unblind.tasks.grid.scene import Options, Scene
from unblind.tasks.grid.task import TASK, Resources
from unblind.tasks.splits import SPLITS
from unblind.tasks.words import split_of

SHAPES = {(n, n) for n in range(3, 11)} | {(n + i, n + 1 - i) for n in range(3, 10) for i in (0, 1)}


@pytest.fixture(scope="module")
def resources() -> Resources:
    """The default words and fonts."""
    return TASK.resources(Options())


@pytest.fixture(scope="module")
def sampled(resources: Resources) -> list[Scene]:
    """Scenes of the training split."""
    return [sample_scene(TASK, 3, "train", i, Options(), resources) for i in range(1000)]


# -- the real images ---------------------------------------


def lines_in(image: Pixels, axis: int) -> list[tuple[int, int]]:
    """From where to where an image is dark nearly all along the other axis: the lines across this one."""
    dark = np.concatenate([[False], (image.min(-1) < 128).mean(axis) > 0.9, [False]])
    edges = np.flatnonzero(np.diff(dark.astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@pytest.mark.slow
def test_every_real_table_is_counted_and_drawn_again() -> None:
    """Blank ones are compared whole; of those with words the lines, and that each cell has a word."""
    seen = Counter[str]()
    for row, about, real in real_rows("grid"):
        kind = about["kind"]
        if seen[row["image"]["path"]]:
            continue
        seen[row["image"]["path"]] += 1
        upright, level = lines_in(real, 0), lines_in(real, 1)
        assert f"{len(level) - 1},{len(upright) - 1}" == row["groundtruth"]
        scene = benchmark_scene(about["rows"], about["columns"], 500, about["line_width"])
        assert TASK.truth(scene) == row["groundtruth"]
        for lines, ours in ((upright, scene.xs), (level, scene.ys)):
            assert all(abs((a + b) / 2 - at) < 1.5 for (a, b), at in zip(lines, ours, strict=True))
        assert TASK.columns(scene) == pytest.approx(
            {"kind": "blank", "cell": TASK.columns(scene)["cell"]}
            | TASK.benchmark_columns(about | {"kind": "blank"})
        )
        cells = [
            real[top + 3 : bottom - 3, left + 3 : right - 3].min()
            for (_, top), (bottom, _) in pairwise(level)
            for (_, left), (right, _) in pairwise(upright)
        ]
        assert max(cells) < 128 if kind == "text" else min(cells) > 200
        drawn = TASK.draw(scene, None)
        lines_alone = around((drawn < 128).any(-1)) if kind == "text" else ink(real)
        assert_alike(drawn, real, lines_alone)
    assert len(seen) == 88


def test_the_published_questions_are_ours_to_the_letter() -> None:
    replies = {}
    for row, _, _ in real_rows("grid"):
        assert row["task"] in TASK.benchmark
        asked = TASK.ask_again({"prompt": row["prompt"], "answer": row["groundtruth"]})
        assert row["prompt"] in {TASK.prompts["pair"].text, TASK.prompts["braces"].text}
        assert TASK.answers.same(asked.reply, row["groundtruth"])
        replies[row["groundtruth"], asked.reply] = row["prompt"]
    assert replies["9,10", "(9,10)"] == TASK.prompts["pair"].text
    assert replies["9,10", "rows={9} columns={10}"] == TASK.prompts["braces"].text


# -- held out ----------------------------------------------


@cache
def benchmark_tables(rows: int, columns: int) -> list[list[NDArray[np.float64]]]:
    """Where the benchmark's lines lie, as shares of the image: by the arithmetic of its two generators."""
    found = []
    for width, counts in product((10, 20), ((columns, rows),)):
        blank = [[i * (2000 - width) / n + width / 2 for i in range(n + 1)] for n in counts]
        cells = [(2000 - width * (n + 1)) / n for n in counts]
        words = [
            [i * (cell + width) + width / 2 for i in range(n + 1)]
            for cell, n in zip(cells, counts, strict=True)
        ]
        found += [[np.array(lines) / 2000 for lines in kind] for kind in (blank, words)]
    return found


def distance_to_benchmark(scene: Scene) -> float:
    """How far, px at 224 px, some line is from where the benchmark's nearest table has it."""
    if (scene.rows, scene.columns) not in SHAPES:
        return np.inf
    return (
        min(
            max(
                float(np.abs(np.array(ours) / scene.image_size - theirs).max())
                for ours, theirs in zip((scene.xs, scene.ys), table, strict=True)
            )
            for table in benchmark_tables(scene.rows, scene.columns)
        )
        * 224
    )


def test_no_table_is_near_one_of_the_benchmarks(resources: Resources) -> None:
    """Where half of them go from edge to edge, none is nearer than 2 px; the benchmark's own are."""
    options = Options(bleed=0.9, lettered=0.0, uneven=0.2)
    near = [distance_to_benchmark(sample_scene(TASK, 0, "train", i, options, resources)) for i in range(3000)]
    assert min(near) >= 2 and sum(np.isfinite(near)) > 300
    assert len(SHAPES) == 22
    for (rows, columns), size, width in product(SHAPES, (500, 2000), (10, 20)):
        assert distance_to_benchmark(benchmark_scene(rows, columns, size, width)) < 1e-9


def test_words_and_fonts_are_of_the_split(resources: Resources) -> None:
    for split in SPLITS:
        for i in range(15):
            scene = sample_scene(TASK, 0, split, i, Options(lettered=1.0), resources)
            assert {split_of(text) for text, _, _ in scene.words} == {split}
            assert split_of_family(resources.fonts.get(scene.font).family) == split
    assert {split_of(word) for word in WORDS} == {"test"} and len(set(WORDS)) == 100


def test_a_table_is_in_one_split_with_its_twins(resources: Resources) -> None:
    rng = np.random.default_rng(0)
    for split in SPLITS:
        for i in range(20):
            scene = sample_scene(TASK, 0, split, i, Options(), resources)
            twin = TASK.contrast(rng, scene)
            assert TASK.split_of(scene) == split and (twin is None or TASK.split_of(twin) == split)


# -- sampled -----------------------------------------------


def test_lines_in_the_picture_are_the_answer(sampled: list[Scene], resources: Resources) -> None:
    """Counted in the pixels, in the middle of a row and of a column, at four times the size."""
    for scene in sampled[:60]:
        large = replace(
            scene,
            image_size=896,
            line_width=4 * scene.line_width,
            xs=tuple(4 * x for x in scene.xs),
            ys=tuple(4 * y for y in scene.ys),
            words=(),
        )
        image = (TASK.draw(large, resources) != scene.background).any(-1)
        across = image[int((large.ys[0] + large.ys[1]) / 2)]
        down = image[:, int((large.xs[0] + large.xs[1]) / 2)]
        rows, columns = (
            np.count_nonzero(np.diff(np.concatenate([[False], line]).astype(int)) > 0) - 1
            for line in (down, across)
        )
        assert f"{rows},{columns}" == TASK.truth(scene)


def test_tables_and_words_lie_within_the_image(sampled: list[Scene], resources: Resources) -> None:
    """Lines have 2.5 px of paper between them; a word stays in its cell, and a cell has one word at most."""
    for scene in sampled:
        half = scene.line_width / 2
        for lines in (scene.xs, scene.ys):
            assert lines[0] >= half - 1e-6 and lines[-1] <= 224 - half + 1e-6
            assert min(b - a for a, b in pairwise(lines)) >= scene.line_width + 2.49
        cells = Counter[tuple[int, int]]()
        for _, x, baseline in scene.words:
            row = np.searchsorted(scene.ys, baseline) - 1
            column = np.searchsorted(scene.xs, x) - 1
            cells[row, column] += 1
            assert scene.xs[column] + half <= x + 0.01
            assert scene.ys[row] + half < baseline < scene.ys[row + 1] - half
        assert set(cells.values()) <= {1}


def test_answers_are_balanced_and_reach_beyond_the_benchmark(sampled: list[Scene]) -> None:
    """No pair of numbers is worth more than a few of 121."""
    rows, columns = (Counter(TASK.truth(scene).split(",")[i] for scene in sampled) for i in (0, 1))
    for counts in (rows, columns):
        assert set(counts) == set(map(str, range(2, 13))) and max(counts.values()) < 0.14 * len(sampled)
    assert max(Counter(map(TASK.truth, sampled)).values()) < 0.03 * len(sampled)
    assert {TASK.truth(scene) for scene in sampled} <= set(TASK.answers.choices or ())
    assert 0.4 < np.mean([bool(scene.words) for scene in sampled]) < 0.6
    thickness = [TASK.columns(scene)["thickness"] for scene in sampled]
    assert min(thickness) < 6 and max(thickness) > 20
    even = [np.ptp(np.diff(scene.xs)) < 1e-6 for scene in sampled]
    assert 0.5 < np.mean(even) < 0.8


def test_a_twin_lacks_the_last_row_or_column_and_the_rest_stays(
    sampled: list[Scene], resources: Resources
) -> None:
    rng, found = np.random.default_rng(0), Counter[tuple[int, int]]()
    for scene in sampled[:300]:
        twin = TASK.contrast(rng, scene)
        if twin is None:
            assert TASK.truth(scene) == "2,2"
            continue
        found[scene.rows - twin.rows, scene.columns - twin.columns] += 1
        assert TASK.truth(twin) in (TASK.answers.choices or ())
        one, other = TASK.draw(scene, resources), TASK.draw(twin, resources)
        bottom, right = int(twin.ys[-1] - twin.line_width), int(twin.xs[-1] - twin.line_width)
        assert (one[:bottom, :right] == other[:bottom, :right]).all() and (one != other).any()
        assert replace(scene, xs=twin.xs, ys=twin.ys, words=twin.words) == twin
        inside = [w for w in scene.words if w[1] < twin.xs[-1] and w[2] < twin.ys[-1]]
        assert list(twin.words) == inside
    assert set(found) == {(0, 1), (1, 0)} and min(found.values()) > 100


def test_scenes_are_kept_to_the_bit(sampled: list[Scene], resources: Resources) -> None:
    for scene in sampled[:60]:
        again = TASK.from_json(TASK.to_json(scene))
        assert again == scene and (TASK.draw(again, resources) == TASK.draw(scene, resources)).all()
        assert set(TASK.columns(scene)) == set(TASK.own_columns) == set(TASK.meanings)


def test_the_benchmark_drawn_again() -> None:
    """22 shapes in three sizes and two line widths, blank and with a word of ours in each cell."""
    try:
        resources = TASK.benchmark_resources(Options())
    except FontsError as error:
        pytest.skip(str(error))
    scenes = list(TASK.benchmark_scenes(0, resources))
    assert len(scenes) == TASK.benchmark_count == 264
    columns = [TASK.columns(scene) | {"answer": TASK.truth(scene)} for scene in scenes]
    assert set(
        Counter(
            tuple(row[name] for name in ("answer", "kind", "thickness", "resolution")) for row in columns
        ).values()
    ) == {1}
    assert {(row["thickness"], row["resolution"]) for row in columns} == set(
        product((10.0, 20.0), (500, 1250, 2000))
    )
    for scene in scenes:
        assert len(scene.words) in (0, scene.rows * scene.columns)
    lettered = next(scene for scene in scenes if scene.words)
    again = TASK.draw(lettered, TASK.known_resources())
    assert (again == TASK.draw(lettered, resources)).all()
    assert (again < 128).sum() > (TASK.draw(replace(lettered, words=()), resources) < 128).sum()


def test_the_benchmarks_font_is_asked_for() -> None:
    with pytest.raises(FontsError, match=r"apt install fonts-liberation.*--fonts"):
        benchmark_font("bundled")


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"image_size": 5}, "--image-size"),
        ({"rows": (1, 3)}, "--rows"),
        ({"columns": (5, 13)}, "--columns"),
        ({"line_width": (3.0, 101.0)}, "--line-width"),
        ({"uneven": 1.5}, "--uneven"),
        ({"bleed": -1.0}, "--bleed"),
        ({"lettered": 2.0}, "--lettered"),
        ({"colored": -0.1}, "--colored"),
    ],
)
def test_an_impossible_knob_is_named(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(SceneError, match=named):
        Options(**knobs)


def test_words_and_fonts_that_do_not_exist_are_refused() -> None:
    with pytest.raises(WordsError, match="--words"):
        TASK.resources(Options(words="no/such/file"))
    with pytest.raises(FontsError, match="--fonts"):
        TASK.resources(Options(fonts=("no/such/folder",)))


def test_the_most_rows_fit_in_the_smallest_image(resources: Resources) -> None:
    options = Options(image_size=28, rows=(12, 12), columns=(12, 12), line_width=(100.0, 100.0))
    for i in range(5):
        scene = sample_scene(TASK, 0, "train", i, options, resources)
        assert scene.smallest > scene.line_width + 0.3
        assert TASK.draw(scene, resources).shape == (28, 28, 3)


def test_what_a_reply_says() -> None:
    for reply, read in (
        ("(5,6)", "5,6"),
        ("5, 6", "5,6"),
        ("rows={5} columns={6}", "5,6"),
        ("Rows: 5, Columns: 6.", "5,6"),
        ("5 rows and 6 columns", "5,6"),
        ("5 x 6", "5,6"),
        ("12×12", "12,12"),
        ("56", None),
        ("5", None),
        ("(5,6,7)", None),
        ("The table has 5 rows and 6 columns", None),
        ("columns={6} rows={5}", None),
        ("", None),
    ):
        assert TASK.answers.parse(reply) == read, reply
    assert [TASK.answers.parse(prompt.reply("10,9")) for prompt in TASK.prompts.values()] == ["10,9"] * 3


def test_how_a_reply_can_be_wrong() -> None:
    row = {"answer": "5,6"}
    for reply, kinds in {
        "(6,5)": {"swapped", "one_off"},
        "(6,7)": {"lines", "one_off"},
        "(5,7)": {"rows_only", "one_off"},
        "(5,9)": {"rows_only"},
        "(3,6)": {"columns_only"},
        "(2,2)": set(),
    }.items():
        assert {name for name, one in TASK.mistakes.items() if one.applies(row, reply)} == kinds, reply
    assert {one.applies(row, "many") for one in TASK.mistakes.values()} == {None}
    assert TASK.mistakes["swapped"].applies({"answer": "5,5"}, "5,5") is False
    assert TASK.base_rates["chance"].rate([row]) == pytest.approx(1 / 22)  # the paper's 4.55 %
    assert TASK.base_rates["chance"].rate([row, {"answer": "3,9"}]) == pytest.approx(1 / 121)
    groups = {name: trait.group(row | {"kind": "text"}) for name, trait in TASK.traits.items()}
    assert groups["rows"] == 5 and groups["columns"] == 6 and groups["cells"] == 30
    assert groups["square"] == "different" and groups["kind"] == "text" and groups["cell"] is None
