"""The plain description of one image before it is drawn. All random choices happen here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from unblind.errors import SceneError
from unblind.flags import Drawing
from unblind.options import flag, refuse_unknown
from unblind.tasks.canvas import Color
from unblind.tasks.colors import contrast, random_color
from unblind.tasks.fonts import Font
from unblind.tasks.glyphs import Word, measure_word
from unblind.tasks.knobs import check_image_size, check_range

Case = Literal["as-is", "lower", "upper", "title", "random", "mixed"]

# The generator of BlindTest sets glyphs of 96 px on an axis of (advances + 2 x padding) px, which it scales
# to the image's width, in a figure 10 inches wide; the baseline lies 0.35 em below the middle.
EM = 96.0
_POINTS_WIDE = 720.0
_BASELINE = 0.35
_MARGIN = 1.0  # px kept free at the border
# What `mixed` is made of: the shares of the words that are drawn in each case.
_MIXED: dict[Case, float] = {"as-is": 0.5, "title": 0.2, "upper": 0.15, "random": 0.15}


@dataclass(frozen=True)
class FontRef:
    """Which font a scene is drawn with, wherever its file lies."""

    family: str
    style: str
    digest: str  # SHA-256 of the file, hex


@dataclass(frozen=True)
class Ellipse:
    """An ellipse by its centre, full axes and line width, in px."""

    x: float
    y: float
    width: float
    height: float
    line_width: float

    def contains(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points lie inside the middle of the line."""
        inside: NDArray[np.bool_] = ((x - self.x) / self.width) ** 2 + (
            (y - self.y) / self.height
        ) ** 2 < 0.25
        return inside


@dataclass(frozen=True)
class Scene:
    """A word with one letter circled: enough to draw the image bit for bit."""

    word: str
    index: int  # zero-based, of the circled letter
    font: FontRef
    image_size: int  # px; images are square
    font_size: float  # px per em
    x: float  # px, where the first letter's pen stands
    baseline: float  # px
    ellipse: Ellipse
    text_color: Color
    background: Color
    ellipse_color: Color
    padding: float  # in the benchmark's unit: 1/96 em on either side of the word
    line_width: float  # in the benchmark's unit: points on a figure 10 inches wide
    ambiguous: bool = False  # the ellipse holds another letter's centre too

    @property
    def letter(self) -> str:
        """The circled letter."""
        return self.word[self.index]


def _parse_color(name: str, value: str) -> Color | None:
    if value == "random":
        return None
    try:
        red, green, blue = ImageColor.getrgb(value)[:3]
    except ValueError:
        raise SceneError(
            f"{flag(name)} {value}: not a colour; write a name (red), #rrggbb, or random"
        ) from None
    return red, green, blue


@dataclass(frozen=True)
class SceneOptions:
    """The knobs. Pairs are the ends of a range, drawn from uniformly.

    Attributes:
        image_size: px; images are square.
        padding: free space on either side of the word, in 1/96 em (the benchmark: 25 to 200).
        ellipse_scale: axes over the letter's advance and ink height (the benchmark: 1.4).
        line_width: of the ellipse, in points on a figure 10 inches wide (the benchmark's 4 to 6 come
            out as 5 to 9 here, because its figure is trimmed).
        jitter: the word's largest shift from the middle, as a share of the image size.
        case: how the word's letters are changed before they are drawn; `mixed` takes now this, now that way.
        text_color: a colour that Pillow knows (`black`, `#202020`, `rgb(0,0,0)`), or `random`.
        background: likewise.
        ellipse_color: likewise.
    """

    image_size: int = 224
    padding: Drawing[tuple[float, float]] = (15.0, 200.0)
    ellipse_scale: Drawing[tuple[float, float]] = (1.3, 1.5)
    line_width: Drawing[tuple[float, float]] = (3.0, 7.0)
    jitter: Drawing[float] = 0.02
    case: Drawing[Case] = "as-is"
    text_color: Drawing[str] = "black"
    background: Drawing[str] = "white"
    ellipse_color: Drawing[str] = "red"

    def __post_init__(self) -> None:
        """Refuse values that no scene can be made of.

        Raises:
            SceneError: a value out of range, naming its flag.
        """
        check_image_size(self.image_size)
        check_range("padding", self.padding, 0, 2000)
        check_range("ellipse_scale", self.ellipse_scale, 1, 4)
        check_range("line_width", self.line_width, 0.5, 40)
        if not 0 <= self.jitter <= 0.4:
            raise SceneError(f"--jitter {self.jitter}: need a share of the image size from 0 to 0.4")
        refuse_unknown(self, SceneError)
        for name in ("text_color", "background", "ellipse_color"):
            _parse_color(name, getattr(self, name))


def sample_with_font(rng: np.random.Generator, word: str, font: Font, options: SceneOptions) -> Scene | None:
    """Choose everything but word and font; None if what was chosen does not fit."""
    word = _change_case(rng, word, options.case)
    jitter = options.jitter * options.image_size
    text_color, background, ellipse_color = _choose_colors(rng, options)
    scene = lay_out(
        word,
        int(rng.integers(len(word))),
        font,
        image_size=options.image_size,
        padding=float(rng.uniform(*options.padding)),
        ellipse_scale=float(rng.uniform(*options.ellipse_scale)),
        line_width=float(rng.uniform(*options.line_width)),
        shift=(float(rng.uniform(-jitter, jitter)), float(rng.uniform(-jitter, jitter))),
    )
    if scene is None or scene.ambiguous:
        return None
    return replace(scene, text_color=text_color, background=background, ellipse_color=ellipse_color)


def lay_out(
    word: str,
    index: int,
    font: Font,
    *,
    image_size: int,
    padding: float,
    ellipse_scale: float,
    line_width: float,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Scene | None:
    """Place the word and the ellipse as the benchmark does; None if anything leaves the image.

    Args:
        word: letters A-Z a-z.
        index: of the circled letter, zero-based.
        font: the font.
        image_size: px.
        padding: 1/96 em on either side.
        ellipse_scale: axes over the letter's advance and ink height.
        line_width: points on a figure 10 inches wide.
        shift: px, right and down.
    """
    measures = measure_word(font.path, word)
    size = image_size * EM / (EM * measures.width + 2 * padding)
    x = (image_size - size * measures.width) / 2 + shift[0]
    baseline = image_size / 2 + _BASELINE * size + shift[1]
    boxes = measures.ink * size + np.array([x, baseline, x, baseline])
    ellipse = _around(measures, boxes, index, size, ellipse_scale, line_width * image_size / _POINTS_WIDE)
    if not _fits(boxes, ellipse, image_size):
        return None
    inside = ellipse.contains((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
    return Scene(
        word=word,
        index=index,
        font=FontRef(font.family, font.style, font.digest),
        image_size=image_size,
        font_size=size,
        x=x,
        baseline=baseline,
        ellipse=ellipse,
        text_color=(0, 0, 0),
        background=(255, 255, 255),
        ellipse_color=(255, 0, 0),
        padding=padding,
        line_width=line_width,
        ambiguous=int(inside.sum()) != 1,
    )


def circle_another(scene: Scene, font: Font, index: int) -> Scene | None:
    """The same word with its ellipse about another letter; None if that is not clear, or leaves the image.

    Args:
        scene: with another letter circled.
        font: the scene's.
        index: zero-based.
    """
    measures, old = measure_word(font.path, scene.word), scene.ellipse
    origin = np.array([scene.x, scene.baseline, scene.x, scene.baseline])
    boxes = measures.ink * scene.font_size + origin
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    wider = float(measures.advances[index] / measures.advances[scene.index])
    heights = boxes[:, 3] - boxes[:, 1]
    ellipse = Ellipse(
        float(x[index]),
        float(y[index]),
        old.width * wider,
        old.height * float(heights[index] / heights[scene.index]),
        old.line_width,
    )
    clear = np.flatnonzero(ellipse.contains(x, y)).tolist() == [index]
    return (
        replace(scene, index=index, ellipse=ellipse)
        if clear and _fits(boxes, ellipse, scene.image_size)
        else None
    )


def _around(
    measures: Word, boxes: NDArray[np.float64], index: int, size: float, scale: float, line_width: float
) -> Ellipse:
    x0, y0, x1, y1 = boxes[index].tolist()
    width = float(measures.advances[index]) * size * scale
    return Ellipse((x0 + x1) / 2, (y0 + y1) / 2, width, (y1 - y0) * scale, line_width)


def _fits(boxes: NDArray[np.float64], ellipse: Ellipse, image_size: int) -> bool:
    half_width = (ellipse.width + ellipse.line_width) / 2
    half_height = (ellipse.height + ellipse.line_width) / 2
    left, top = (
        min(boxes[:, 0].min(), ellipse.x - half_width),
        min(boxes[:, 1].min(), ellipse.y - half_height),
    )
    right, bottom = (
        max(boxes[:, 2].max(), ellipse.x + half_width),
        max(boxes[:, 3].max(), ellipse.y + half_height),
    )
    return bool(min(left, top) >= _MARGIN and max(right, bottom) <= image_size - _MARGIN)


def _change_case(rng: np.random.Generator, word: str, case: Case) -> str:
    if case == "mixed":
        case = list(_MIXED)[int(rng.choice(len(_MIXED), p=list(_MIXED.values())))]
    if case == "random":
        return "".join(
            c.upper() if up else c.lower() for c, up in zip(word, rng.random(len(word)) < 0.5, strict=True)
        )
    return {"as-is": word, "lower": word.lower(), "upper": word.upper(), "title": word.title()}[case]


def _choose_colors(rng: np.random.Generator, options: SceneOptions) -> tuple[Color, Color, Color]:
    """Text, background, ellipse; random ones differ from the background by at least 96 of 255 in luma."""
    background = _parse_color("background", options.background) or random_color(rng)
    text = _parse_color("text_color", options.text_color)
    ellipse = _parse_color("ellipse_color", options.ellipse_color)
    while text is None or (options.text_color == "random" and contrast(text, background) < 96):
        text = random_color(rng)
    while ellipse is None or (options.ellipse_color == "random" and contrast(ellipse, background) < 96):
        ellipse = random_color(rng)
    return text, background, ellipse
