"""Subway maps: sampled, held out, drawn again, and held against the benchmark's real images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from real_images import Pixels, assert_alike, ink, real_rows
from unblind.errors import SceneError
from unblind.tasks.base import sample_scene
from unblind.tasks.colors import TAB10
from unblind.tasks.fonts import FontLibrary, split_of_family
from unblind.tasks.splits import SPLITS
from unblind.tasks.subway.benchmark import STOPS, benchmark_font, benchmark_routes, benchmark_scene
from unblind.tasks.subway.sample import Options
from unblind.tasks.subway.scene import Node, Route, Scene, is_off_benchmark, turns, unrolled
from unblind.tasks.subway.task import TASK

STATION = {stop: station for station, stops in enumerate(STOPS) for stop in stops}


@pytest.fixture(scope="module")
def sampled(fonts: FontLibrary) -> list[Scene]:
    """Scenes of the training split."""
    return [sample_scene(TASK, 3, "train", i, Options(), fonts) for i in range(600)]


def edges_of(route: Route) -> set[frozenset[Node]]:
    """The unit edges that a route runs along; none twice."""
    nodes = unrolled(route[2])
    found = {frozenset(pair) for pair in pairwise(nodes)}
    assert len(found) == len(nodes) - 1
    return found


# -- the real images ---------------------------------------


def trail(edges: Iterable[tuple[Node, Node]]) -> list[Node]:
    """The nodes along all of these edges, each once, from one odd node to the other (Hierholzer)."""
    beside: dict[Node, list[Node]] = {}
    for a, b in edges:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    ends = sorted(node for node, others in beside.items() if len(others) % 2)
    assert len(ends) == 2
    stack, path = [ends[0]], []
    while stack:
        if beside[stack[-1]]:
            there = beside[stack[-1]].pop()
            beside[there].remove(stack[-1])
            stack.append(there)
        else:
            path.append(stack.pop())
    return path


def recover(image: Pixels) -> tuple[tuple[Route, ...], float]:
    """The routes of a real image by the colours in the middle of the lattice's edges, and its line width."""
    unit = image.shape[0] / 18
    palette = np.array([(255, 255, 255), *TAB10[:6]], np.float64)
    found: dict[int, list[tuple[Node, Node]]] = {}
    widths = []
    for x in range(15):
        for y in range(15):
            for dx, dy in ((1, 0), (0, 1)):
                if x + dx > 14 or y + dy > 14:
                    continue
                column, row = int((2 + x + dx / 2) * unit), int((2 + y + dy / 2) * unit)
                color = int(np.abs(palette - image[row, column]).sum(-1).argmin())
                if color:
                    found.setdefault(color - 1, []).append(((x, y), (x + dx, y + dy)))
                    across = image[row, column - 8 : column + 9] if dy else image[row - 8 : row + 9, column]
                    widths.append(np.count_nonzero(np.abs(across - palette[color]).sum(-1) < 60))
    routes = []
    for color in sorted(found):
        path = trail(found[color])
        routes.append((STATION[path[0]], STATION[path[-1]], turns(path), TAB10[color]))
    return tuple(routes), 20 if np.median(widths) > 5 else 10


def test_the_routes_of_every_real_map_are_recovered_and_drawn_again() -> None:
    """They give every recorded answer; ours look the same."""
    font = benchmark_font()
    library = TASK.benchmark_resources(Options())
    scenes: dict[str, Scene] = {}
    asked: dict[str, set[frozenset[int]]] = {}
    thicknesses = Counter[float]()
    for row, about, real in real_rows("subway"):
        if about["image"] not in scenes:
            routes, thickness = recover(real)
            scene = scenes[about["image"]] = benchmark_scene(routes, 512, thickness, font)
            assert_alike(TASK.draw(scene, library), real, ink(real))
            ends = Counter(station for start, end, _, _ in routes for station in (start, end))
            assert len(routes) == about["routes"] and set(ends.values()) == {about["routes"] // 2}
            assert not set.intersection(*map(edges_of, routes[:2])) and not is_off_benchmark(scene)
            thicknesses[thickness] += 1
        start, end = ("ABCD".index(letter) for letter in about["stations"])
        scene = replace(scenes[about["image"]], asked=(start, end))
        assert TASK.truth(scene) == row["groundtruth"]
        told = {**TASK.benchmark_columns(about), "map": TASK.columns(scene)["map"]}
        assert told.items() <= TASK.columns(scene).items()
        asked.setdefault(about["image"], set()).add(frozenset((start, end)))
    assert len(scenes) == 45 and len(thicknesses) == 2
    for image, pairs in asked.items():  # as we ask: about the pairs that a route joins
        assert pairs <= {frozenset(route[:2]) for route in scenes[image].routes}


def test_the_published_questions_are_ours_to_the_letter() -> None:
    for row, about, _ in real_rows("subway"):
        ours = {"prompt": row["prompt"], "answer": row["groundtruth"], **TASK.benchmark_columns(about)}
        assert row["task"] in TASK.benchmark
        assert row["prompt"] in {TASK.question(name, ours) for name in ("paths", "routes")}
        assert TASK.ask_again(ours).reply == f"{{{row['groundtruth']}}}"


# -- held out ----------------------------------------------


def test_no_map_is_near_one_of_the_benchmarks(sampled: list[Scene]) -> None:
    """The benchmark's routes end at 12 places; on each map of ours one ends 2 px or more from them all."""
    stops = np.array([(x + 2, y + 2) for x, y in STATION]) * 224 / 18
    for scene in sampled:
        ends = np.array([scene.place(corners[i]) for *_, corners, _ in scene.routes for i in (0, -1)])
        assert np.abs(ends[:, None] - stops).max(-1).min(-1).max() >= 2
        assert not {name for name, _, _ in scene.stations} & set("ABCD")
    rng, font = np.random.default_rng(0), benchmark_font()
    for size in (512, 1024):
        scene = benchmark_scene(benchmark_routes(rng, 3), size, 10, font)
        ends = np.array([scene.place(corners[i]) for *_, corners, _ in scene.routes for i in (0, -1)])
        assert np.abs(ends[:, None] * 224 / size - stops).max(-1).min(-1).max() < 1e-9


def test_all_that_is_asked_of_a_map_is_in_one_split(fonts: FontLibrary) -> None:
    """And its twins; the letters' font is of that split."""
    rng = np.random.default_rng(0)
    for split in SPLITS:
        for i in range(12):
            scene = sample_scene(TASK, 0, split, i, Options(), fonts)
            twin = TASK.contrast(rng, scene)
            others = [twin or scene, replace(scene, asked=scene.asked[::-1]), replace(scene, asked=(1, 0))]
            assert {TASK.split_of(one) for one in (scene, *others)} == {split}
            assert split_of_family(fonts.get(scene.font).family) == split


# -- sampled -----------------------------------------------


def test_routes_run_from_station_to_station_and_share_no_edge(sampled: list[Scene]) -> None:
    for scene in sampled:
        columns, rows = scene.nodes
        used: set[frozenset[Node]] = set()
        places: dict[int, set[Node]] = {}
        for route in scene.routes:
            start, end, corners, _ = route
            edges, nodes = edges_of(route), unrolled(corners)
            assert turns(nodes) == corners
            assert not used & edges
            used |= edges
            assert all(0 < x < columns - 1 and 0 < y < rows - 1 for x, y in nodes[1:-1])
            for station, (x, y) in ((start, nodes[0]), (end, nodes[-1])):
                assert (x in (0, columns - 1)) != (y in (0, rows - 1))
                assert (x, y) not in places.setdefault(station, set())
                places[station].add((x, y))
        assert set(places) == set(range(len(scene.stations)))  # each station has a route
        assert len(set().union(*places.values())) == 2 * len(scene.routes)
        assert len({color for *_, color in scene.routes}) == len(scene.routes)


def test_a_stations_letter_stands_nearest_to_its_own_routes(sampled: list[Scene], fonts: FontLibrary) -> None:
    """And within the image, off all the lines."""
    for scene in sampled[:150]:
        ends = [
            (s, scene.place(c[i])) for *pair, c, _ in scene.routes for s, i in zip(pair, (0, -1), strict=True)
        ]
        bare = TASK.draw(replace(scene, routes=()), fonts)
        dark = np.abs(bare.astype(int) - scene.background).max(-1) > 20
        rows, columns = np.nonzero(dark)
        assert rows.min() > 0 and rows.max() < 223 and columns.min() > 0 and columns.max() < 223
        lines = (
            np.abs(TASK.draw(replace(scene, stations=()), fonts).astype(int) - scene.background).max(-1) > 20
        )
        assert not (dark & lines).any()
        for station, label in enumerate(scene.stations):
            alone = TASK.draw(replace(scene, routes=(), stations=(label,)), fonts)
            y, x = np.nonzero(np.abs(alone.astype(int) - scene.background).max(-1) > 20)
            middle = (x.min() + x.max() + 1) / 2, (y.min() + y.max() + 1) / 2
            nearest = min(ends, key=lambda end: np.hypot(end[1][0] - middle[0], end[1][1] - middle[1]))
            assert nearest[0] == station


def test_answers_are_balanced_and_reach_beyond_the_benchmark(sampled: list[Scene]) -> None:
    counts = Counter(map(TASK.truth, sampled))
    assert set(counts) == set(TASK.answers.choices or ()) == set("01234")
    assert max(counts.values()) < 0.27 * len(sampled)
    columns = [TASK.columns(scene) for scene in sampled]
    assert {row["stations"] for row in columns} == {2, 3, 4, 5, 6}
    assert min(row["thickness"] for row in columns) < 10 and max(row["thickness"] for row in columns) > 20
    assert np.mean([row["crossings"] > 5 for row in columns]) > 0.2
    assert len({row["start"] for row in columns}) > 15


def test_the_answer_is_in_the_picture(sampled: list[Scene], fonts: FontLibrary) -> None:
    """A colour joins the two stations if it is found where both of them have routes."""
    for scene in sampled[:150]:
        image = TASK.draw(scene, fonts)
        seen: dict[int, set[Any]] = {station: set() for station in scene.asked}
        for start, end, corners, _ in scene.routes:
            for station, port in ((start, corners[0]), (end, corners[-1])):
                if station in seen:
                    x, y = scene.place(port)
                    colors = np.array([color for *_, color in scene.routes])
                    pixel = image[int(y), int(x)].astype(int)
                    # thin lines are pale: the hue tells
                    paper = np.array(scene.background)
                    shades = [
                        np.abs(paper + t * (colors - paper) - pixel).sum(-1) for t in (0.4, 0.6, 0.8, 1.0)
                    ]
                    seen[station].add(int(np.min(shades, axis=0).argmin()))
        one, other = seen.values()
        assert str(len(one & other)) == TASK.truth(scene)


def test_a_twin_has_one_route_more_or_less_and_the_rest_stays(sampled: list[Scene]) -> None:
    rng, found = np.random.default_rng(0), Counter[int]()
    for scene in sampled[:300]:
        twin = TASK.contrast(rng, scene)
        if twin is None:  # no way is left for a first route
            assert TASK.truth(scene) == "0"
            continue
        few, many = sorted((scene.routes, twin.routes), key=len)
        assert len(many) == len(few) + 1 and set(few) < set(many)
        (changed,) = set(many) - set(few)
        assert set(changed[:2]) == set(scene.asked)
        assert replace(twin, routes=scene.routes) == scene
        assert abs(int(TASK.truth(twin)) - int(TASK.truth(scene))) == 1
        assert TASK.truth(twin) in (TASK.answers.choices or ())
        assert not any(edges_of(changed) & edges_of(route) for route in few)
        found[len(twin.routes) - len(scene.routes)] += 1
    assert min(found[1], found[-1]) > 60 and found.total() > 285


def test_the_benchmark_drawn_again(fonts: FontLibrary) -> None:
    """180 maps and 536 questions; the pairs that a route joins are asked about."""
    library = TASK.benchmark_resources(Options())
    scenes = list(TASK.benchmark_scenes(0, library))
    assert len(scenes) == TASK.benchmark_count == 536
    maps = {(scene.image_size, scene.line_width, scene.routes) for scene in scenes}
    assert len(maps) == 180
    assert Counter((size, len(routes)) for size, _, routes in maps) == {
        (size, count): 30 for size in (512, 1024) for count in (2, 4, 6)
    }
    assert len({TASK.columns(scene)["map"] for scene in scenes}) == 45
    for scene in scenes[::4]:
        ends = Counter(station for start, end, _, _ in scene.routes for station in (start, end))
        assert set(ends.values()) == {len(scene.routes) // 2}
        assert int(TASK.truth(scene)) >= 1
        used = [edges_of(route) for route in scene.routes]
        assert sum(map(len, used)) == len(set().union(*used))
        for start, _, corners, _ in scene.routes:  # never outward, seen from where a route begins
            nodes, axis = unrolled(corners), 1 if start in (0, 2) else 0
            inward = 1 if start in (0, 3) else -1
            assert all((b[axis] - a[axis]) * inward >= 0 for a, b in pairwise(nodes))
    assert {TASK.columns(scene)["thickness"] for scene in scenes} == {10.0, 20.0}
    assert (
        scenes[:5]
        == list(TASK.benchmark_scenes(0, library))[:5]
        != list(TASK.benchmark_scenes(1, library))[:5]
    )
    assert (TASK.draw(scenes[0], library) == TASK.draw(scenes[0], fonts)).all()


def test_scenes_are_kept_to_the_bit(sampled: list[Scene], fonts: FontLibrary) -> None:
    for scene in sampled[:60]:
        again = TASK.from_json(TASK.to_json(scene))
        assert again == scene and (TASK.draw(again, fonts) == TASK.draw(scene, fonts)).all()
        assert set(TASK.columns(scene)) == set(TASK.own_columns) == set(TASK.meanings)
    start, end = (sampled[0].stations[i][0] for i in sampled[0].asked)
    assert f"go from {start} to {end}?" in TASK.ask(sampled[0], "paths").question


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"image_size": 5}, "--image-size"),
        ({"connections": (0, 5)}, "--connections"),
        ({"stations": (1, 3)}, "--stations"),
        ({"stations": (2, 2)}, "--stations 2 2: two stations without a connection"),
        ({"nodes": (3, 9)}, "--nodes"),
        ({"line_width": (0.0, 9.0)}, "--line-width"),
        ({"wander": (2.0, 1.0)}, "--wander"),
        ({"colored": 7.0}, "--colored"),
    ],
)
def test_an_impossible_knob_is_named(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(SceneError, match=named):
        Options(**knobs)


def test_knobs_are_kept_to(fonts: FontLibrary) -> None:
    options = Options(image_size=120, connections=(3, 3), stations=(2, 2), nodes=(9, 9), colored=0.0)
    for i in range(10):
        scene = sample_scene(TASK, 0, "train", i, options, fonts)
        assert TASK.truth(scene) == "3" and len(scene.routes) == 3 and scene.nodes == (9, 9)
        assert {color for *_, color in scene.routes} <= set(TAB10) and scene.image_size == 120
