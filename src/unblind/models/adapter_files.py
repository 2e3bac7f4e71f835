"""The files of a saved adapter, read without its base; from a stranger they may be anything. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from unblind.errors import ModelError
from unblind.runtime.json_files import read_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_METHODS = {"LOHA": "LoHa", "LOKR": "LoKr", "ADALORA": "AdaLoRA", "VERA": "VeRA", "IA3": "IA3"}
# Repetition of a repetition, like (a+)+: an expression that may take forever to match.
_NESTED = re.compile(r"[+*}][^()]*\)+[+*{]")


@dataclass(frozen=True)
class AdapterFiles:
    """A saved LoRA adapter: where it lies, what its config says, and the names of its weights."""

    folder: Path
    config: Mapping[str, Any]
    names: frozenset[str]

    @property
    def kind(self) -> str:
        """What it is: `LoRA with DoRA, modules to save (lm_head)`."""
        modules = self.config.get("modules_to_save")
        modules = modules if isinstance(modules, list) else []
        more = {
            "DoRA": self.config.get("use_dora"),
            "rsLoRA": self.config.get("use_rslora"),
            f"bias ({self.config.get('bias')})": self.config.get("bias") not in (None, "none"),
            f"modules to save ({', '.join(map(str, modules))})": modules,
        }
        named = ", ".join(name for name, there in more.items() if there)
        return f"LoRA with {named}" if named else "LoRA"


def adapter_folder(folder: Path) -> Path | None:
    """Where the adapter of a run folder, or of a folder that peft saved, lies; None if there is none."""
    folders = (folder / "adapter", folder)
    return next((candidate for candidate in folders if (candidate / CONFIG).is_file()), None)


def read_adapter(folder: Path) -> AdapterFiles:
    """Read what can be known of an adapter before it is put on a model.

    Args:
        folder: that peft saved, or a run folder of `unblind train`.

    Raises:
        ModelError: no adapter, incomplete, broken, or a config that does not belong to its weights.
    """
    folder = adapter_folder(folder) or folder
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder} is no adapter: {', '.join(missing)} missing; train to the end, or name a folder that"
            " peft saved"
        )
    config = read_json(folder / CONFIG)
    method = config.get("peft_type")
    if isinstance(method, str) and method != "LORA":
        raise ModelError(
            f"{folder} is an adapter of the kind {_METHODS.get(method, method)[:40]}; LoRA is supported, also"
            " with DoRA, rsLoRA and modules to save: train one, or convert it"
        )
    try:
        with safe_open(folder / WEIGHTS, "np") as file:
            names = frozenset(file.keys())
            largest = max((max(file.get_slice(name).get_shape(), default=0) for name in names), default=0)
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS} is broken ({error}); copy the adapter again") from error
    if not _plausible(config, largest):
        raise ModelError(
            f"{folder / CONFIG} does not belong to the weights beside it; copy the adapter again"
        )
    return AdapterFiles(folder, config, names)


def _plausible(config: Mapping[str, Any], largest: int) -> bool:
    """Whether an adapter's ranks are no larger than its largest weight, and its patterns are harmless.

    peft makes room for the ranks, and matches the patterns, before it looks at the weights.
    """
    patterns = {name: config.get(name) or {} for name in ("rank_pattern", "alpha_pattern")}
    if config.get("peft_type") != "LORA" or not all(isinstance(p, dict) for p in patterns.values()):
        return False
    ranks = [config.get("r"), *patterns["rank_pattern"].values()]
    texts = [config.get("target_modules"), config.get("exclude_modules"), config.get("layers_pattern")]
    texts += [text for pattern in patterns.values() for text in pattern]
    return all(isinstance(rank, int) and 0 < rank <= largest for rank in ranks) and not any(
        isinstance(text, str) and _NESTED.search(text) for text in texts
    )
