"""Adapters: which parts of the model are adapted, trained whole, or frozen; loading and merging."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.utils.constants import DUMMY_TARGET_MODULES
from torch import nn
from transformers import PaliGemmaForConditionalGeneration

from unblind.errors import ModelError, RecipeError
from unblind.models.adapter_files import read_adapter
from unblind.recipe import Scope

# The linear layers of each part, by the names that PaliGemmaForConditionalGeneration gives them.
LORA_TARGETS: dict[str, str] = {
    "language": r"model\.language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)",
    "projector": r"model\.multi_modal_projector\.linear",
    "vision": r"model\.vision_tower\.(vision_model\.)?encoder\.layers\.\d+"
    r"\.(self_attn\.([qkv]|out)_proj|mlp\.fc[12])",
}
# Trained whole. Of the language model everything but the embeddings: they are tied to the output head.
FULL_MODULES: dict[str, str] = {
    "language": r"model\.language_model\.(layers\.\d+|norm)",
    "projector": r"model\.multi_modal_projector",
    "vision": r"model\.vision_tower",
}


def paligemma(model: nn.Module) -> Any:
    """The PaliGemmaModel inside, which holds tower, projector and language model, however it is wrapped."""
    return next(m for m in model.modules() if "vision_tower" in dict(m.named_children()))


def adapt(
    model: PaliGemmaForConditionalGeneration | PeftModel,
    scopes: Mapping[str, Scope],
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
        scopes: "lora", "full" or "frozen" for each of "language", "projector", "vision".
        rank: of the two factors (peft's r).
        alpha: scales the update, by alpha / rank (peft's lora_alpha).
        dropout: before the factors (peft's lora_dropout).
        rslora: scale by alpha / sqrt(rank) instead (peft's use_rslora).
        dora: learn each weight's magnitude apart from its direction (peft's use_dora).
        target_modules: last parts of module names, as peft takes them, that get LoRA instead of all linear
            layers of the scopes that are "lora" (they are matched wherever they occur).

    Raises:
        RecipeError: nothing is left to train.
        ModelError: the model has no such modules, or has an adapter already.
    """
    if isinstance(model, PeftModel):
        raise ModelError("the model has an adapter already; load the base alone, or a merged checkpoint")
    if not {"lora", "full"} & set(scopes.values()):
        raise RecipeError("language, projector and vision are all frozen; set one of them to lora or full")
    lora = [LORA_TARGETS[part] for part, scope in scopes.items() if scope == "lora"]
    full = [FULL_MODULES[part] for part, scope in scopes.items() if scope == "full"]
    targets = "|".join(f"({pattern})" for pattern in lora)
    for pattern in lora + full:
        if not _matching(model, pattern):
            raise ModelError(f"the model has no modules named like {pattern}; is it a PaliGemma model?")
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # peft takes any number
        lora_dropout=dropout,
        use_rslora=rslora,
        use_dora=dora,
        target_modules=list(target_modules) or targets or DUMMY_TARGET_MODULES,
        modules_to_save=[name for pattern in full for name in _matching(model, pattern)] or None,
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


def attach(model: PaliGemmaForConditionalGeneration, folder: Path) -> PeftModel:
    """Put a saved adapter on its base.

    Args:
        model: the base; changed in place, as peft does.
        folder: that peft saved, or a run folder of `unblind train`.

    Raises:
        ModelError: no adapter, broken, or of another base.
    """
    saved = read_adapter(folder)
    base = saved.config.get("base_model_name_or_path") or "another model"
    other = (
        f"the adapter {saved.folder} does not fit this model: it was made for {base}; name its base (--model)"
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what does not fit, which is checked here
            wrapped = PeftModel.from_pretrained(model, saved.folder)
    except (RuntimeError, ValueError, TypeError, KeyError, re.error) as error:
        raise ModelError(other) from error
    if saved.names != set(get_peft_model_state_dict(wrapped, save_embedding_layers=False)):
        raise ModelError(other)
    return wrapped


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a warning of peft about transformers' names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def trainable_parameters(model: PeftModel) -> int:
    """The number of parameters that training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def merge(model: PeftModel) -> PaliGemmaForConditionalGeneration:
    """The base with the adapter added to its weights. Raises ModelError for a quantized base."""
    if getattr(model.get_base_model(), "is_quantized", False):
        raise ModelError(
            "an adapter is not merged into quantized weights; load the base without --quantization"
        )
    return model.merge_and_unload()  # type: ignore[no-any-return]


def _matching(model: PaliGemmaForConditionalGeneration, pattern: str) -> list[str]:
    return [name for name, _ in model.named_modules() if re.fullmatch(pattern, name)]
