"""The tables' page in `unblind demo`: choose rows and columns, drag the lines, write words into the cells."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np

from unblind.tasks.base import Task
from unblind.tasks.controls import Move, Spot
from unblind.tasks.grid.scene import BENCHMARK_DRAWN, FEWEST, MOST, Lines, Scene, fill
from unblind.tasks.scene_controls import BOTH, SceneControls, clamped, slider

PAPER = 2.5 / 224  # of the picture's width: background between two lines, at least
REACH = 0.015  # of the picture's width, to each side of a line: where it can be taken hold of


@dataclass(frozen=True)
class GridControls(SceneControls[Scene]):
    """Rows, columns, the width of the lines, words; each line can be dragged."""

    tab = "Rows and columns"
    lead = "Choose rows and columns, and drag the lines." + BOTH
    lead_blind = "Choose rows and columns, drag the lines, and see what the blind model makes of it."
    uploads = "A table"

    def knobs(self, scene: Scene) -> list[Any]:
        """Rows, columns, line width, words."""
        rows, columns, width, words = self.told(scene)
        shape = [slider(FEWEST, MOST, rows, "Rows"), slider(FEWEST, MOST, columns, "Columns")]
        line = slider(4, 40, width, "Line width, px of 2000", 0.1)
        return [*shape, line, gr.Checkbox(words, label="Words in the cells")]

    def told(self, scene: Scene) -> list[Any]:
        """Rows, columns, line width in px of a table 2000 px wide, whether there are words."""
        width = round(scene.line_width * BENCHMARK_DRAWN / scene.image_size, 1)
        return [scene.rows, scene.columns, width, bool(scene.words)]

    def changed(self, scene: Scene, *wanted: Any) -> Scene:
        """Evenly spaced lines where the number is another one; words of the test split."""
        rows, columns, width, words = wanted
        table = replace(
            scene,
            xs=_spaced(scene.xs, int(columns)),
            ys=_spaced(scene.ys, int(rows)),
            line_width=width * scene.image_size / BENCHMARK_DRAWN,
        )
        return self._filled(table) if words else replace(table, words=())

    def spots(self, scene: Scene) -> list[Spot]:
        """The lines: first the upright ones, from the left; then the level ones, from the top."""
        size = scene.image_size
        x, y = scene.xs[0] / size, scene.ys[0] / size
        width, height = (scene.xs[-1] - scene.xs[0]) / size, (scene.ys[-1] - scene.ys[0]) / size
        upright = [(line / size - REACH, y, 2 * REACH, height) for line in scene.xs]
        level = [(x, line / size - REACH, width, 2 * REACH) for line in scene.ys]
        names = [f"Upright line {i}" for i in range(1, len(upright) + 1)]
        names += [f"Level line {i}" for i in range(1, len(level) + 1)]
        return [Spot(box, name, drags=True) for box, name in zip(upright + level, names, strict=True)]

    def dragged(self, scene: Scene, move: Move) -> Scene:
        """One line moved between its neighbours; the words follow."""
        size, upright = scene.image_size, len(scene.xs)
        gap, half = scene.line_width + PAPER * size, scene.line_width / 2
        if move.spot < upright:
            moved = replace(scene, xs=_moved(scene.xs, move.spot, move.dx * size, gap, size, half))
        else:
            moved = replace(scene, ys=_moved(scene.ys, move.spot - upright, move.dy * size, gap, size, half))
        return self._filled(moved) if scene.words else moved

    def _filled(self, scene: Scene) -> Scene:
        """The table with words, the same ones for the same numbers of rows and columns."""
        rng = np.random.default_rng(zlib.crc32(f"{scene.rows},{scene.columns}".encode()))
        library = self.resources.fonts
        font = library.get(scene.font) if scene.font else library.of_split("test")[0]
        return fill(rng, scene, self.resources.words, font, "test")


def _spaced(lines: Lines, cells: int) -> Lines:
    if len(lines) == cells + 1:
        return lines
    step = (lines[-1] - lines[0]) / cells
    return tuple(lines[0] + i * step for i in range(cells + 1))


def _moved(lines: Lines, which: int, by: float, gap: float, size: int, half: float) -> Lines:
    least = lines[which - 1] + gap if which else half
    most = lines[which + 1] - gap if which + 1 < len(lines) else size - half
    return (*lines[:which], clamped(lines[which] + by, least, max(least, most)), *lines[which + 1 :])


def controls(task: Task[Any], options: Any, prompt: str, image_size: int) -> GridControls:
    """The page's controls. Raises WordsError and FontsError."""
    return GridControls(task, options, prompt, image_size, task.resources(options))
