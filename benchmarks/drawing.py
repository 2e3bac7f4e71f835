"""How fast scenes are drawn, against the way in which BlindTest's own generators draw them.

Both draw the same distinct scenes on one core in one run: as 224 px arrays, and as 512 px PNG files on disk.
Times are of the processor, so that other work on the machine hardly matters. Tables are Pillow's there, 2000
px wide and resized. All else is Matplotlib's, and drawn twice: as the generator does, which saves the figure
as PNG that is opened again and resized, and in memory, which spares it that detour.

    python benchmarks/drawing.py [--task NAME|all] [--scenes N] [--theirs N]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import matplotlib
import numpy as np
from matplotlib import patches, pyplot
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from PIL import Image, ImageDraw, ImageFont

from unblind.data.images import encode_png
from unblind.tasks.base import Task, sample_scene
from unblind.tasks.glyphs import measure_word
from unblind.tasks.grid.scene import BENCHMARK_DRAWN
from unblind.tasks.olympic.scene import corners
from unblind.tasks.registry import TASKS, task_named
from unblind.tasks.subway.scene import unrolled

matplotlib.use("Agg")
Drawn = Callable[[Any, Any], Figure]
TIGHT = {"bbox_inches": "tight", "pad_inches": 0}  # how two of the generators save: the axes alone


def word(scene: Any, resources: Any) -> Figure:
    """A figure of 10 x 2 inches at 1,200 dpi: the middle fifth of the image."""
    path, size = resources.get(scene.font.digest).path, scene.image_size
    top = size / 2 - size / 10
    figure = on_axes((10, 2), 1200, (0, size), (top + size / 5, top))
    axes = figure.axes[0]
    properties = FontProperties(fname=str(path), size=scene.font_size * 720 / size)
    for letter, pen in zip(scene.word, measure_word(path, scene.word).pens, strict=True):
        axes.text(scene.x + pen * scene.font_size, scene.baseline, letter, fontproperties=properties)
    at = scene.ellipse
    style = {"fill": False, "edgecolor": "red", "linewidth": scene.line_width, "zorder": 4}
    axes.add_patch(patches.Ellipse((at.x, at.y), at.width, at.height, **style))
    return figure


def lines(scene: Any, _: Any) -> Figure:
    """A figure of 5 x 5 inches at 500 dpi."""
    figure = pyplot.figure(figsize=(5, 5), dpi=500)
    axes = figure.add_subplot()
    for line, color in ((scene.blue, scene.blue_color), (scene.red, scene.red_color)):
        axes.plot(*zip(*line, strict=True), color=share(color), linewidth=points(scene, 5))
    axes.set(xlim=(0, scene.width), ylim=(scene.height, 0))
    axes.axis("off")
    figure.tight_layout(pad=0)
    return figure


def circles(scene: Any, _: Any) -> Figure:
    """Two filled circles."""
    figure = square(scene)
    for (x, y, radius), color in zip((scene.first, scene.second), scene.colors, strict=True):
        figure.axes[0].add_patch(pyplot.Circle((x, y), radius, color=share(color), linewidth=0))
    return figure


def rings(scene: Any, _: Any) -> Figure:
    """Circles' outlines."""
    figure = square(scene)
    for (x, y, radius), color in zip(scene.outlines, scene.colors, strict=True):
        style = {"fill": False, "edgecolor": share(color), "linewidth": points(scene, 3.85)}
        figure.axes[0].add_patch(pyplot.Circle((x, y), radius, **style))
    return figure


def pentagons(scene: Any, _: Any) -> Figure:
    """Pentagons' outlines."""
    figure = square(scene)
    for place, color in zip(scene.outlines, scene.colors, strict=True):
        x, y = zip(*corners(place, scene.turn), strict=True)
        figure.axes[0].fill(x, y, fill=False, edgecolor=share(color), linewidth=points(scene, 3.85))
    return figure


def squares(scene: Any, _: Any) -> Figure:
    """A figure of 10 x 10 inches at 100 dpi."""
    size = scene.image_size
    figure = on_axes((10, 10), 100, (0, size), (size, 0))
    style = {"fill": False, "edgecolor": share(scene.color), "linewidth": scene.line_width * 720 / size}
    for x, y, side in scene.squares:
        figure.axes[0].add_patch(patches.Rectangle((x, y), side, side, **style))
    return figure


def routes(scene: Any, resources: Any) -> Figure:
    """A figure of 18 x 18 inches at 500 dpi; each step of a route is a line of its own."""
    size = scene.image_size
    figure = pyplot.figure(figsize=(18, 18), dpi=500)
    axes = figure.add_subplot()
    axes.set(xlim=(0, size), ylim=(size, 0))
    axes.axis("off")
    width = scene.line_width * 1296 / size
    for _, _, nodes, color in scene.routes:
        for one, other in pairwise(map(scene.place, unrolled(nodes))):
            axes.plot(*zip(one, other, strict=True), color=share(color), linewidth=width)
    font = FontProperties(fname=str(resources.get(scene.font).path), size=scene.font_size * 1296 / size)
    for letter, x, y in scene.stations:
        axes.text(x, y, letter, fontproperties=font)
    figure.tight_layout(pad=0)
    return figure


def table(scene: Any, resources: Any, size: int) -> Image.Image:
    """By Pillow, 2000 px wide, resized."""
    scale = BENCHMARK_DRAWN / scene.image_size
    image = Image.new("RGB", (BENCHMARK_DRAWN, BENCHMARK_DRAWN), scene.background)
    draw = ImageDraw.Draw(image)
    (left, *_, right), (top, *_, bottom) = scene.xs, scene.ys
    ends = [((x, top), (x, bottom)) for x in scene.xs] + [((left, y), (right, y)) for y in scene.ys]
    for line in ends:
        points = [tuple(scale * value for value in point) for point in line]
        draw.line(points, scene.color, round(scene.line_width * scale))
    if scene.words:
        path = str(resources.fonts.get(scene.font).path)
        font = ImageFont.truetype(path, scene.font_size * scale, layout_engine=ImageFont.Layout.BASIC)
        for text, x, baseline in scene.words:
            draw.text((x * scale, baseline * scale), text, scene.text_color, font, anchor="ls")
    return image.resize((size, size))


# How the benchmark draws each task by Matplotlib, and saves it.
WAYS: dict[str, tuple[Drawn, dict[str, Any]]] = {
    "circled-letter": (word, {}),
    "line-intersections": (lines, {}),
    "two-circles": (circles, TIGHT),
    "olympic-circles": (rings, TIGHT),
    "olympic-pentagons": (pentagons, TIGHT),
    "nested-squares": (squares, {}),
    "subway": (routes, {}),
}


def on_axes(inches: tuple[float, float], dpi: int, x: tuple[float, float], y: tuple[float, float]) -> Figure:
    """A figure that its axes fill, in px of the image."""
    figure = pyplot.figure(figsize=inches, dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=x, ylim=y)
    axes.axis("off")
    return figure


def square(scene: Any) -> Figure:
    """A figure of 5 x 5 inches with square axes, in px of the image; a third each at 100, 200 and 300 dpi."""
    figure = pyplot.figure(figsize=(5, 5), dpi=(100, 200, 300)[hash(scene) % 3])
    axes = figure.add_subplot()
    axes.set(xlim=(0, scene.width), ylim=(scene.height, 0), aspect="equal")
    axes.axis("off")
    return figure


def share(color: tuple[int, int, int]) -> tuple[float, ...]:
    """A colour as Matplotlib takes it."""
    return tuple(value / 255 for value in color)


def points(scene: Any, inches: float) -> float:
    """A line width, on axes so wide."""
    return scene.line_width * 72 * inches / scene.width


def draw_with_matplotlib(name: str, scene: Any, resources: Any, size: int, in_memory: bool) -> Image.Image:
    """The scene by Matplotlib, resized; a word is pasted into the middle of a white image."""
    way, saving = WAYS[name]
    figure = way(scene, resources)
    if in_memory:
        figure.canvas.draw()
        large = Image.fromarray(np.asarray(figure.canvas.buffer_rgba()))
    else:
        figure.savefig(file := io.BytesIO(), **saving)
        large = Image.open(file)
    pyplot.close(figure)
    height = round(size * large.height / large.width)
    drawn = large.convert("RGB").resize((size, height), Image.Resampling.BICUBIC)
    image = Image.new("RGB", (size, size), "white")
    image.paste(drawn, (0, (size - height) // 2))
    return image


def rate(work: Callable[[Any], object], scenes: list[Any]) -> float:
    """Scenes a second of one core."""
    start = time.process_time()
    for scene in scenes:
        work(scene)
    return len(scenes) / (time.process_time() - start)


def alternatives(task: Task[Any], resources: Any, size: int) -> dict[str, Callable[[Any], Image.Image]]:
    """The other ways to draw a scene, by what they are called."""
    if task.name == "grid":
        return {"Pillow, as the generator": partial(table, resources=resources, size=size)}
    return {
        f"Matplotlib, {'in memory' if in_memory else 'as the generator'}": partial(
            draw_with_matplotlib, task.name, resources=resources, size=size, in_memory=in_memory
        )
        for in_memory in (False, True)
    }


def sample(task: Task[Any], size: int, count: int) -> tuple[list[Any], Any]:
    """The first scenes of the training split at this size, and what they are drawn with."""
    options = task.options_class()
    if task.name == "circled-letter":
        options = task.options_class(scene=type(options.scene)(image_size=size))
    else:
        options = task.options_class(image_size=size)
    resources = task.resources(options)
    return [sample_scene(task, 0, "train", i, options, resources) for i in range(count)], resources


def compare(task: Task[Any], size: int, files: bool, count: int, slow: int) -> list[dict[str, Any]]:
    """Ours against each of the other ways: one result for each."""
    scenes, resources = sample(task, size, count)
    with tempfile.TemporaryDirectory() as folder:

        def ours(scene: Any) -> None:
            pixels = task.draw(scene, resources)
            if files:
                Path(folder, f"{id(scene)}.png").write_bytes(encode_png(pixels))

        def theirs(scene: Any, way: Callable[[Any], Image.Image]) -> None:
            image = way(scene)
            image.save(Path(folder, f"m{id(scene)}.png")) if files else np.asarray(image)

        for scene in scenes[:200]:  # fonts are opened
            ours(scene)
        speed = rate(ours, scenes)
        written = sum(len(getattr(scene, "words", ())) for scene in scenes)
        results = []
        for name, way in alternatives(task, resources, size).items():
            alternative = rate(partial(theirs, way=way), scenes[:slow])
            results.append(
                {
                    "benchmark": f"drawing {'PNG files' if files else 'arrays'}, {task.name}",
                    "ratio": speed / alternative,
                    "ours": speed,
                    "alternative": alternative,
                    "unit": "images/s",
                    "against": name,
                    "pixels": size,
                    "scenes": count,
                    **({"words/s": speed * written / count} if written else {}),
                }
            )
        return results


def main() -> None:
    """Print a table, and one line of JSON for each question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="circled-letter", choices=[*TASKS, "all"])
    parser.add_argument("--scenes", type=int, default=10_000)
    parser.add_argument("--theirs", type=int, default=10)
    asked = parser.parse_args()
    results = [
        result
        for name in (TASKS if asked.task == "all" else (asked.task,))
        for size, files in ((224, False), (512, True))
        for result in compare(task_named(name), size, files, asked.scenes, asked.theirs)
    ]
    print(
        f"{'what':<36} {'px':>4} {'ours':>8} {'against':<29} {'its':>6} {'ratio':>7}   (images/s of one core)"
    )
    for r in results:
        print(
            f"{r['benchmark']:<36} {r['pixels']:>4} {r['ours']:>8.1f} {r['against']:<29}"
            f" {r['alternative']:>6.2f} {r['ratio']:>6.0f}x"
        )
    for result in results:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
