"""The task: how many circles are there?"""

from __future__ import annotations

from unblind.tasks.base import Wording
from unblind.tasks.olympic.scene import Rows, ring
from unblind.tasks.olympic.task import Olympic, prompts


def layout(fraction: float) -> tuple[float, float, dict[int, tuple[Rows, Rows]]]:
    """Where the benchmark places circles: radius, distance of the rows, and two ways for each count."""
    radius = 0.5 / fraction
    gap = 0.1 * radius
    m, h = 2 * radius + gap, radius + gap / 2
    o = radius + gap + m
    four = (-h, h, -h - m, h + m)
    return (
        radius,
        radius,
        {
            5: (((0, -m, m), (-h, h)), ((-h, h), (0, -m, m))),
            6: (((0, -m, m), (-h, h, -o)), ((0, -m, m), (-h, h, o))),
            7: ((four, (0, m, -m)), ((0, -m, m), four)),
            8: ((four, (0, m, -m, 2 * m)), (four, (0, m, -m, -2 * m))),
            9: (((0, -m, m, -2 * m, 2 * m), (-h, h, -o, o)), (four, (0, m, -m, -2 * m, 2 * m))),
        },
    )


class OlympicCircles(Olympic):
    """Rings."""

    name = "olympic-circles"
    title = "How many rings are there?"
    benchmark = ("Olympic Counting - Circles",)
    pictures = "Rings that overlap"
    wording = Wording(success="counted the circles", truth="drawn")
    prompts = prompts("circles")
    outline = ring
    layout = layout
    size = 2.0


TASK = OlympicCircles()
