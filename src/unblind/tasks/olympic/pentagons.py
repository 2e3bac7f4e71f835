"""The task: how many pentagons are there?"""

from __future__ import annotations

import math

from unblind.tasks.base import Wording
from unblind.tasks.olympic.scene import Rows, pentagon
from unblind.tasks.olympic.task import Olympic, prompts


def layout(fraction: float) -> tuple[float, float, dict[int, tuple[Rows, Rows]]]:
    """Where the benchmark places pentagons: radius, distance of the rows, and two ways for each count."""
    side = 0.5 / fraction
    radius = side / SIDE
    m = 2 * radius * math.cos(math.pi / 10) + 0.1 * side
    h, o = m / 2, 1.5 * m
    three, four, five = (0, -m, m), (-h, h, -h - m, h + m), (0, -m, m, -2 * m, 2 * m)
    return (
        radius,
        radius * (math.cos(math.pi / 5) + math.sin(math.pi / 10)),
        {
            5: ((three, (-h, h)), ((-h, h), three)),
            6: ((three, (-h, h, -o)), (three, (-h, h, o))),
            7: ((four, three), (three, four)),
            8: ((four, five[:4]), (four, five[:4])),
            9: ((five, (-h, h, -o, o)), (four, five)),
        },
    )


SIDE = 2 * math.sin(math.pi / 5)  # of a pentagon, over its radius


class OlympicPentagons(Olympic):
    """Regular pentagons."""

    name = "olympic-pentagons"
    title = "How many pentagons are there?"
    benchmark = ("Olympic Counting - Pentagons",)
    pictures = "Pentagons that overlap"
    wording = Wording(success="counted the pentagons", truth="drawn")
    prompts = prompts("pentagons")
    outline = pentagon
    layout = layout
    size = SIDE


TASK = OlympicPentagons()
