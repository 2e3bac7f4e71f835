"""Memory: what is free, what to do when there is too little, and how the C library handles it on a CPU."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unblind.errors import ModelError

if TYPE_CHECKING:
    import torch


def keep_freed_memory(device: torch.device) -> None:
    """On a CPU, have glibc reuse big blocks: to fetch each anew from the kernel costs a fifth of a step.

    What was freed so far is given back first: in the scattered blocks that an evaluation leaves, a step takes
    a third more time (11.7 samples/s of the tiny model instead of 15.4, on two cores of a Zen 3).
    """
    if device.type != "cpu" or sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc; musl has neither
        libc.malloc_trim(0)
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no block from mmap
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap's end is kept


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be had on a device; None where nothing tells.

    What PyTorch has reserved of a GPU and holds no tensor in is free: it is used again, or given back.
    """
    if device.type == "cuda":
        import torch

        reserved, allocated = torch.cuda.memory_reserved(device), torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved - allocated
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        fields = next(line.split() for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return int(fields[1]) * 1024


def give_back() -> None:
    """Give the memory of models that are no longer used back to their GPU, if there is one."""
    import torch

    gc.collect()  # modules and their hooks hold each other
    torch.cuda.empty_cache()  # without a GPU in use it does nothing


def total_memory(device: torch.device) -> int | None:
    """Bytes of a device, or of the machine; None where nothing tells."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_properties(device).total_memory
    return machine_memory()


def machine_memory() -> int | None:
    """Bytes of main memory; None where nothing tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None


def peak_memory(device: torch.device) -> int | None:
    """The most bytes that were in use at once, of a GPU or by this process; None where nothing tells."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        fields = next(line.split() for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None
    return int(fields[1]) * 1024


SMALLER = "lower --batch-size and raise --accumulation, take --gradient-checkpointing or --quantization nf4"


@contextmanager
def explain_out_of_memory(advice: Callable[[], str] = lambda: SMALLER) -> Iterator[None]:
    """Say what to do where the memory runs out in a step of training. Raises ModelError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0][:150]
        raise ModelError(
            f"there is not enough memory ({reason}); {advice()}; `unblind doctor --model` estimates it"
        ) from error


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that the memory has run out, of a device or of the machine."""
    # torch.OutOfMemoryError is a RuntimeError, like what PyTorch raises on a CPU
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and bool(re.search("(out of|allocate) memory", str(error)))
    )
