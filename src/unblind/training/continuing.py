"""What a run goes on from: the folder that it began in, for more steps perhaps; or another run's adapter."""
# ruff: noqa: ARG002  (Trainer fixes the signatures of its hooks)

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import yaml
from peft import LoraConfig, PeftModel
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unblind.errors import OutputError, RecipeError
from unblind.models.adapter_files import WEIGHTS, read_adapter
from unblind.models.adapters import scopes_of
from unblind.recipe import TrainOptions
from unblind.runtime.json_files import read_json
from unblind.runtime.outputs import read_settings

# Which settings name what a content is of: they may differ where the content is the same.
_NAMES = {"data_content": ("data", "columns"), "adapter_content": ("adapter",)}


def settings_to_claim(options: TrainOptions, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings, for `claim`, with those of the folder's where a difference does not matter.

    That is where data or adapter have another path and the same content, and where a resumed run has other
    `max_steps`. What an older version did not note of the content is compared by path.

    Args:
        options: of the run.
        settings: with `data_content`, and `adapter_content` where it starts from an adapter.

    Raises:
        OutputError: the data or the adapter is where it was, and its content is another one.
    """
    found, wanted = read_settings(options.out), dict(settings)
    if found is None:
        return wanted
    for content, names in _NAMES.items():
        if found.get(content) == wanted.get(content):
            wanted = _with(wanted, found, names)
        elif content in found and content in wanted and found.get(names[0]) == wanted.get(names[0]):
            raise OutputError(
                f"{options.out}: the run began with another content of {wanted[names[0]]}; name what it began"
                f" with (--{names[0]}), or another folder (--out)"
            )
        wanted = _with(wanted, found, (content,))
    return _with(wanted, found, ("max_steps",)) if options.resume else wanted


def _with(settings: Mapping[str, Any], found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    others = {key: value for key, value in settings.items() if key not in names}
    return others | {name: found[name] for name in names if name in found}


def finished_metrics(options: TrainOptions, samples_per_step: int) -> dict[str, Any] | None:
    """The metrics of the folder's run if it has come to its end; None if steps are left.

    Raises:
        OutputError: fewer steps are asked for than it has behind it.
    """
    path = options.out / "metrics.json"
    if not path.is_file():
        return None
    metrics = read_json(path)
    done = int(metrics["samples"]) // samples_per_step
    if options.max_steps in (None, done, _last_told(options.out)):
        return metrics
    refuse_fewer_steps(options, done)
    return None


def _last_told(out: Path) -> Any:
    """The `max_steps` of the folder's last session."""
    told = yaml.safe_load((out / "config.yaml").read_text("utf-8"))
    return told.get("max_steps")


def refuse_fewer_steps(options: TrainOptions, done: int) -> None:
    """Raise OutputError where a run has more steps behind it than are asked for."""
    if options.max_steps is not None and options.max_steps < done:
        raise OutputError(
            f"{options.out} has {done:,} steps behind it, and --max-steps is {options.max_steps:,}; name more"
            " steps, or another folder (--out)"
        )


def adapter_content(folder: Path) -> str:
    """A hash of an adapter's weights. Raises ModelError if there is none."""
    with (read_adapter(folder).folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def with_adapters_own(options: TrainOptions, model: PeftModel) -> TrainOptions:
    """The options of a run that starts from an adapter, with what the adapter decides: rank, scopes, ...

    Args:
        options: as they were told.
        model: with the adapter on it.

    Raises:
        RecipeError: something else was told than the adapter has.
    """
    config = cast(LoraConfig, model.peft_config["default"])
    own: dict[str, Any] = {
        "rank": config.r,
        "alpha": float(config.lora_alpha),
        "dropout": config.lora_dropout,
        "rslora": config.use_rslora,
        "dora": config.use_dora,
    }
    defaults = {field.name: field.default for field in fields(options)}
    for name, value in {**own, "target_modules": ()}.items():
        if getattr(options, name) not in (defaults[name], value):
            raise RecipeError(
                f"{name} is {getattr(options, name)}, and {options.adapter} has its own; leave {name} out"
            )
    scopes = scopes_of(model)
    for part, scope in scopes.items():
        if options.scopes[part] == "full" and scope != "full":
            raise RecipeError(
                f"{part} is full, and {options.adapter} has no whole weights of it; leave {part} out"
            )
    own |= {str(part): scope for part, scope in scopes.items()}
    return replace(options, **own)


class LearningRate(TrainerCallback):
    """Takes a resumed run's learning rate from its schedule, which more steps have made longer."""

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        lr_scheduler: Any = None,
        **_: Any,
    ) -> None:
        schedule = getattr(lr_scheduler, "scheduler", lr_scheduler)
        if isinstance(schedule, LambdaLR):
            rates = zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
            for group, (base, share) in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = base * share(schedule.last_epoch)
            schedule._last_lr = [group["lr"] for group in optimizer.param_groups]  # which is logged
