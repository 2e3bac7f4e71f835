"""Results that others published, from published.json: to be shown beside ours, never mixed with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True)
class Published:
    """One published accuracy and what it is of."""

    model: str
    percent: float
    items: str  # which part of the benchmark
    images: int | None  # None: not recorded
    prompts: str
    rule: str  # how replies were read
    source: str
    url: str | None

    @property
    def circled_letters_alone(self) -> bool:
        """Whether the number is of our task, not of several tasks together."""
        return self.items.startswith("circled letters")


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """Every published result, group by group, in the file's order."""
    data = json.loads((files("unblind.scoring") / "published.json").read_text(encoding="utf-8"))
    return tuple(
        Published(
            model,
            percent,
            group["items"],
            group["images"],
            group["prompts"],
            group["rule"],
            data["sources"][group["source"]]["title"],
            data["sources"][group["source"]]["url"],
        )
        for group in data["results"]
        for model, percent in group["percent"].items()
    )
