"""A GPU of a given size, as far as memory is asked for; what is put on it lies in main memory."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch

from unblind.models import loading
from unblind.models.loading import Loaded
from unblind.runtime.device_memory import free_memory

GB = 10**9
CONTEXT = 600 * 2**20  # what CUDA itself takes


class Card:
    """What PyTorch's allocator does: memory that is freed stays reserved until it is given back.

    Attributes:
        total, allocated, reserved: bytes.
        loaded: the devices that models were asked for, in turn.
        most: the most bytes that were allocated at once.
    """

    def __init__(self, total: int) -> None:
        self.total, self.allocated, self.reserved, self.most = total, 0, 0, 0
        self.loaded: list[str] = []

    def allocate(self, size: int) -> None:
        device = torch.device("cuda")
        assert size <= (free_memory(device) or 0), f"{size} bytes do not fit"
        self.allocated += size
        self.reserved = max(self.reserved, self.allocated)
        self.most = max(self.most, self.allocated)

    def free(self, size: int) -> None:
        self.allocated -= size

    def give_back(self) -> None:
        self.reserved = self.allocated


def install(monkeypatch: pytest.MonkeyPatch, total: int, sizes: dict[str, int]) -> Card:
    """A card of `total` bytes; on it a model takes `sizes[its data type]`, whatever it takes in truth."""
    card, load = Card(total), loading.load

    def on_card(name: str, *, device: str = "auto", dtype: str = "auto", **options: Any) -> Loaded:
        card.loaded.append(device)
        made = load(name, device="cpu", dtype=dtype, **options)
        if device != "cpu":
            size = sizes[options.get("quantization") or dtype]
            card.allocate(size)
            weakref.finalize(made.model, card.free, size)
        return made

    def device_named(name: str = "auto") -> torch.device:
        return torch.device("cpu" if name == "cpu" else "cuda")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (total - CONTEXT - card.reserved, total))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: card.allocated)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: card.reserved)
    monkeypatch.setattr(torch.cuda, "empty_cache", card.give_back)
    monkeypatch.setattr(loading, "load", on_card)
    for module in ("unblind.sharing.merging", "unblind.sharing.export"):
        monkeypatch.setattr(f"{module}.load", on_card)
    monkeypatch.setattr("unblind.sharing.merging.choose_device", device_named)
    return card
