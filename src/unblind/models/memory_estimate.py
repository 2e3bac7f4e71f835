"""How much memory a model takes in training and evaluation, found without it.

Weights, adapter and optimizer are counted. What a step adds is measured on PyTorch's meta device: the real
model runs forward and backward on tensors without content, and every block that they would fill is added up
while it lives. Kernels' own workspaces, and what the allocator cannot reuse, are not in it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel

from unblind.models.adapters import add_adapter
from unblind.models.attention import IMPLEMENTATIONS, set_attention
from unblind.models.embedded import EMBEDDED
from unblind.models.family import with_fixed_grid
from unblind.models.half_precision import stored_dtype
from unblind.models.loading import configuration
from unblind.models.registry import family_of
from unblind.models.vision_cache import without_tower
from unblind.models.weights import on_meta, weight_bytes
from unblind.recipe import Attention, Quantization, TrainOptions, load_recipe

EVALUATIONS: dict[str, Quantization | None] = {"evaluate": None, "evaluate, nf4": "nf4"}
ROOM = 0.9  # of a device's memory: kernels and the allocator take some
QUESTION, ANSWER = 12, 2  # tokens of our question with what is around it; of a letter and its end
# Bytes of the optimizer's state for a trainable parameter; AdamW's two moments in float32 otherwise.
CPU = torch.device("cpu")
STATE = {"adamw_8bit": 2.0, "paged_adamw_8bit": 2.0, "adamw_bnb_8bit": 2.0, "adafactor": 0.1, "sgd": 0.0}


@dataclass(frozen=True)
class Memory:
    """Bytes, by what they hold.

    Attributes:
        weights: of the base, as quantized.
        adapter: what is trained, in float32.
        optimizer: gradients, and the optimizer's state.
        activations: what a step keeps for its backward pass, and its passing values, at their peak.
        logits: of which are logits and what the loss makes of them.
    """

    weights: int
    adapter: int = 0
    optimizer: int = 0
    activations: int = 0
    logits: int = 0

    @property
    def total(self) -> int:
        return sum(asdict(self).values())


def training_memory(
    config: PreTrainedConfig, options: TrainOptions, dtype: torch.dtype, device: torch.device = CPU
) -> Memory:
    """What a step of fine-tuning takes.

    Args:
        config: of the model.
        options: what is trained and how; data and folders don't matter.
        dtype: of the weights that are not quantized, and of computing.
        device: on which it is done, by which a family may choose its attention.
    """
    base = on_meta(config, dtype)
    _choose_attention(base, options.attention, device)
    weights, largest = weight_bytes(
        base, options.quantization, options.double_quantization, options.quantize_vision
    )
    with torch.device("meta"):
        model = add_adapter(
            base, options.scopes, rank=options.rank, dora=options.dora, target_modules=options.target_modules
        )
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    count = sum(parameter.numel() for parameter in trained)
    for parameter in trained:  # as autocast has them
        parameter.data = parameter.data.to(dtype)
    if options.gradient_checkpointing:
        base.activation_checkpointing_enable({"use_reentrant": False})
    model.train()

    cached = options.cache_features is not None

    def step() -> None:
        logits = _logits(base, options.batch_size, answer=ANSWER, cached_vision=cached)
        targets = torch.zeros(len(logits), dtype=torch.long, device="meta")
        nn.functional.cross_entropy(logits.float(), targets).backward()  # type: ignore[no-untyped-call]

    activations, logits = _peak(base, step)
    state = STATE.get(options.optimizer, 8.0)
    return Memory(weights, 4 * count, int((4 + state) * count), activations - logits + largest, logits)


def evaluation_memory(
    config: PreTrainedConfig,
    dtype: torch.dtype,
    device: torch.device = CPU,
    *,
    batch_size: int = 32,
    quantization: Quantization | None = None,
    attention: Attention = "auto",
) -> Memory:
    """What the prefill of a batch takes; decoding after it takes no more."""
    base = on_meta(config, dtype)
    _choose_attention(base, attention, device)
    base.train(False)
    weights, largest = weight_bytes(base, quantization, double=True, vision=False)

    @torch.inference_mode()
    def step() -> None:
        _logits(base, batch_size, answer=1).float().softmax(-1)

    activations, logits = _peak(base, step)
    return Memory(weights, 0, 0, activations - logits + largest, logits)


def largest_batch(
    config: PreTrainedConfig, options: TrainOptions, dtype: torch.dtype, device: torch.device, limit: int
) -> int | None:
    """The options' batch size, or half of it, a quarter, ..., with which a step fits into `limit` bytes.

    None: not even a single sample does.
    """
    size = options.batch_size
    while size:
        step = replace(options, batch_size=size)
        if training_memory(config, step, dtype, device).total <= ROOM * limit:
            break
        size //= 2
    return size or None


@dataclass(frozen=True)
class Job:
    """Something that can be done with a model, and the memory that it takes; evaluation has no recipe."""

    name: str
    recipe: str | None
    batch: int
    memory: Memory


def estimated_jobs(
    name: str,
    revision: str | None,
    dtype: torch.dtype,
    device: torch.device,
    *,
    attention: Attention = "auto",
    known: bool = True,
) -> Iterator[Job]:
    """The jobs for a model, the fastest recipe first, each once more with single samples if they are batches.

    Raises ModelError as `unblind.models.loading.configuration` does, which takes `known`.
    """
    config, dtype = configuration(name, revision, known=known), stored_dtype(dtype)
    for recipe in ("tiny",) if name in EMBEDDED else family_of(config).recipes:
        told = {"model": name, "data": "", "out": Path(), "attention": attention}
        options = TrainOptions(**load_recipe(recipe) | told)
        for batch in (options.batch_size, 1):
            memory = training_memory(config, replace(options, batch_size=batch), dtype, device)
            yield Job(f"train, {recipe}", recipe, batch, memory)
    for label, quantization in EVALUATIONS.items():
        memory = evaluation_memory(config, dtype, device, quantization=quantization, attention=attention)
        yield Job(label, None, 32, memory)


def fitting_job(jobs: Iterable[Job], limit: int | None) -> Job | None:
    """The first training, and so the fastest one, that fits into `limit` bytes; None: no limit, or no job."""
    fitting = (job for job in jobs if limit is None or job.memory.total < ROOM * limit)
    return next((job for job in fitting if job.recipe), None)


def _logits(base: PreTrainedModel, batch_size: int, answer: int, cached_vision: bool = False) -> Tensor:
    """Logits of the answers: (batch_size * answer, vocabulary)."""
    family = family_of(base.config)
    logits = partial(family.logits_on_meta, base, batch_size, question=QUESTION, answer=answer)
    if not cached_vision:
        return logits()
    with without_tower(base, with_fixed_grid(family, "cache_features")):
        return logits(cached_vision=True)


def _choose_attention(base: PreTrainedModel, attention: Attention, device: torch.device) -> None:
    """Have a model on the meta device compute as it does on `device`, its fused attentions counted as such.

    PyTorch's own would fall back to the plain one there.
    """
    family_of(base.config).tune(base, device)
    set_attention(base, attention)
    fused = {IMPLEMENTATIONS["sdpa"], IMPLEMENTATIONS["flex"]}
    parts = {name: getattr(base.config, name) for name in base.config.sub_configs}
    chosen = [name for name, part in parts.items() if part._attn_implementation in fused]
    base.set_attn_implementation(dict.fromkeys(chosen, FUSED))


class _Fused(torch.autograd.Function):
    """What a fused attention keeps: what it is given, its result, and a number for each query of a head."""

    @staticmethod
    def forward(context: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = torch.empty_like(query)
        sums = torch.empty(query.shape[:-1], dtype=torch.float32, device=query.device)
        context.save_for_backward(query, key, value, result, sums)
        return result

    @staticmethod
    @once_differentiable
    def backward(context: Any, _: Tensor) -> tuple[Tensor, ...]:
        query, key, value, *_rest = context.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _fused(_: nn.Module, query: Tensor, key: Tensor, value: Tensor, *__: Any, **___: Any) -> Any:
    return _Fused.apply(query, key, value).transpose(1, 2).contiguous(), None  # type: ignore[no-untyped-call]


FUSED = "unblind_estimated"
AttentionInterface.register(FUSED, _fused)
AttentionMaskInterface.register(FUSED, lambda *_, **__: None)


def _peak(base: PreTrainedModel, step: Callable[[], None]) -> tuple[int, int]:
    """The most bytes that `step` has in use at once beside the weights, and which of them are logits."""
    live = _LiveBytes(base, base.config.get_text_config().vocab_size)
    with live:
        step()
    return live.peak, live.logits_at_peak


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operations make, from their making to their end."""

    def __init__(self, model: nn.Module, vocabulary: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.vocabulary = vocabulary
        self.known: dict[int, Any] = {id(p.untyped_storage()): p for p in model.parameters()}
        self.known |= {id(b.untyped_storage()): b for b in model.buffers()}
        self.now = self.peak = self.logits = self.logits_at_peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and id(value.untyped_storage()) not in self.known:
                self._add(value)
        if self.now > self.peak:
            self.peak, self.logits_at_peak = self.now, self.logits
        return result

    def _add(self, value: Tensor) -> None:
        storage = value.untyped_storage()
        key, size = id(storage), storage.nbytes()
        logits = size if value.shape[-1:] == (self.vocabulary,) else 0

        def gone(_: object) -> None:
            self.known.pop(key, None)
            self.now -= size
            self.logits -= logits

        self.known[key] = weakref.ref(storage, gone)
        self.now += size
        self.logits += logits
