"""Adapters: which parts of the model are adapted, trained whole, or frozen; loading and merging."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast, get_args

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.utils.constants import DUMMY_TARGET_MODULES
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from unblind.errors import ModelError, RecipeError
from unblind.models.adapter_files import WEIGHTS, AdapterFiles, read_adapter
from unblind.models.family import Family
from unblind.models.registry import family_of
from unblind.recipe import Part, Scope

_WRAPPED = "base_model.model."  # what peft puts before the names of the base


def base_of(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model without what peft wraps around it."""
    return cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)


def add_adapter(
    model: PreTrainedModel | PeftModel,
    scopes: Mapping[Part, Scope],
    *,
    rank: int = 16,
    alpha: float = 32.0,
    dropout: float = 0.0,
    rslora: bool = False,
    dora: bool = False,
    target_modules: tuple[str, ...] = (),
) -> PeftModel:
    """Wrap `model` so that what `scopes` says is trainable, in float32, and the rest is frozen.

    Args:
        model: changed in place, as peft does.
        scopes: "lora", "full" or "frozen" for each part: "language", "projector", "vision".
        rank: of the two factors (peft's r).
        alpha: scales the update, by alpha / rank (peft's lora_alpha).
        dropout: before the factors (peft's lora_dropout).
        rslora: scale by alpha / sqrt(rank) instead (peft's use_rslora).
        dora: learn each weight's magnitude apart from its direction (peft's use_dora).
        target_modules: last parts of module names, as peft takes them, that get LoRA instead of all linear
            layers of the scopes that are "lora" (they are matched wherever they occur).

    Raises:
        RecipeError: nothing is left to train, or a part has no linear layer for LoRA.
        ModelError: the model is of no known family, has no such modules, or has an adapter already.
    """
    if isinstance(model, PeftModel):
        raise ModelError("the model has an adapter already; load the base alone, or a merged checkpoint")
    if not {"lora", "full"} & set(scopes.values()):
        raise RecipeError("language, projector and vision are all frozen; set one of them to lora or full")
    family = family_of(model.config)
    lora = [part for part, scope in scopes.items() if scope == "lora"]
    full = [part for part, scope in scopes.items() if scope == "full"]
    linear = [] if target_modules else [name for part in lora for name in _linear_layers(model, family, part)]
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # peft takes any number
        lora_dropout=dropout,
        use_rslora=rslora,
        use_dora=dora,
        target_modules=list(target_modules) or _pattern(model, linear) or DUMMY_TARGET_MODULES,
        modules_to_save=[name for part in full for name in _whole_modules(model, family, part)] or None,
    )
    try:
        with _quiet():
            adapted = get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(f"LoRA cannot be put into the model ({error}); check target_modules") from error
    for parameter in adapted.parameters():
        if parameter.requires_grad:  # half-precision weights would swallow small updates
            parameter.data = parameter.data.float()
    return adapted


def _linear_layers(model: PreTrainedModel, family: Family, part: Part) -> list[str]:
    """The names of a part's linear layers. Raises RecipeError if it has none."""
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and family.part_of(name) == part
    ]
    if not names:
        raise RecipeError(
            f"the {part} of {family.name} has no linear layer for LoRA; set {part} to full or frozen"
        )
    return names


def _pattern(model: PreTrainedModel, names: list[str]) -> str:
    """An expression that matches these modules alone; a number in a name, that of a layer, may stand open."""
    others = [name for name, _ in model.named_modules() if name not in set(names)]
    by_pattern: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_pattern[re.sub(r"\d+", r"\\d+", re.escape(name))].append(re.escape(name))
    ambiguous = {pattern for pattern in by_pattern if any(re.fullmatch(pattern, other) for other in others)}
    return "|".join(
        "|".join(exact) if pattern in ambiguous else pattern for pattern, exact in by_pattern.items()
    )


def _whole_modules(model: PreTrainedModel, family: Family, part: Part) -> list[str]:
    """The names of the largest modules that make up a part, but for the embeddings, tied to the head."""
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    embeddings = {model.get_input_embeddings(), head}
    weights = (p for prefix in family.parts[part] for p in model.get_submodule(prefix).parameters())
    if not all(parameter.is_floating_point() for parameter in weights):
        raise RecipeError(f"{part} is full, and its weights are quantized; set {part} to lora or frozen")

    def whole(name: str, module: nn.Module) -> Iterator[str]:
        below = {f"{name}.{inner}" for inner, _ in module.named_modules() if inner}
        of_others = any(family.part_of(inner) != part for inner in below)
        if of_others or isinstance(module, nn.ModuleList) or embeddings & set(module.modules()):
            for child, inner in module.named_children():
                if family.part_of(f"{name}.{child}") == part and inner not in embeddings:
                    yield from whole(f"{name}.{child}", inner)
        elif any(True for _ in module.parameters()):
            yield name

    return [name for prefix in family.parts[part] for name in whole(prefix, model.get_submodule(prefix))]


def start_from(model: PreTrainedModel | PeftModel, folder: Path, scopes: Mapping[Part, Scope]) -> PeftModel:
    """Wrap `model` with a saved adapter to train on, in float32, but for the parts that are to be frozen.

    Arguments and errors as of `load_adapter` and `add_adapter`.
    """
    if isinstance(model, PeftModel):
        raise ModelError("the model has an adapter already; load the base alone, or a merged checkpoint")
    family = family_of(model.config)
    adapted = load_adapter(model, folder, trainable=True)
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            part = family.part_of(name.removeprefix(_WRAPPED))
            parameter.requires_grad = part is None or scopes[part] != "frozen"
            parameter.data = parameter.data.float()
    if not trainable_parameters(adapted):
        raise RecipeError(f"all that {folder} adapts is frozen; set language, projector or vision to lora")
    return adapted


def scopes_of(model: PeftModel) -> dict[Part, Scope]:
    """What is trained of each part of an adapted model; "lora" also where that is not all."""
    family = family_of(base_of(model).config)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    trained = {family.part_of(name.removeprefix(_WRAPPED)) for name in names}
    by_lora = {family.part_of(name.removeprefix(_WRAPPED)) for name in names if "lora_" in name}
    return {
        part: "lora" if part in by_lora else "full" if part in trained else "frozen"
        for part in get_args(Part)
    }


def load_adapter(model: PreTrainedModel, folder: Path, *, trainable: bool = False) -> PeftModel:
    """Put a saved adapter on its base.

    Args:
        model: the base; changed in place, as peft does.
        folder: that peft saved, or a run folder of `unblind train`.
        trainable: whether its weights are to be trained on.

    Raises:
        ModelError: no adapter, broken, or of another base.
    """
    saved = read_adapter(folder)
    base = saved.config.get("base_model_name_or_path") or "another model"
    kind = f"{saved.kind}, made for {base}"
    other = f"the adapter {saved.folder} does not fit this model: it is {kind}; name its base (--model)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what does not fit, which is checked here
            wrapped = PeftModel.from_pretrained(model, saved.folder, is_trainable=trainable)
    except (RuntimeError, ValueError, TypeError, KeyError, re.error) as error:
        raise ModelError(other) from error
    if left := _left_out(saved, wrapped):
        raise ModelError(
            f"{other}, or leave out what is not supported ({len(left)} weights have no place, or keep their"
            f" first values, among them {left[0]})"
        )
    return wrapped


def _left_out(saved: AdapterFiles, wrapped: PeftModel) -> list[str]:
    """The names of saved weights that are not in the model, and of the model's that are not the saved ones.

    peft renames the weights of older transformers, and only warns of those that it finds no place for.
    """
    loaded: dict[str, Tensor] = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    found = {_without_wrappers(name): value for name, value in loaded.items()}
    names = {_without_wrappers(name): name for name in saved.names}
    strange = [names.get(name, name) for name in sorted(found.keys() ^ names.keys())]
    with safe_open(saved.folder / WEIGHTS, "pt") as file:
        return strange or [
            name for key, name in names.items() if not _same(file.get_tensor(name), found[key])
        ]


def _without_wrappers(name: str) -> str:
    """A weight's name in any version of transformers: `model` and `vision_model` came, went and moved.

    Before 4.52: `language_model.model.layers`, `vision_tower.vision_model`; since: `model.language_model`.
    """
    parts = [part for part in name.split(".") if part not in ("model", "vision_model")]
    return ".".join(parts).replace("language_model.lm_head", "lm_head")


def _same(saved: Tensor, loaded: Tensor) -> bool:
    """Whether a weight has arrived, in whatever data type; what is not finite is refused elsewhere."""
    return saved.shape == loaded.shape and torch.equal(
        saved.to(loaded.device, loaded.dtype).nan_to_num(), loaded.nan_to_num()
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a warning of peft about transformers' names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def trainable_parameters(model: PeftModel) -> int:
    """The number of parameters that training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def merge(model: PeftModel) -> PreTrainedModel:
    """The base with the adapter added to its weights. Raises ModelError for a quantized base."""
    if getattr(model.get_base_model(), "is_quantized", False):
        raise ModelError(
            "an adapter is not merged into quantized weights; load the base without --quantization"
        )
    return model.merge_and_unload()  # type: ignore[no-any-return]
