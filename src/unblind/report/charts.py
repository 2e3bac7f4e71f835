"""The pictures of the page, as inline SVG whose colours are the page's CSS variables.

All are 360 units wide, so that their text stays readable at the width of a phone.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from io import StringIO
from typing import Any, ParamSpec

from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from unblind.report.load import Curve

WIDTH = 360  # points; one point is one unit of the SVG's viewBox
POINTS = 300  # of a learning curve; more would only add bytes
SERIES = 6  # colours --s0 ... --s5
CONFUSED = 60  # different answers in a matrix of confusions, at most
_DOTTED: Any = (0, (1, 2.2))

# Matplotlib knows no CSS variables: it draws with these stand-ins, and `_svg` puts the variables in.
_NAMES = ("paper", "ink", "muted", "rule", "error", *(f"s{i}" for i in range(SERIES)))
_COLOUR = {name: f"#0102{i + 16:02x}" for i, name in enumerate(_NAMES)}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unblind",
    "text.parse_math": False,  # an answer may hold a dollar sign
    "axes.unicode_minus": False,
    "font.sans-serif": ["DejaVu Sans"],  # what the layout is measured with; the page's CSS sets its own font
    "font.size": 10,
}
_CLEANING = (  # a style sheet inside inline SVG would hold for the whole page
    (r"^.*?<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", r"<svg \1>"),
    (r"<style type=\"text/css\">.*?</style>", ""),
    (r"<g id=\"[^\"]*\"", "<g"),
    (r"xlink:href=", "href="),
    (r"\n\s*", "\n"),
)
P = ParamSpec("P")

Interval = Mapping[str, float]


def _inline(description: str) -> Callable[[Callable[P, Figure]], Callable[P, Markup]]:
    """Make a function that draws a figure return it as inline SVG, described to those who cannot see it."""

    def decorate(draw: Callable[P, Figure]) -> Callable[P, Markup]:
        @wraps(draw)
        def inline(*args: P.args, **kwargs: P.kwargs) -> Markup:
            with style.context(["default", _STYLE]):  # whatever the user's matplotlibrc says
                return _svg(draw(*args, **kwargs), description)

        return inline

    return decorate


@_inline("Accuracy of each model with 95 % Wilson intervals; dotted line: chance")
def overall(
    rows: Sequence[tuple[str, Interval, Interval | None]],
    chance: float | None,
    others: Sequence[tuple[str, Interval]] = (),
    title: str = "",
) -> Figure:
    """Bars of accuracy with Wilson whiskers, diamonds for free accuracy, a dotted line for chance if known.

    Each row is (label, accuracy, free), both ``{"value", "low", "high"}``. Below them, under `title`, thin
    bars of `others`, each (label, accuracy), to which the line for chance does not reach.
    """
    space = 0.42 * len(others) + 0.75 if others else 0.0  # in rows
    figure, axes = _figure(56 * (len(rows) + space) + 44, left=6, right=46, top=20, bottom=24)
    for i, (label, accuracy, free) in enumerate(rows):
        _bar(axes, len(rows) - 1 - i, label, accuracy, free, _COLOUR[series_name(i, len(rows))])
    top = len(rows) - 0.42
    if chance is not None:
        axes.vlines(chance, -0.5, top, color=_COLOUR["ink"], linestyle=_DOTTED, linewidth=1.3)
        said = f"chance {percent(chance)}"
        axes.text(chance, top + 0.06, said, ha="center", fontsize=9, color=_COLOUR["muted"])
    if others:
        axes.text(0, -0.88, title, fontsize=9, color=_COLOUR["muted"])
    for i, (label, accuracy) in enumerate(others):
        _thin_bar(axes, -1.12 - 0.42 * i, label, accuracy)
    axes.set(xlim=(0, 1), ylim=(-0.5 - space, top), yticks=[])
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="\u202f%"))
    axes.spines["left"].set_visible(False)
    return figure


def _thin_bar(axes: Axes, y: float, label: str, accuracy: Interval) -> None:
    axes.barh(y, accuracy["value"], height=0.3, color=_COLOUR["rule"])
    axes.plot([accuracy["low"], accuracy["high"]], [y, y], color=_COLOUR["ink"], linewidth=1.2)
    look: dict[str, Any] = {"fontsize": 9, "va": "center_baseline", "color": _COLOUR["ink"]}
    axes.text(0.012, y, printable(label, 30), **look)
    axes.text(accuracy["high"] + 0.025, y, percent(accuracy["value"]), **look)


def _bar(axes: Axes, y: float, label: str, accuracy: Interval, free: Interval | None, colour: str) -> None:
    value, low, high = accuracy["value"], accuracy["low"], accuracy["high"]
    axes.text(0, y + 0.14, printable(label, 40), fontsize=10.5, color=_COLOUR["ink"])
    axes.barh(y - 0.14, value, height=0.42, color=colour)
    axes.plot([low, high], [y - 0.14] * 2, color=_COLOUR["ink"], linewidth=1.5, solid_capstyle="butt")
    for end in (low, high):
        axes.plot([end, end], [y - 0.21, y - 0.07], color=_COLOUR["ink"], linewidth=1.5)
    axes.text(
        high + 0.025,
        y - 0.14,
        percent(value),
        fontsize=12,
        fontweight="bold",
        va="center",
        color=_COLOUR["ink"],
    )
    if free:
        look = {"marker": "D", "markersize": 5, "markeredgewidth": 1.2, "zorder": 4, "clip_on": False}
        look |= {"color": _COLOUR["ink"], "markerfacecolor": _COLOUR["paper"]}
        axes.plot(free["value"], y - 0.35, **look)  # type: ignore[arg-type]


@_inline("Accuracy by task with 95 % intervals; dotted: chance; cross: commonest answer; diamond: published")
def tasks(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """A small row for each task: a dot with its interval for each model, and what to compare it with.

    Each row has `label`, `cells` (each model's ``{"value", "low", "high"}``), and the shares `chance`,
    `most_frequent` and `published`, or None.
    """
    height = 30 * len(rows) + 30
    figure, axes = _figure(height, left=112, right=10, top=4, bottom=26)
    for y, row in enumerate(rows):
        _row_label(axes, y, row["label"], "ink", x=-112)
        if row["chance"] is not None:
            axes.vlines(row["chance"], y - 0.36, y + 0.36, color=_COLOUR["ink"], linestyle=_DOTTED)
        _mark(axes, row["most_frequent"], y, "x")
        _mark(axes, row["published"], y, "D")
        apart = 0.5 / len(row["cells"])
        for i, cell in enumerate(row["cells"]):
            _dot(axes, y + apart * (i - (len(row["cells"]) - 1) / 2), cell, series_name(i, len(row["cells"])))
    _shares_axis(axes, len(rows))
    return figure


def _mark(axes: Axes, share: float | None, y: float, marker: str) -> None:
    if share is not None:
        look: dict[str, Any] = {"markersize": 5, "markeredgewidth": 1.1, "clip_on": False}
        look |= {"color": _COLOUR["ink"], "markerfacecolor": _COLOUR["paper"]}
        axes.plot(share, y, marker=marker, **look)


@_inline("Accuracy along the axis, with 95 % Wilson intervals")
def breakdown(
    series: Sequence[Mapping[str, Interval]], keys: Sequence[str], labels: Sequence[str], x: str
) -> Figure:
    """Accuracy of each series by `keys` (with `labels` along the axis named `x`), with Wilson intervals."""
    figure, axes = _figure(200, left=38, right=10, top=10, bottom=40)
    for i, by in enumerate(series):
        colour = _COLOUR[series_name(i, len(series))]
        shift = 0.16 * (i - (len(series) - 1) / 2)  # intervals at the same key stay apart
        shown = [(k + shift, by[key]) for k, key in enumerate(keys) if key in by]
        xs, values = [x for x, _ in shown], [interval["value"] for _, interval in shown]
        axes.vlines(
            xs, [v["low"] for _, v in shown], [v["high"] for _, v in shown], color=colour, linewidth=1.6
        )
        axes.plot(xs, values, color=colour, marker="o", markersize=4.5, linewidth=1, clip_on=False)
    axes.set(xlim=(-0.5, len(keys) - 0.5), xticks=range(len(keys)), xticklabels=labels)
    axes.set_xlabel(x, fontsize=10, color=_COLOUR["muted"])
    _percent_axis(axes)
    return figure


@_inline("Accuracy by what was drawn, with 95 % Wilson intervals")
def traits(sections: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> Figure:
    """A dot with its interval for each group and series, group under group.

    Each section is a title and its rows: `label`, and `cells` with the ``{"value", "low", "high"}`` of each
    series, or None.
    """
    lines = sum(1.35 + len(rows) for _, rows in sections)
    figure, axes = _figure(17 * lines + 30, left=128, right=10, top=4, bottom=26)
    y = 0.0
    for title, rows in sections:
        y += 0.35
        _row_label(axes, y, title, "ink", x=-128)
        for i, row in enumerate(rows, start=1):
            _row_label(axes, y + i, row["label"], "muted", x=-118)
            _dots(axes, y + i, row["cells"])
        y += 1 + len(rows)
    _shares_axis(axes, lines)
    return figure


def _shares_axis(axes: Axes, lines: float) -> None:
    """Shares to the right, so many lines downwards."""
    axes.set(xlim=(0, 1), ylim=(lines - 0.5, -0.5), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="\u202f%"))
    axes.grid(axis="x", color=_COLOUR["rule"], linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def _row_label(axes: Axes, y: float, text: str, colour: str, *, x: float) -> None:
    place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center"}
    axes.annotate(text, (0, y), (x, 0), fontsize=9, color=_COLOUR[colour], **place)  # type: ignore[arg-type]


def _dots(axes: Axes, y: float, cells: Sequence[Interval | None]) -> None:
    for i, cell in enumerate(cells):
        if cell:
            _dot(axes, y, cell, series_name(i, len(cells)))


def _dot(axes: Axes, y: float, accuracy: Interval, colour: str) -> None:
    axes.hlines(y, accuracy["low"], accuracy["high"], color=_COLOUR[colour], linewidth=1.6)
    axes.plot(accuracy["value"], y, color=_COLOUR[colour], marker="o", markersize=4.5, clip_on=False)


@_inline(
    "Accuracy by the answer's probability, with 95 % Wilson intervals; dotted line: where both are equal"
)
def reliability(series: Sequence[Sequence[Mapping[str, float]]]) -> Figure:
    """Reliability curves: for each bin of each series, accuracy (with its interval) over mean probability."""
    figure, axes = _figure(260, left=44, right=14, top=10, bottom=40)
    axes.plot([0, 1], [0, 1], color=_COLOUR["ink"], linestyle=_DOTTED, linewidth=1.3)
    for i, bins in enumerate(series):
        colour = _COLOUR[series_name(i, len(series))]
        xs, ys = [b["probability"] for b in bins], [b["value"] for b in bins]
        axes.vlines(xs, [b["low"] for b in bins], [b["high"] for b in bins], color=colour, linewidth=1.6)
        axes.plot(xs, ys, color=colour, marker="o", markersize=4.5, linewidth=1, clip_on=False)
    _percent_axis(axes)
    axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="\u202f%"))
    axes.set_xlabel("probability of the answer", fontsize=10, color=_COLOUR["muted"])
    axes.set_ylabel("right", fontsize=10, color=_COLOUR["muted"])
    return figure


@_inline("Training loss along training")
def loss_curve(curve: Curve) -> Figure:
    """The training loss as it was logged."""
    figure, axes = _figure(200, left=38, right=12, top=10, bottom=40)
    xs, ys = zip(*_thinned(curve.loss), strict=True)
    axes.plot(xs, ys, color=_COLOUR["s1"], linewidth=1.6)
    axes.set_ylim(0, max(1e-9, *ys) * 1.08)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    _amount_axis(axes, curve)
    return figure


@_inline("Validation accuracy along training; dotted line: chance")
def accuracy_curve(curve: Curve, chance: float | None) -> Figure:
    """Validation accuracy along training, with a dotted line for chance if it is known."""
    figure, axes = _figure(200, left=38, right=12, top=10, bottom=40)
    xs, ys = zip(*_thinned(curve.accuracy), strict=True)
    axes.plot(xs, ys, color=_COLOUR["s1"], linewidth=1.6, marker="o", markersize=4.5, clip_on=False)
    if chance is not None:
        axes.axhline(chance, color=_COLOUR["ink"], linestyle=_DOTTED, linewidth=1.3)
    _percent_axis(axes)
    _amount_axis(axes, curve)
    return figure


@_inline("Which answer was taken for which other")
def confusion_matrix(pairs: Mapping[tuple[str, str], int], truth: str) -> Figure:
    """Errors only: rows are the right answers (`truth`), columns what was answered; darker: more often."""
    pairs = _of_few_answers(pairs)
    answers = sorted({answer for pair in pairs for answer in pair}, key=_natural)
    size = len(answers)
    space = max(size, 10)  # cells, so that a few answers are no giants
    cell = (WIDTH - 60) / space
    figure, axes = _figure(WIDTH, left=40, right=20, top=20, bottom=40)
    axes.plot([0, size], [0, size], color=_COLOUR["rule"], linewidth=1)
    most = max(pairs.values())
    for (answer, reply), count in pairs.items():
        x, y, alpha = answers.index(reply), answers.index(answer), 0.25 + 0.75 * count / most
        axes.add_patch(Rectangle((x, y), 1, 1, color=_COLOUR["error"], alpha=alpha, linewidth=0))
        if cell >= 11:
            look: dict[str, Any] = {"ha": "center", "va": "center", "color": _COLOUR["ink"]}
            axes.text(x + 0.5, y + 0.5, str(count), fontsize=min(10, cell * 0.6), **look)
    names, centres = [printable(answer, 5) for answer in answers], [i + 0.5 for i in range(size)]
    axes.set(xlim=(0, space), ylim=(space, 0))
    axes.set(xticks=centres, yticks=centres, xticklabels=names, yticklabels=names)
    axes.tick_params(labelsize=max(4.5, min(10.0, cell * 0.85)))
    axes.set_xlabel("answered", color=_COLOUR["muted"])
    axes.set_ylabel(truth, color=_COLOUR["muted"])
    return figure


def _natural(answer: str) -> tuple[list[int], str, str]:
    """For sorting: numbers and pairs of numbers by their size, texts without regard to case."""
    numbers = [int(number) for number in re.findall(r"[0-9]{1,9}", answer)]
    return numbers, answer.lower(), answer


def _of_few_answers(pairs: Mapping[tuple[str, str], int]) -> Mapping[tuple[str, str], int]:
    """The first pairs of at most CONFUSED different answers: those of a dataset may be anything."""
    answers: set[str] = set()
    few = {}
    for pair, count in pairs.items():
        if len(answers | set(pair)) <= CONFUSED:
            answers |= set(pair)
            few[pair] = count
    return few


def series_name(i: int, n: int) -> str:
    """The colour variable of the i-th of n series; one series alone has the colour that "after" has."""
    return f"s{1 if n == 1 else i % SERIES}"


def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as per cent, with a narrow no-break space."""
    return f"{share * 100:.{digits}f}\u202f%"


def printable(text: str, limit: int) -> str:
    """At most `limit` characters of a text, with the unprintable ones replaced."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in text[:limit])
    return shown + "…" if len(text) > limit else shown


def _figure(height: float, *, left: float, right: float, top: float, bottom: float) -> tuple[Figure, Axes]:
    """A figure WIDTH points wide with one axes inside margins in points."""
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    axes = figure.add_axes(
        (left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height)
    )
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_COLOUR["rule"])
    axes.tick_params(color=_COLOUR["rule"], labelcolor=_COLOUR["muted"], labelsize=9.5, length=3)
    return figure, axes


def _percent_axis(axes: Axes) -> None:
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol="\u202f%"))
    axes.grid(axis="y", color=_COLOUR["rule"], linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _amount_axis(axes: Axes, curve: Curve) -> None:
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel(f"training {curve.unit}", fontsize=10, color=_COLOUR["muted"])


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    step = math.ceil(len(points) / POINTS)
    return [*points[:-1:step], points[-1]]


def _svg(figure: Figure, description: str) -> Markup:
    """The figure as an <svg> element in the page's colours, without its own style sheet and unused ids."""
    out = StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from"
        )  # the browser's fonts draw the text
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = out.getvalue()
    for pattern, replacement in _CLEANING:
        text = re.sub(pattern, replacement, text, count=0, flags=re.DOTALL)
    for name, colour in _COLOUR.items():
        text = text.replace(colour, f"var(--{name})")
    text = text.replace("<svg", f'<svg class="chart" role="img" aria-label="{escape(description)}"', 1)
    return Markup(text)  # noqa: S704 - Matplotlib has escaped the texts in it
