"""bfloat16 matrix products by float32 kernels, for CPUs that have no bfloat16 instructions."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

aten = torch.ops.aten
BLOCK = 1_024  # rows and columns that are float32 at once: 4 MB, which the cache holds
SMALL = {  # whole in float32 for a moment
    aten.bmm.default,
    aten.convolution.default,
    aten._scaled_dot_product_flash_attention_for_cpu.default,
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default,
}


class Float32Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, products of bfloat16 matrices are sums of float32 numbers, rounded at the end."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = args[0] if args else None
        if not isinstance(first, Tensor) or first.dtype != torch.bfloat16:
            return function(*args, **(kwargs or {}))
        if function is aten.mm.default:
            return product(*args)
        if function is aten.addmm.default:
            return product(*args[1:]).add_(args[0])
        if function not in SMALL:
            return function(*args, **(kwargs or {}))
        found = function(*tree_map(_float, args), **(kwargs or {}))
        # attention's sums of exponentials have a dimension less, and are float32 in any case
        return tree_map(lambda value: value.bfloat16() if _like(value, first) else value, found)


def products() -> AbstractContextManager[object]:
    """Float32Products where this CPU needs it."""
    there = torch.cpu.get_capabilities()
    return nullcontext() if there.get("avx512_bf16") or there.get("amx_bf16") else Float32Products()


def product(left: Tensor, right: Tensor) -> Tensor:
    """(m, k) times (k, n), both bfloat16, with sums in float32."""
    depth, width = right.shape
    out = left.new_empty(len(left), width)
    for column in range(0, width, BLOCK):
        block = slice(column, column + BLOCK)
        total = torch.zeros(len(left), min(BLOCK, width - column))
        for row in range(0, depth, BLOCK):
            part = slice(row, row + BLOCK)
            total.addmm_(left[:, part].float(), right[part, block].float())
        out[:, block] = total
    return out


def _float(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value


def _like(value: Any, first: Tensor) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.float32 and value.ndim == first.ndim
