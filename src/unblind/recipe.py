"""What a training run can be told: one flat dataclass that recipes, flags and Python share. No torch."""

from __future__ import annotations

import difflib
import types
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from unblind.errors import RecipeError

Scope = Literal["lora", "full", "frozen"]
Quantization = Literal["nf4", "int8"]


@dataclass(frozen=True)
class TrainOptions:
    """Options of a run.

    A step sees `batch_size * accumulation` samples. `language`, `projector` and `vision` say what becomes of
    each part of the model. `prompt` replaces the dataset's own (a name in `prompts.PROMPTS` or a text).
    `epochs` counts unless `max_steps` is given. Every `eval_every` steps (0: never) the accuracy on at most
    `eval_samples` validation samples is measured; `early_stopping` is the number of measurements without
    improvement after which training ends (0: never). `optimizer`, `scheduler` and `report_to` take the names
    that transformers.Trainer knows.
    """

    data: str
    out: Path
    model: str = "tiny"
    revision: str | None = None
    prompt: str | None = None
    # what is trained
    language: Scope = "lora"
    projector: Scope = "lora"
    vision: Scope = "lora"
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    rslora: bool = False
    dora: bool = False
    target_modules: tuple[str, ...] = ()
    quantization: Quantization | None = None
    # how
    epochs: float = 1.0
    max_steps: int | None = None
    batch_size: int = 8
    accumulation: int = 4
    learning_rate: float = 2e-4
    scheduler: str = "linear"
    warmup_steps: int = 10
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    optimizer: str = "adamw_torch"
    gradient_checkpointing: bool = False
    seed: int = 0
    # how it is watched
    log_every: int = 10
    eval_every: int = 50
    eval_samples: int = 256
    early_stopping: int = 0
    report_to: tuple[str, ...] = ()
    # where
    device: str = "auto"
    dtype: str = "auto"
    workers: int = 0
    resume: bool = False

    def __post_init__(self) -> None:
        """Raise RecipeError for a number out of its range."""
        positive = (
            "rank alpha epochs batch_size accumulation learning_rate max_grad_norm log_every eval_samples"
        )
        for name in positive.split():
            _refuse(name, getattr(self, name), not getattr(self, name) > 0, "must be above 0")
        for name in ("warmup_steps", "weight_decay", "eval_every", "early_stopping", "workers", "seed"):
            _refuse(name, getattr(self, name), not getattr(self, name) >= 0, "must not be negative")
        _refuse("dropout", self.dropout, not 0 <= self.dropout < 1, "must be at least 0 and below 1")
        _refuse(
            "max_steps", self.max_steps, self.max_steps is not None and self.max_steps < 1, "must be above 0"
        )
        if {self.language, self.projector, self.vision} == {"frozen"}:
            raise RecipeError(
                "language, projector and vision are all frozen; set one of them to lora or full"
            )


def _refuse(name: str, value: object, wrong: bool, rule: str) -> None:
    if wrong:
        raise RecipeError(f"{name} is {value}; it {rule}")


def load_recipe(path: str | Path) -> dict[str, Any]:
    """Read a recipe, a YAML mapping of `TrainOptions` fields; only what the file names is in the result.

    Raises:
        RecipeError: no such file, no mapping, an unknown key (the nearest right one is named), a wrong type.
    """
    path = Path(path)
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise RecipeError(f"{path} cannot be read ({reason}); name a recipe file (--recipe)") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise RecipeError(f"{path}{where}: {problem}; a recipe is lines of `key: value`") from error
    if not isinstance(found, dict):
        raise RecipeError(f"{path} is no recipe; it must be lines of `key: value`")
    hints = get_type_hints(TrainOptions)
    return {key: _checked(path, key, value, hints) for key, value in found.items()}


def _checked(path: Path, key: object, value: Any, hints: dict[str, Any]) -> Any:
    names = [field.name for field in fields(TrainOptions)]
    if key not in names:
        near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.4)
        hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(names)}"
        raise RecipeError(f"{path}: unknown key `{key}`; {hint}")
    try:
        return _fitted(value, hints[str(key)])
    except ValueError:
        wanted = _describe(hints[str(key)])
        raise RecipeError(f"{path}: `{key}` must be {wanted}, not {value!r}; correct the recipe") from None


def _fitted(value: Any, hint: Any) -> Any:
    """`value` as the type `hint`, or ValueError. Nothing is guessed but what YAML itself leaves open."""
    if get_origin(hint) in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        (hint,) = (kind for kind in get_args(hint) if kind is not type(None))
    if get_origin(hint) is Literal:
        accepted = value in get_args(hint)
    elif get_origin(hint) is tuple:
        value = tuple([value] if isinstance(value, str) else value if isinstance(value, list) else [None])
        accepted = all(isinstance(item, str) for item in value)
    elif hint is float:  # YAML 1.1 takes 1e-3 (without a dot) for a text
        value = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
        accepted = value is not None
    elif hint is Path:
        accepted = isinstance(value, str)
        value = Path(value) if accepted else value
    else:
        accepted = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    if not accepted:
        raise ValueError(value)
    return value


def _describe(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_describe(kind) for kind in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    if get_origin(hint) is tuple:
        return "a list of texts"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(hint, "a path" if hint is Path else "null")
