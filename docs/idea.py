"""Draw docs/images/idea.png: the first held-out samples of a quickstart, with the answers before and after.

python docs/idea.py unblind-quickstart
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from unblind.data.reading import read
from unblind.tasks.fonts import find_fonts

COLUMNS, ROWS, GAP = 3, 4, 16
SIZE, HEIGHT, CAPTION = 448, 176, 64  # px: the image's width doubled, the part of it that is shown, the text
RIGHT, WRONG, PLAIN = "#1a7f37", "#cf222e", "#57606a"


def main() -> None:
    """A grid: what the model sees, and below it what it says, blind and after."""
    folder = Path(sys.argv[1])
    samples = read(folder / "data", "test").select(range(COLUMNS * ROWS))
    answers = [pq.read_table(folder / run / "predictions.parquet").to_pylist() for run in ("blind", "after")]
    width, height = COLUMNS * (SIZE + GAP) + GAP, ROWS * (HEIGHT + CAPTION + GAP) + GAP
    sheet = Image.new("RGB", (width, height), "#eaeef2")
    for number, (sample, blind, after) in enumerate(zip(samples, *answers, strict=False)):
        row, column = divmod(number, COLUMNS)
        tile = _tile(sample["image"], sample["answer"], blind["restricted"], after["restricted"])
        sheet.paste(tile, (GAP + column * (SIZE + GAP), GAP + row * (HEIGHT + CAPTION + GAP)))
    sheet = sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS)
    sheet.quantize(128).save(Path(__file__).parent / "images" / "idea.png", optimize=True)


def _tile(image: Image.Image, right: str, blind: str, after: str) -> Image.Image:
    """One image of 448 x 240 px."""
    tile = Image.new("RGB", (SIZE, HEIGHT + CAPTION), "white")
    tile.paste(image.convert("RGB").resize((SIZE, SIZE)), (0, (HEIGHT - SIZE) // 2))
    draw = ImageDraw.Draw(tile)
    draw.rectangle((0, HEIGHT, SIZE, HEIGHT + CAPTION), "white")
    draw.line((0, HEIGHT, SIZE, HEIGHT), "#eaeef2", 2)
    (path,) = {f.path for f in find_fonts().fonts if (f.family, f.style) == ("Roboto", "Medium")}
    font = ImageFont.truetype(path, 34)
    x = 20.0
    for name, answer in (("blind:", blind), ("after:", after)):
        draw.text((x, HEIGHT + CAPTION / 2), name, PLAIN, font, "lm")
        color = RIGHT if answer == right else WRONG
        draw.text((x + 104, HEIGHT + CAPTION / 2), answer, color, font, "lm")
        x += SIZE / 2
    return tile


if __name__ == "__main__":
    main()
