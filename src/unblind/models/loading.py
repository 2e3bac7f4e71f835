"""Loading a checkpoint, tiny, local or from the hub, with its processor and an adapter."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from unblind.errors import ModelError
from unblind.models.adapter_files import CONFIG as ADAPTER_CONFIG
from unblind.models.adapters import base_of, load_adapter
from unblind.models.attention import set_attention
from unblind.models.base_digest import refuse_other_base
from unblind.models.embedded import EMBEDDED
from unblind.models.family import Family, Processor
from unblind.models.half_precision import multiply_in_float16, stored_dtype
from unblind.models.registry import family_named, family_of, own_families
from unblind.models.weights import on_meta, weight_bytes
from unblind.recipe import Attention, Quantization, TrainOptions, read_mapping
from unblind.runtime.device_memory import free_memory
from unblind.runtime.distributed import from_main_process, world_size
from unblind.runtime.hub_errors import message_of, reading_advice
from unblind.runtime.json_files import read_json
from unblind.runtime.versions import install_command

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_PRODUCTS = 50  # of each data type, to tell which is the faster: 0.2 s of two cores
HEAD = ["lm_head"]  # tied to the embeddings, and never quantized


@dataclass
class Loaded:
    """A model that is ready to use, and where it came from."""

    model: PreTrainedModel | PeftModel
    processor: Processor
    name: str
    revision: str | None
    adapter: str | None
    device: torch.device
    compute_dtype: torch.dtype | None = None  # of matrix products; None: that of the weights

    @property
    def family(self) -> Family:
        """The model's family."""
        return family_of(base_of(self.model).config)

    @property
    def called(self) -> str:
        """What an error calls it."""
        return self.name if self.adapter is None else f"{self.name} with {self.adapter}"


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
    max_pixels: int | None = None,
    attention: Attention = "auto",
) -> Loaded:
    """Load a model for evaluation, weights from safetensors only, no code from the checkpoint.

    Args:
        name: "tiny", "tiny-unmarked", a folder with a checkpoint, or an id on the Hugging Face hub.
        adapter: a folder that peft saved, or a run folder of `unblind train`.
        device: "auto", "cpu", "cuda" or "mps".
        dtype: "auto", "float32", "bfloat16" or "float16"; `auto` takes bfloat16 where the hardware has it.
            "float16" is that of matrix products alone: all else stays in float32, which Gemma needs.
        revision: of the hub repository.
        quantization: "nf4" or "int8" (by bitsandbytes), of the language model's layers.
        double_quantization: of nf4's scales as well.
        quantize_vision: also the vision tower and the projector.
        max_pixels: to which larger images are scaled down, where a family keeps their size; None: as the
            adapter's run had it, or else the checkpoint.
        attention: "auto", "eager", "sdpa" or "flex", of the language model; what cannot be had is said, and
            "auto" taken.

    Raises:
        RecipeError: max_pixels, and images are of one size.
        ModelError: of no known family, incomplete, gated, unknown, no network, no such device, an adapter
            that is none or belongs to another base, bitsandbytes missing.
    """
    target = choose_device(device)
    compute_dtype = choose_dtype(dtype, target)
    source = str(EMBEDDED.get(name, name))
    if Path(source).is_dir():
        _check_files(Path(source))
    elif name in EMBEDDED or Path(source).exists() or source.startswith((".", "/", "~")):
        raise ModelError(f"{source} is no folder with a checkpoint; name a folder or a hub id (--model)")
    config = configuration(name, revision)
    family = family_of(config)
    options: dict[str, Any] = {} if revision is None else {"revision": revision}
    if quantization is None:
        _check_memory(name, config, stored_dtype(compute_dtype), target)
    else:
        spared = HEAD if quantize_vision else [*family.parts["vision"], *family.parts["projector"], *HEAD]
        quantized = _bitsandbytes(quantization, compute_dtype, double_quantization, spared)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # of reading files; downloads keep theirs
    with _loading(name):
        processor = family.load_processor(source, **options)
        if max_pixels is None and adapter is not None:
            max_pixels = _pixels_of_run(Path(adapter))
        if max_pixels is not None:
            family.bound_pixels(processor, max_pixels)
        if quantization is not None:
            options["quantization_config"] = quantized
        model = _load_weights(source, stored_dtype(compute_dtype), target, **options)
    family.tune(model, target)
    set_attention(model, attention)
    if compute_dtype == torch.float16:
        multiply_in_float16(model, target)
    loaded = Loaded(model, processor, name, revision, None, target, compute_dtype)
    if adapter is not None:
        refuse_other_base(Path(adapter), name)
        loaded = replace(loaded, model=load_adapter(model, Path(adapter)), adapter=str(adapter))
    loaded.model.train(False)
    return loaded


def load_as_trained(options: TrainOptions, adapter: str | Path | None = None) -> Loaded:
    """Load the base of a run as the run does, and an adapter on it. Raises ModelError as `load` does."""
    return load(
        options.model,
        adapter=adapter,
        device=options.device,
        dtype=options.dtype,
        revision=options.revision,
        quantization=options.quantization,
        double_quantization=options.double_quantization,
        quantize_vision=options.quantize_vision,
        max_pixels=options.max_pixels,
        attention=options.attention,
    )


def configuration(name: str, revision: str | None = None, *, known: bool = False) -> PreTrainedConfig:
    """The shape of a model by its name, as `load` takes it.

    Args:
        name: of the model.
        revision: of the hub repository.
        known: published checkpoints need no hub, where their family knows them by name.

    Raises:
        ModelError: as `load` does.
    """
    if known:
        for family in own_families():
            if published := family.known_config(name):
                return published
    source = str(EMBEDDED.get(name, name))
    with _loading(name):
        values, _ = PreTrainedConfig.get_config_dict(source, revision=revision)
    family_named(str(values.get("model_type") or ""), name)
    with _loading(name):
        config: PreTrainedConfig = AutoConfig.from_pretrained(source, revision=revision)
    return config


def _pixels_of_run(adapter: Path) -> int | None:
    """The bound of pixels that an adapter was trained with, where `unblind train` left it."""
    configs = [folder / "config.yaml" for folder in (adapter, adapter.parent)]
    found = next((path for path in configs if path.is_file()), None)
    return None if found is None else read_mapping(found).get("max_pixels")


def _check_memory(name: str, config: PreTrainedConfig, dtype: torch.dtype, device: torch.device) -> None:
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
    available = [name for name, is_there in there.items() if is_there]
    if device == "auto":
        device = available[0]
    if device not in available:
        names = ", ".join(available)
        raise ModelError(f"this machine has no device {device}; it has {names} (--device)")
    if device == "cuda" and world_size() > 1:
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
    if device.type == "cpu" and from_main_process(_cpu_prefers_bfloat16):
        return torch.bfloat16
    return torch.float32


@lru_cache(maxsize=1)
def _cpu_prefers_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices half as fast again as float32 ones, at least.

    Its instructions alone don't tell. With AVX512_BF16, two cores of an EPYC of 2023 reached 395 GFLOP/s
    against 124, two of a Xeon with its AMX switched off 147 against 228; without it, bfloat16 is emulated.
    """
    if not {"amx_bf16", "avx512_bf16"} & {k for k, there in torch.cpu.get_capabilities().items() if there}:
        return False
    dtypes = (torch.float32, torch.bfloat16)
    factors = [(torch.ones(2048, 192, dtype=dtype), torch.ones(192, 512, dtype=dtype)) for dtype in dtypes]
    seconds = dict.fromkeys(dtypes, math.inf)
    for _ in range(_PRODUCTS):  # in turn, so that other work on the machine slows down both
        for dtype, (left, right) in zip(dtypes, factors, strict=True):
            began = time.perf_counter()
            left @ right
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - began)
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


def _load_weights(source: str, dtype: torch.dtype, device: torch.device, **options: Any) -> PreTrainedModel:
    loaded: Any = AutoModelForImageTextToText.from_pretrained(
        source,
        dtype=dtype,
        device_map={"": device},  # each tensor goes there from the mapped file, not all by way of main memory
        use_safetensors=True,
        output_loading_info=True,
        **options,
    )
    model, info = loaded
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ModelError(
            f"{source} lacks {len(missing)} weights, among them {missing[0]}; save or download it again"
        )
    _keep_gradients(model)
    return model  # type: ignore[no-any-return]


def _bitsandbytes(
    quantization: Quantization, dtype: torch.dtype, double: bool, spared: list[str]
) -> BitsAndBytesConfig:
    """The quantization config. `spared`: full names, as transformers 5.23 spares a module whose name begins,
    up to a dot, or ends with one of these.
    """
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise ModelError(f"quantization needs bitsandbytes; run: {install_command('gpu')}") from error
    if quantization == "int8":
        options: dict[str, Any] = {"load_in_8bit": True}
    elif quantization == "nf4":
        options = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": double,
            "bnb_4bit_compute_dtype": dtype,
        }
    else:
        raise ModelError(f"unknown quantization {quantization}; choose nf4 or int8 (--quantization)")
    return BitsAndBytesConfig(**options, llm_int8_skip_modules=spared)  # type: ignore[no-untyped-call]


def _keep_gradients(model: PreTrainedModel) -> None:
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
        local = Path(name).is_dir() or name in EMBEDDED
        advice = None if local else reading_advice(error, name, "model")
        step = "copy or download the folder again" if local else "check --model"
        raise ModelError(advice or f"{name} cannot be loaded ({message_of(error)[:200]}); {step}") from error
