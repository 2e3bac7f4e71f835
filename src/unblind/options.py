"""From a mapping (YAML, JSON, `name=value` texts) to a dataclass: names and types are checked here alone."""

from __future__ import annotations

import difflib
import reprlib
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from unblind.errors import RecipeError, UnblindError

T = TypeVar("T")

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}  # as in YAML


def options_of(cls: Any) -> dict[str, Any]:
    """The types of a dataclass's options, by name; those of a nested dataclass stand among the others."""
    hints = get_type_hints(cls)
    options: dict[str, Any] = {}
    for field in fields(cls):
        hint = hints[field.name]
        options |= options_of(hint) if is_dataclass(hint) else {field.name: hint}
    return options


def values_of(options: Any) -> dict[str, Any]:
    """The values of `options_of`, by name."""
    values: dict[str, Any] = {}
    for field in fields(options):
        value = getattr(options, field.name)
        values |= values_of(value) if is_dataclass(value) else {field.name: value}
    return values


def build(cls: type[T], values: Mapping[str, Any], source: object) -> T:
    """An instance of a dataclass; `values` has some of `options_of(cls)`, `source` is what an error names.

    Raises:
        RecipeError: an unknown name (the nearest right one is named), or a value of another type.
    """
    return _instance(cls, checked(cls, values, source))


def _instance(cls: type[T], values: Mapping[str, Any]) -> T:
    hints = get_type_hints(cls)
    arguments = {}
    for field in fields(cls):  # type: ignore[arg-type]
        hint = hints[field.name]
        if is_dataclass(hint):
            arguments[field.name] = _instance(hint, values)  # type: ignore[arg-type]
        elif field.name in values:
            arguments[field.name] = values[field.name]
    return cls(**arguments)


def checked(cls: type, values: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Values for some of a dataclass's options, in their types. Raises RecipeError as `build` does."""
    hints = options_of(cls)
    return {str(name): _checked(str(name), value, hints, source) for name, value in values.items()}


def _checked(name: str, value: Any, hints: Mapping[str, Any], source: object) -> Any:
    if name not in hints:
        raise RecipeError(f"{source}: unknown key `{name}`; {nearest(name, hints)}")
    try:
        return fitted(value, hints[name])
    except (ValueError, OverflowError):
        wanted = described(hints[name])
        raise RecipeError(
            f"{source}: `{name}` must be {wanted}, not {reprlib.repr(value)}; correct it"
        ) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown name."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known) or 'none'}"


def pairs(texts: Iterable[str], source: object) -> dict[str, Any]:
    """`name=value` texts as a mapping; a value with spaces is a list.

    Raises:
        RecipeError: a text without `=`.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise RecipeError(f"{source}: {text!r} is no option; write NAME=VALUE")
        value = value.strip()
        values[name.strip().replace("-", "_")] = value.split() if " " in value else value
    return values


def fitted(value: Any, hint: Any) -> Any:
    """`value` as the type `hint`. Texts are read as what they are to be; nothing else is guessed.

    Raises:
        ValueError: it is of another type.
    """
    if get_origin(hint) in (Union, types.UnionType):
        return _optional(value, get_args(hint))
    if get_origin(hint) is Literal:
        return _accepted(value, value in get_args(hint))
    if get_origin(hint) is tuple:
        return _items(value, get_args(hint))
    if is_dataclass(hint):
        return _nested(value, hint)  # type: ignore[arg-type]
    if hint is Path:
        return Path(_accepted(value, isinstance(value, str | Path)))
    if hint in (int, float, bool) and isinstance(value, str):
        value = _TRUTH.get(value.lower(), value) if hint is bool else hint(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    return _accepted(value, isinstance(value, hint) and (hint is bool or not isinstance(value, bool)))


def _accepted(value: Any, accepted: bool) -> Any:
    if not accepted:
        raise ValueError(value)
    return value


def _optional(value: Any, hints: tuple[Any, ...]) -> Any:
    if value is None and type(None) in hints:
        return None
    (hint,) = (one for one in hints if one is not type(None))
    return fitted(value, hint)


def _items(value: Any, hints: tuple[Any, ...]) -> tuple[Any, ...]:
    items = [value] if isinstance(value, str) else value
    many = hints[-1] is Ellipsis
    _accepted(value, isinstance(items, list | tuple) and (many or len(items) == len(hints)))
    of_each = [hints[0]] * len(items) if many else hints
    return tuple(fitted(item, hint) for item, hint in zip(items, of_each, strict=True))


def _nested(value: Any, cls: type[T]) -> T:
    hints = get_type_hints(cls)
    _accepted(value, isinstance(value, Mapping) and value.keys() <= hints.keys())
    try:
        return cls(**{name: fitted(item, hints[name]) for name, item in value.items()})
    except TypeError as error:  # a field is missing
        raise ValueError(str(error)) from None


def described(hint: Any) -> str:
    """A type, as a message names it."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(described(one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    if get_origin(hint) is tuple:
        items = {str: "texts", int: "whole numbers", float: "numbers"}.get(get_args(hint)[0], "values")
        return f"a list of {items}" if get_args(hint)[-1] is Ellipsis else f"{len(get_args(hint))} {items}"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}
    return names.get(hint, "null" if hint is type(None) else "a mapping")


def flag(name: str) -> str:
    """How an option is written on the command line: `--line-width`."""
    return f"--{name.replace('_', '-')}"


def refuse_unknown(options: Any, error: type[UnblindError] = RecipeError) -> None:
    """Raise `error` for a value that is none of its option's choices: Python itself does not look."""
    for name, hint in get_type_hints(type(options)).items():
        choices = [
            one for part in (hint, *get_args(hint)) if get_origin(part) is Literal for one in get_args(part)
        ]
        value = getattr(options, name)
        if choices and value not in choices and value is not None:
            raise error(f"{flag(name)} {value}: need one of {', '.join(map(str, choices))}")
