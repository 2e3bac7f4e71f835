"""Loading a PaliGemma checkpoint, tiny, local or from the hub, with its processor and an adapter."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from peft import PeftModel
from safetensors import SafetensorError
from transformers import (
    BitsAndBytesConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
)
from transformers.utils import logging

from unblind.errors import ModelError
from unblind.models.adapter_files import CONFIG as ADAPTER_CONFIG
from unblind.models.adapters import attach
from unblind.models.embedded import EMBEDDED
from unblind.models.weights import on_meta, weight_bytes
from unblind.recipe import Quantization
from unblind.runtime.distributed import shared, world
from unblind.runtime.json_files import read_json
from unblind.runtime.memory import free_memory
from unblind.runtime.versions import install_command

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Full names: transformers 5.23 spares a module whose name begins, up to a dot, or ends with one of these.
HEAD = ["lm_head"]  # tied to the embeddings, and never quantized
VISION = ["model.vision_tower", "model.multi_modal_projector"]

# Up to so many patches, the tower's plain attention is faster on a CPU than torch's fused one: the cure of
# the tiny model ran at 29 samples/s instead of 25 (two cores of an EPYC, bfloat16).
_FEW_PATCHES = 256


@dataclass
class Loaded:
    """A model that is ready to use, and where it came from."""

    model: PaliGemmaForConditionalGeneration | PeftModel
    processor: PaliGemmaProcessor
    name: str
    revision: str | None
    adapter: str | None
    device: torch.device


def load(
    name: str = "tiny",
    *,
    adapter: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    quantization: Quantization | None = None,
    double_quantization: bool = True,
    quantize_vision: bool = False,
) -> Loaded:
    """Load a model for evaluation, weights from safetensors only, no code from the checkpoint.

    Args:
        name: "tiny", "tiny-unmarked", a folder with a checkpoint, or an id on the Hugging Face hub.
        adapter: a folder that peft saved, or a run folder of `unblind train`.
        device: "auto", "cpu", "cuda" or "mps".
        dtype: "auto", "float32", "bfloat16" or "float16"; `auto` takes bfloat16 where the hardware has it.
        revision: of the hub repository.
        quantization: "nf4" or "int8" (by bitsandbytes), of the language model's layers.
        double_quantization: of nf4's scales as well.
        quantize_vision: also the vision tower and the projector.

    Raises:
        ModelError: not a PaliGemma checkpoint, incomplete, gated, unknown, no network, no such device, an
            adapter that is none or belongs to another base, bitsandbytes missing.
    """
    place = choose_device(device)
    kind = choose_dtype(dtype, place)
    source = str(EMBEDDED.get(name, name))
    if Path(source).is_dir():
        _check_files(Path(source))
    elif name in EMBEDDED or Path(source).exists() or source.startswith((".", "/", "~")):
        raise ModelError(f"{source} is no folder with a checkpoint; name a folder or a hub id (--model)")
    config = configuration(name, revision)
    if quantization is None:
        _check_memory(name, config, kind, place)
    where: dict[str, Any] = {} if revision is None else {"revision": revision}
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # of reading files; downloads keep theirs
    how: dict[str, Any] = {}
    if quantization is not None:
        how["quantization_config"] = _bitsandbytes(quantization, kind, double_quantization, quantize_vision)
        how["device_map"] = {"": place}
    with _loading(name):
        processor = PaliGemmaProcessor.from_pretrained(source, backend="pil", **where)
        model = _load_weights(source, kind, place, **where, **how)
    wrapped = model if adapter is None else attach(model, Path(adapter))
    return Loaded(wrapped.eval(), processor, name, revision, None if adapter is None else str(adapter), place)


def configuration(name: str, revision: str | None = None) -> PaliGemmaConfig:
    """The shape of a model by its name, as `load` takes it. Raises ModelError as `load` does."""
    source = str(EMBEDDED.get(name, name))
    with _loading(name):
        found, _ = PaliGemmaConfig.get_config_dict(source, revision=revision)
    kind = found.get("model_type") or "of no known type"
    if kind != "paligemma":
        raise ModelError(f"{name} is no PaliGemma checkpoint but {kind}; name a PaliGemma model (--model)")
    with _loading(name):
        return PaliGemmaConfig.from_dict(found)


def _check_memory(name: str, config: PaliGemmaConfig, dtype: torch.dtype, device: torch.device) -> None:
    free = free_memory(device)
    needed, _ = weight_bytes(on_meta(config, dtype), None, double=False, vision=False)
    if free is not None and needed > free:
        raise ModelError(
            f"{name} takes {needed / 2**30:.1f} GiB as {str(dtype).removeprefix('torch.')}, and {device} has"
            f" {free / 2**30:.1f} GiB free; quantize it (--quantization nf4), or see `unblind doctor --model`"
        )


def choose_device(device: str = "auto") -> torch.device:
    """The device of a name; `auto` is cuda, else mps, else cpu. Raises ModelError if it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name, found in there.items() if found)
    if not there.get(device, False):
        names = ", ".join(name for name, found in there.items() if found)
        raise ModelError(f"this machine has no device {device}; it has {names} (--device)")
    if device == "cuda" and world() > 1:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        return torch.device(device, torch.cuda.current_device())
    return torch.device(device)


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The data type of a name; `auto` is the fastest that the device has in hardware. Raises ModelError."""
    if dtype in DTYPES:
        return DTYPES[dtype]
    if dtype != "auto":
        raise ModelError(f"unknown dtype {dtype}; choose auto, {', '.join(DTYPES)} (--dtype)")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and shared(_cpu_prefers_bfloat16):
        return torch.bfloat16
    return torch.float32  # float16 overflows in Gemma's activations too easily to be the default on mps


@lru_cache(maxsize=1)
def _cpu_prefers_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices half as fast again as float32 ones, at least.

    Its instructions alone don't tell. With AVX512_BF16, two cores of an EPYC of 2023 reached 395 GFLOP/s
    against 124, two of a Xeon with its AMX switched off 147 against 228; without it, bfloat16 is emulated.
    """
    if not {"amx_bf16", "avx512_bf16"} & {k for k, there in torch.cpu.get_capabilities().items() if there}:
        return False
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = torch.ones(2048, 192, dtype=dtype), torch.ones(192, 512, dtype=dtype)
        times = []
        for _ in range(10):
            began = time.perf_counter()
            left @ right
            times.append(time.perf_counter() - began)
        seconds[dtype] = min(times)
    return seconds[torch.float32] > 1.5 * seconds[torch.bfloat16]


def _check_files(folder: Path) -> None:
    """Name what a checkpoint folder lacks, before something deep inside a library stumbles over it."""
    names = {path.name for path in folder.iterdir()}
    index = folder / "model.safetensors.index.json"
    wanted = [{"config.json"}, {"model.safetensors", index.name}, {"tokenizer.json", "tokenizer.model"},
              {"processor_config.json", "preprocessor_config.json"}]  # fmt: skip
    missing = [" or ".join(sorted(either)) for either in wanted if not either & names]
    if index.name in names:
        missing += sorted(set(read_json(index).get("weight_map", {}).values()) - names)
    if missing:
        hint = "; it holds an adapter: name its base here and the folder with --adapter"
        there = ", ".join(sorted(names)[:6]) or "nothing"
        raise ModelError(
            f"{folder} is no complete checkpoint: {', '.join(missing)} missing (it holds {there})"
            + (
                hint
                if ADAPTER_CONFIG in names
                else "; save it with save_pretrained, or name another (--model)"
            )
        )


def _load_weights(
    source: str, dtype: torch.dtype, device: torch.device, **options: Any
) -> PaliGemmaForConditionalGeneration:
    found: Any = PaliGemmaForConditionalGeneration.from_pretrained(
        source, dtype=dtype, use_safetensors=True, output_loading_info=True, **options
    )
    model, info = found
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ModelError(
            f"{source} lacks {len(missing)} weights, among them {missing[0]}; save or download it again"
        )
    if "quantization_config" not in options:
        model.to(device)
    tower = model.config.vision_config
    if device.type == "cpu" and (tower.image_size // tower.patch_size) ** 2 <= _FEW_PATCHES:
        model.set_attn_implementation({"vision_config": "eager"})
    _keep_gradients(model)
    return model  # type: ignore[no-any-return]


def _bitsandbytes(kind: Quantization, dtype: torch.dtype, double: bool, vision: bool) -> BitsAndBytesConfig:
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise ModelError(f"quantization needs bitsandbytes; run: {install_command('gpu')}") from error
    if kind == "int8":
        options: dict[str, Any] = {"load_in_8bit": True}
    elif kind == "nf4":
        options = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": double,
            "bnb_4bit_compute_dtype": dtype,
        }
    else:
        raise ModelError(f"unknown quantization {kind}; choose nf4 or int8 (--quantization)")
    spared = HEAD if vision else VISION + HEAD
    return BitsAndBytesConfig(**options, llm_int8_skip_modules=spared)  # type: ignore[no-untyped-call]


def _keep_gradients(model: PaliGemmaForConditionalGeneration) -> None:
    """On CPUs with AVX512_BF16 bitsandbytes repacks 4-bit weights in evaluation; gradients are lost then."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Turn what goes wrong in loading `name` into a line that says what to do."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        causes = list(_causes(error))
        raise ModelError(_advice(name, causes)) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _advice(name: str, causes: list[BaseException]) -> str:
    def among(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if among(GatedRepoError):
        return (
            f"{name} is gated: accept its licence at https://huggingface.co/{name},"
            " then run `hf auth login` with a token of that account"
        )
    if among(RevisionNotFoundError):
        return f"{name} has no such revision; name another (--revision)"
    if among(RepositoryNotFoundError):
        return f"{name} is neither a folder here nor a model on the hub (or it is private); check --model"
    if any(isinstance(cause, HfHubHTTPError) and cause.response.status_code == 401 for cause in causes):
        return f"the hub refuses your token for {name}; log in with a valid one: `hf auth login`"
    reason = " ".join(str(causes[0]).split())
    if Path(name).is_dir() or name in EMBEDDED:
        return f"{name} cannot be loaded ({reason[:200]}); copy or download the folder again"
    if "couldn't connect" in reason.lower() or among(LocalEntryNotFoundError, ConnectionError):
        return f"{name} is no folder, and the hub cannot be reached; check the network or --model"
    return f"{name} cannot be loaded ({reason[:200]}); check --model"
