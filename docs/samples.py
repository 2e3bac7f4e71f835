"""Draw docs/images/samples.png, the picture in the README: held-out words in held-out fonts.

python docs/samples.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from unblind.tasks.base import sample_scene
from unblind.tasks.circled_letter.options import Options
from unblind.tasks.circled_letter.scene import SceneOptions
from unblind.tasks.circled_letter.task import TASK

COLUMNS, ROWS, SIZE, GAP = 4, 3, 448, 12


def main() -> None:
    """Crop each sample to its middle and set them in a grid."""
    options = Options(scene=SceneOptions(image_size=SIZE, padding=(15, 60)))
    resources = TASK.resources(options)
    strip = SIZE * 2 // 5
    sheet = Image.new("RGB", (COLUMNS * (SIZE + GAP) - GAP, ROWS * (strip + GAP) - GAP), "#d0d7de")
    for i in range(COLUMNS * ROWS):
        scene = sample_scene(TASK, 1, "test", i, options, resources)
        image = TASK.draw(scene, resources)
        middle = Image.fromarray(np.ascontiguousarray(image[(SIZE - strip) // 2 : (SIZE + strip) // 2]))
        sheet.paste(middle, (i % COLUMNS * (SIZE + GAP), i // COLUMNS * (strip + GAP)))
    sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS).save(
        Path(__file__).parent / "images" / "samples.png", optimize=True
    )


if __name__ == "__main__":
    main()
