"""Mappings as options: names and types."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from unblind.errors import RecipeError, SceneError
from unblind.options import build, checked, fitted, options_of, pairs, refuse_unknown, values_of


@dataclass(frozen=True)
class Inner:
    size: int = 3
    span: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Outer:
    name: str = "x"
    inner: Inner = field(default_factory=Inner)
    ratio: float = 0.5
    fast: bool = False
    mode: Literal["a", "b"] | None = None
    paths: tuple[str, ...] = ()


def test_nested_options_stand_among_the_others() -> None:
    assert list(options_of(Outer)) == ["name", "size", "span", "ratio", "fast", "mode", "paths"]
    built = build(Outer, {"size": 4, "span": [1, 2], "mode": "b"}, "here")
    assert built == Outer(inner=Inner(4, (1.0, 2.0)), mode="b")
    assert build(Outer, values_of(built), "here") == built


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ("7", int, 7),
        ("1e-3", float, 1e-3),
        (2, float, 2.0),
        ("yes", bool, True),
        ("False", bool, False),
        ("7", str, "7"),
        (None, int | None, None),
        ("x", str | None, "x"),
        ("one", tuple[str, ...], ("one",)),
        (["1", 2], tuple[int, ...], (1, 2)),
        ([[1, 2], [3, 4]], tuple[tuple[int, int], ...], ((1, 2), (3, 4))),
        ("a/b", Path, Path("a/b")),
        ({"size": 5}, Inner, Inner(5)),
    ],
)
def test_what_fits(value: Any, hint: Any, expected: Any) -> None:
    found = fitted(value, hint)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("x", int),
        (1.5, int),
        (True, int),
        (True, float),
        (1, bool),
        ("maybe", bool),
        (7, str),
        (None, int),
        (["1"], tuple[float, float]),
        (5, tuple[str, ...]),
        ([1], tuple[str, ...]),
        ("c", Literal["a", "b"]),
        ({"wide": 5}, Inner),
        ([], Inner),
    ],
)
def test_what_does_not(value: Any, hint: Any) -> None:
    with pytest.raises(ValueError):
        fitted(value, hint)


def test_a_wrong_name_or_value_is_explained() -> None:
    with pytest.raises(RecipeError, match="here: unknown key `siz`; did you mean `size`"):
        checked(Outer, {"siz": 1}, "here")
    with pytest.raises(RecipeError, match="here: `span` must be 2 numbers, not '1'"):
        checked(Outer, {"span": "1"}, "here")
    with pytest.raises(RecipeError, match="here: `mode` must be a or b or null, not 'c'"):
        checked(Outer, {"mode": "c"}, "here")


def test_texts_of_names_and_values() -> None:
    assert pairs(["line-width=3 7", "name = a=b"], "here") == {"line_width": ["3", "7"], "name": "a=b"}
    with pytest.raises(RecipeError, match="here: 'name' is no option; write NAME=VALUE"):
        pairs(["name"], "here")


def test_python_is_refused_what_is_no_choice() -> None:
    refuse_unknown(Outer(mode="a"))
    refuse_unknown(Outer())
    with pytest.raises(SceneError, match="--mode c: need one of a, b"):
        refuse_unknown(Outer(mode="c"), SceneError)  # type: ignore[arg-type]
