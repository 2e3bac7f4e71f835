"""Draw docs/images/benchmark.png: images of BlindTest (left) beside ours (right).

python docs/benchmark.py FILE.parquet, of the benchmark's schema with `metadata`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image

from unblind.data.reading import read
from unblind.tasks.circled_letter.blindtest import IMAGE_SIZE, benchmark_fonts, benchmark_scene
from unblind.tasks.circled_letter.draw import draw

CELLS = ((8, 25, 6), (2, 100, 4))  # index, padding, line width
TOP, BOTTOM, GAP = 216, 310, 12


def main() -> None:
    """Crop to the rows that hold ink."""
    font, height = benchmark_fonts()[0], BOTTOM - TOP
    sheet = Image.new("RGB", (2 * IMAGE_SIZE + GAP, len(CELLS) * (height + GAP) - GAP), "#d0d7de")
    for row in read(sys.argv[1]):
        about = json.loads(row["metadata"])
        cell = about["index"], about["padding"], about["thickness"]
        if about["font"] == "OpenSans" and cell in CELLS:
            y = CELLS.index(cell) * (height + GAP)
            ours = Image.fromarray(draw(benchmark_scene(about["word"], cell[0], font, *cell[1:]), font))
            for x, image in ((0, row["image"]), (IMAGE_SIZE + GAP, ours)):
                sheet.paste(image.convert("RGB").crop((0, TOP, IMAGE_SIZE, BOTTOM)), (x, y))
    sheet.save(Path(__file__).parent / "images" / "benchmark.png", optimize=True)


if __name__ == "__main__":
    main()
