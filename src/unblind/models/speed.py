"""How long work takes on a device, estimated from the operations in it and the device's own rate."""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedConfig

from unblind.models.memory_estimate import evaluation_memory, training_memory
from unblind.recipe import TrainOptions

# Of a device's rate on large matrices, what a step is taken to reach. Tiny's cure reaches 31 % of a CPU's,
# plain Trainer's 42 %; of the real model on a GPU nothing has been measured.
SHARE = 0.25
# The same for training without blank paper, with operations counted as if the images were whole. Tiny reaches
# 75 % on circled letters (54 samples/s) and 54 % on all tasks (38), on a CPU that multiplies at 0.32 TFLOP/s.
SHARE_WITHOUT_BLANK = 0.6


def expected_share(options: TrainOptions) -> float:
    """The share of a device's rate that a run is taken to reach, in (0, 1]."""
    return SHARE_WITHOUT_BLANK if options.drop_blank else SHARE


def training_operations(config: PreTrainedConfig, options: TrainOptions) -> float:
    """Floating-point operations a training sample, forward and backward; what checkpointing repeats is not
    counted.
    """
    with FlopCounterMode(display=False) as counter:
        training_memory(config, replace(options, batch_size=1, gradient_checkpointing=False), torch.bfloat16)
    return float(counter.get_total_flops())


def evaluation_operations(config: PreTrainedConfig) -> float:
    """Floating-point operations of the forward pass of one image and its question."""
    with FlopCounterMode(display=False) as counter:
        evaluation_memory(config, torch.bfloat16, batch_size=1)
    return float(counter.get_total_flops())


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Operations a second of a product of two square matrices of this size, the best of ten."""
    left = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(10):
        began = time.perf_counter()
        left @ left
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best
