"""Accuracy by the traits of a sample."""

from typing import Any, ClassVar

from unblind.scoring.breakdowns import Bin, binned, breakdowns
from unblind.scoring.predictions import Answered
from unblind.tasks.base import Trait
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.generic import Generic


def answered(rows: list[dict[str, Any]], right: list[bool], task: Any = TASK) -> Answered:
    base = {"answer": "l", "free": None}
    return Answered(
        task,
        [
            {"id": i, **base, "restricted": "l" if hit else "x", **row}
            for i, (row, hit) in enumerate(zip(rows, right, strict=True))
        ],
    )


def values(by: dict[str, dict[str, float]]) -> dict[str, tuple[float, float]]:
    return {name: (group["n"], group["value"]) for name, group in by.items()}


def test_groups_have_their_own_n() -> None:
    rows = [{"word": "hello", "index": 2}, {"word": "lamp", "index": 0}, {"word": "alone", "index": 1}]
    found = breakdowns(answered(rows, [True, False, True]))
    assert values(found["length"]) == {"4": (1, 0), "5": (2, 1)}
    assert values(found["repeated"]) == {"once": (2, 0.5), "repeated": (1, 1)}
    assert "padding" not in found and "overlap" not in found  # no row tells


def test_few_numbers_are_groups_and_many_are_put_into_ranges() -> None:
    assert binned([25, 200, None, "x", 25.0, True], (0, 100)) == [
        Bin(25, 25), Bin(200, 200), None, None, Bin(25, 25), None,
    ]  # fmt: skip
    assert [str(bin_) for bin_ in binned([3.2, 3.9], (0, 3, 4))] == ["3–4", "3–4"]
    many = binned([5, 25, 30, 99, 100, 101, 7000, float("nan")], (0, 25, 100))
    assert [str(bin_) for bin_ in many[:3]] == ["0–25", "25–100", "25–100"]
    assert str(many[4]) == str(many[6]) == "100 and more"
    assert many[7] is None
    below = binned([-0.5, -0.02, 0.0, 0.01, 3.0], (-0.1, -0.01, 0.01))
    assert list(map(str, below)) == ["below -0.1", "-0.1 to -0.01", "-0.01 to 0.01", *["0.01 and more"] * 2]


def test_ranges_come_in_the_order_of_their_numbers() -> None:
    rows = [{"padding": float(p)} for p in (190, 30, 60, 110, 120, 10, 260, 5)]
    assert list(breakdowns(answered(rows, [True] * 8))["padding"]) == [
        "0–25", "25–50", "50–100", "100–150", "150–200", "200 and more",
    ]  # fmt: skip


def test_the_benchmarks_columns_tell_padding_and_line_width() -> None:
    rows = [{"padding": p, "thickness": t} for p, t in ((25.0, 4.0), (50.0, 5.0), (25.0, 6.0))]
    found = breakdowns(answered(rows, [True, True, False]))
    assert values(found["padding"]) == {"25": (2, 0.5), "50": (1, 1)}
    assert list(found["line_width"]) == ["4", "5", "6"]


def test_overlap_is_a_column() -> None:
    found = breakdowns(
        answered([{"overlap": o} for o in (0.05, 0.15, 0.17, 0.7)], [True, True, False, False])
    )
    assert values(found["overlap"]) == {"0–0.1": (1, 1), "0.1–0.2": (2, 0.5), "0.5 and more": (1, 0)}


def test_a_trait_that_a_row_cannot_tell_is_not_known_of_it() -> None:
    class Sized(Generic):
        traits: ClassVar[Any] = {
            "half": Trait("half", lambda row: row["size"] / 2),
            "what": Trait("", lambda row: row["x"]),
        }

    rows = [{"size": 4}, {"size": None}, {"size": "big"}, {}, {"size": 3, "x": [1]}]
    found = breakdowns(answered(rows, [True] * 5, Sized()))
    assert values(found["half"]) == {"1.5": (1, 1), "2.0": (1, 1)} and "what" not in found


def test_numbers_stand_before_texts_in_a_trait_of_both() -> None:
    class Mixed(Generic):
        traits: ClassVar[Any] = {"size": Trait("size", lambda row: row["size"])}

    rows = [{"size": s} for s in ("big", 10, 9)]
    assert list(breakdowns(answered(rows, [True] * 3, Mixed()))["size"]) == ["9", "10", "big"]
