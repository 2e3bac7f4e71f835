"""Draw docs/images/tasks.png: six held-out samples of each task, a row a task.

python docs/tasks.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from unblind.tasks.base import sample_scene
from unblind.tasks.registry import TASKS, task_named

COLUMNS, SHOWN, GAP = 6, 168, 8


def main() -> None:
    """Draw the samples and set them in a grid."""
    step = SHOWN + GAP
    sheet = Image.new("RGB", (COLUMNS * step - GAP, len(TASKS) * step - GAP), "#d0d7de")
    for row, name in enumerate(sorted(TASKS)):
        task = task_named(name)
        options = task.options_class()
        resources = task.resources(options)
        for column in range(COLUMNS):
            scene = sample_scene(task, 0, "test", column, options, resources)
            image = Image.fromarray(task.draw(scene, resources))
            image.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
            sheet.paste(image, (column * step, row * step))
    sheet.quantize(256).save(Path(__file__).parent / "images" / "tasks.png", optimize=True)


if __name__ == "__main__":
    main()
