"""How the C library handles memory while a model trains on a CPU."""

from __future__ import annotations

import ctypes
import sys


def keep_freed_memory() -> None:
    """Have glibc reuse big blocks: to fetch each anew from the kernel costs a fifth of a CPU step."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: no block from mmap
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap's end is kept
