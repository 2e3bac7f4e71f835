"""How fast scenes are drawn, against Matplotlib at 1,200 dpi, which is how BlindTest's generator draws.

Both draw the same distinct scenes on one core in one run: as 224 px arrays, and as 512 px PNG files on disk.

    python benchmarks/drawing.py [SCENES] [MATPLOTLIB_SCENES]
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import matplotlib
import numpy as np
from matplotlib import patches, pyplot
from matplotlib.font_manager import FontProperties
from PIL import Image

from unblind.data.images import encode_png
from unblind.tasks.base import sample_scene
from unblind.tasks.circled_letter.draw import draw
from unblind.tasks.circled_letter.options import Options, Resources
from unblind.tasks.circled_letter.scene import Scene, SceneOptions
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.fonts import FontLibrary, find_fonts
from unblind.tasks.glyphs import measure_word
from unblind.tasks.words import load_words

matplotlib.use("Agg")


def draw_with_matplotlib(scene: Scene, fonts: FontLibrary, in_memory: bool) -> Image.Image:
    """The scene on a figure of 10 x 2 inches at 1,200 dpi, resized.

    The generator saves the figure as PNG, which is opened again; `in_memory` spares it that detour.
    """
    path = fonts.get(scene.font.digest).path
    size = scene.image_size
    figure = pyplot.figure(figsize=(10, 2), dpi=1200)
    axes = figure.add_axes((0, 0, 1, 1))
    top = size / 2 - size / 10
    axes.set(xlim=(0, size), ylim=(top + size / 5, top))
    axes.axis("off")
    properties = FontProperties(fname=str(path), size=scene.font_size * 720 / size)
    for letter, pen in zip(scene.word, measure_word(path, scene.word).pens, strict=True):
        axes.text(scene.x + pen * scene.font_size, scene.baseline, letter, fontproperties=properties)
    ellipse = scene.ellipse
    axes.add_patch(
        patches.Ellipse(
            (ellipse.x, ellipse.y),
            ellipse.width,
            ellipse.height,
            fill=False,
            edgecolor="red",
            linewidth=scene.line_width,
            zorder=4,
        )
    )
    if in_memory:
        figure.canvas.draw()
        large = Image.fromarray(np.asarray(figure.canvas.buffer_rgba()))
    else:
        figure.savefig(file := io.BytesIO())
        large = Image.open(file)
    pyplot.close(figure)
    strip = large.convert("RGB").resize((size, size // 5), Image.Resampling.BOX)
    image = Image.new("RGB", (size, size), "white")
    image.paste(strip, (0, round(top)))
    return image


def rate(work: Callable[[Scene], object], scenes: list[Scene]) -> float:
    """Scenes a second."""
    start = time.perf_counter()
    for scene in scenes:
        work(scene)
    return len(scenes) / (time.perf_counter() - start)


def main() -> None:
    """Print a table, and one line of JSON for each question."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    slow = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    fonts, words = find_fonts(), load_words()
    by_digest = {font.digest: font for font in fonts.fonts}
    for font in fonts.fonts:
        measure_word(font.path, "warm")

    def scenes(size: int) -> list[Scene]:
        options, resources = Options(scene=SceneOptions(image_size=size)), Resources(fonts.fonts, words=words)
        return [sample_scene(TASK, 0, "train", i, options, resources) for i in range(count)]

    def array(scene: Scene) -> np.ndarray:
        return draw(scene, by_digest[scene.font.digest])

    with tempfile.TemporaryDirectory() as folder:

        def png(scene: Scene) -> None:
            Path(folder, f"{id(scene)}.png").write_bytes(encode_png(array(scene)))

        def matplotlib_array(scene: Scene, in_memory: bool) -> np.ndarray:
            return np.asarray(draw_with_matplotlib(scene, fonts, in_memory))

        def matplotlib_png(scene: Scene, in_memory: bool) -> None:
            draw_with_matplotlib(scene, fonts, in_memory).save(Path(folder, f"m{id(scene)}.png"))

        results = []
        for name, size, ours, theirs in (
            ("drawing arrays", 224, array, matplotlib_array),
            ("drawing PNG files", 512, png, matplotlib_png),
        ):
            sampled = scenes(size)
            speed = rate(ours, sampled)
            for in_memory, way in ((False, "as the generator"), (True, "in memory")):
                slow_speed = rate(partial(theirs, in_memory=in_memory), sampled[:slow])
                results.append((name, size, f"Matplotlib at 1,200 dpi, {way}", speed, slow_speed))
    print(
        f"{'what':<18} {'px':>4} {'ours':>8} {'against':<41} {'its':>6} {'ratio':>7}   (images/s, one core)"
    )
    for name, size, against, ours, theirs in results:
        print(f"{name:<18} {size:>4} {ours:>8.1f} {against:<41} {theirs:>6.2f} {ours / theirs:>6.0f}x")
    for name, size, against, ours, theirs in results:
        line = {
            "benchmark": name,
            "ratio": ours / theirs,
            "ours": ours,
            "alternative": theirs,
            "unit": "images/s",
        }
        print(json.dumps(line | {"against": against, "pixels": size, "scenes": count}))


if __name__ == "__main__":
    main()
