"""Rows in batches: the next one is made while the model has this one, and smaller where memory runs out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from unblind.errors import ModelError
from unblind.runtime.device_memory import out_of_memory

T = TypeVar("T")


def made_ahead(make: Callable[[int], T], starts: Sequence[int]) -> Iterator[T]:
    """What `make` makes of each start, in order; the next is made while the caller uses this one."""
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(make, start) for start in starts[:1]]
        for start in starts[1:]:
            coming.append(pool.submit(make, start))
            yield coming.pop(0).result()
        yield from (last.result() for last in coming)


class BatchSize:
    """How many samples go through a model at once: half as many each time that its memory runs out.

    Attributes:
        value: the number.
    """

    def __init__(self, value: int) -> None:
        self.value = value

    def apply(self, ask: Callable[[int, int], Sequence[T]], count: int) -> list[T]:
        """What `ask(start, stop)` returns for all of `count` samples, `value` of them at a time.

        Raises:
            ModelError: there is not enough memory for a single one.
        """
        results: list[T] = []
        while len(results) < count:
            start, stop = len(results), min(len(results) + self.value, count)
            reason = ""
            try:
                results += ask(start, stop)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0][:150] or "out of memory"
            if reason:  # outside the handler, which keeps the failed pass's tensors alive
                self._halve(stop - start, reason)
        return results

    def _halve(self, tried: int, reason: str) -> None:
        if tried == 1:
            raise ModelError(
                f"there is not enough memory for a single sample ({reason}); take --quantization nf4 or"
                " --dtype bfloat16; `unblind doctor --model` estimates it"
            )
        self.value = (tried + 1) // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(
            f"there is not enough memory for {tried} samples at once; continuing with {self.value}"
            " (--batch-size)",
            file=sys.stderr,
            flush=True,
        )
