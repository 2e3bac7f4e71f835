"""The benchmark drawn again, held against its real images."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from unblind import GenerateOptions, generate
from unblind.errors import FontsError
from unblind.tasks.circled_letter.blindtest import COUNT, benchmark_fonts, benchmark_scene, benchmark_scenes
from unblind.tasks.circled_letter.draw import draw
from unblind.tasks.fonts import Font, split_of_family
from unblind.tasks.words import split_of

BLINDTEST = Path(__file__).parents[4] / "shared" / "blindtest" / "acknowledgement.parquet"
BAND = slice(192, 336)  # the rows in which the benchmark draws anything; the others are white
Pixels = NDArray[np.float64]


@pytest.fixture(scope="module")
def pair() -> tuple[Font, Font]:
    """The benchmark's two fonts."""
    try:
        return benchmark_fonts()
    except FontsError as error:
        pytest.skip(str(error))


def measure_ellipse(image: Pixels, line_width: float) -> Pixels:
    """Centre and axes, px: least squares of the red pixels' distances to the line's middle.

    Red over black ink is as red as over white, so redness is red less the mean of green and blue.
    """
    red = np.clip(image[..., 0] - image[..., 1:].mean(-1), 0, 255) / 255
    rows, columns = np.nonzero(red > 0.05)
    weight, x, y = np.sqrt(red[rows, columns]), columns + 0.5, rows + 0.5
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
    values = np.concatenate([(low + high) / 2, high - low - line_width])

    def distances(v: Pixels) -> Pixels:
        u, w = 2 * (x - v[0]) / v[2], 2 * (y - v[1]) / v[3]
        square = u * u + w * w
        return weight * (square - np.sqrt(square)) / np.hypot(2 * u / v[2], 2 * w / v[3])

    for _ in range(6):  # Gauss-Newton
        steps = np.stack([(distances(values + d) - distances(values - d)) / 2e-3 for d in np.eye(4) * 1e-3])
        values = values - np.linalg.solve(steps @ steps.T, steps @ distances(values))
    return values


def difference(image: Pixels, real: Pixels) -> float:
    """Inside the real image's ink, widened by 3 px: the share of a blank image's difference."""
    ink = Image.fromarray((real.min(-1) < 128).astype(np.uint8)).filter(ImageFilter.MaxFilter(7))
    inside = np.asarray(ink) > 0
    return float(np.abs(image - real)[inside].sum() / (255 - real)[inside].sum())


@pytest.mark.slow
def test_drawn_benchmark_matches_every_real_image(pair: tuple[Font, Font]) -> None:
    """Every Open Sans image: ellipse centre to 1 px, axes to 1.5 px, pixels to a fifth of a blank image's.

    A blank image, and ours shifted by 3 px, fail the same check of the pixels.
    """
    if not BLINDTEST.is_file():
        pytest.skip("the benchmark's images are not beside the repository (../shared/blindtest)")
    real_rows = pq.read_table(BLINDTEST).to_pylist()
    checked = 0
    for row in real_rows:
        about = json.loads(row["metadata"])
        if about["font"] != "OpenSans":
            continue
        real = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB"), np.float64)
        scene = benchmark_scene(about["word"], about["index"], pair[0], about["padding"], about["thickness"])
        assert scene.letter == row["groundtruth"]
        assert (real[: BAND.start] == 255).all() and (real[BAND.stop :] == 255).all()
        ours, real = draw(scene, pair[0])[BAND].astype(np.float64), real[BAND]
        ellipse = scene.ellipse
        x, y, width, height = measure_ellipse(real, ellipse.line_width)
        assert np.hypot(x - ellipse.x, y + BAND.start - ellipse.y) <= 1, about
        assert max(abs(width - ellipse.width), abs(height - ellipse.height)) <= 1.5, about
        assert np.abs(ours - real).mean() <= 4, about
        assert difference(ours, real) <= 0.2, about
        assert difference(np.full_like(real, 255), real) > 0.2
        assert all(difference(np.roll(ours, by, axis), real) > 0.2 for by in (-3, 3) for axis in (0, 1))
        checked += 1
    assert checked == 180


def test_grid_has_each_cell_once(pair: tuple[Font, Font]) -> None:
    """Three strings, two fonts, four paddings, three line widths, every position."""
    scenes = list(benchmark_scenes(pair))
    assert len(scenes) == COUNT == 1248
    assert len({(s.word, s.index, s.font.family, s.padding, s.line_width) for s in scenes}) == 1248
    assert set(Counter(s.font.family for s in scenes).values()) == {624}
    assert {split_of(s.word) for s in scenes} == {split_of_family(s.font.family) for s in scenes} == {"test"}


def test_preset_fills_the_test_split_alone(
    pair: tuple[Font, Font], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All rows are held out, in a folder that reads as complete; the command says which fonts it used."""
    from unblind import read
    from unblind.commands import generate as command
    from unblind.data.reading import splits
    from unblind.tasks.redraw import redraw

    command.generate(out=tmp_path / "out", options=GenerateOptions(preset="blindtest"), workers=1)
    said = capsys.readouterr().out
    assert "Open Sans" in said and pair[1].family in said
    assert ("stands in for Helvetica" in said) == (pair[1].family == "Liberation Sans")
    assert splits(tmp_path / "out") == ("test",)
    rows = read(tmp_path / "out")
    assert len(rows) == 1248
    for row in (rows[0], rows[-1]):  # their fonts are in no plain install
        assert (redraw(row) == np.asarray(row["image"])).all()


def test_missing_fonts_say_what_to_install(tmp_path: Path) -> None:
    """Neither an empty folder nor one with other fonts will do; nothing is written."""
    for sources in ((str(tmp_path),), ("bundled",)):
        with pytest.raises(FontsError, match=r"apt install fonts-open-sans fonts-liberation.*--fonts"):
            benchmark_fonts(*sources)
    with pytest.raises(FontsError, match="blindtest"):
        generate(tmp_path / "out", GenerateOptions(preset="blindtest", fonts=(str(tmp_path),)))
    assert not (tmp_path / "out").exists()
