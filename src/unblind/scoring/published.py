"""Results that others published, from published.json: to be shown beside ours, never mixed with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Published:
    """One published accuracy and what it is of.

    Attributes:
        task: the name of our task; None for all of the benchmark's tasks together.
        model: as its source calls it.
        percent: right answers.
        items: which part of the benchmark, or which other images.
        images: how many; None where that is not recorded. Each is asked about once a prompt.
        prompts: which questions were asked.
        rule: how replies were read.
        source: where it is from, and how it was made from what is there.
        url: of the source.
        whole: whether the images are the benchmark's own, and of the whole task.
    """

    task: str | None
    model: str
    percent: float
    items: str
    images: int | None
    prompts: str
    rule: str
    source: str
    url: str
    whole: bool

    @property
    def setting(self) -> tuple[str, ...]:
        """What results have to share to be put into one table."""
        return self.items, self.prompts, self.rule, self.source


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """Every published result, group by group, in the file's order."""
    data = _data()
    return tuple(
        Published(
            task=group["task"],
            model=model,
            percent=percent,
            items=group["items"],
            images=group["images"],
            prompts=group["prompts"],
            rule=group["rule"],
            source=data["sources"][group["source"]]["title"],
            url=data["sources"][group["source"]]["url"],
            whole=group.get("whole", True),
        )
        for group in data["results"]
        for model, percent in group["percent"].items()
    )


def published_of(task: str) -> list[Published]:
    """The published results of a task."""
    return [result for result in published() if result.task == task]


def best_published(task: str) -> Published | None:
    """The highest published accuracy on the benchmark's own images of a task."""
    results = [result for result in published_of(task) if result.whole]
    return max(results, key=lambda result: result.percent, default=None)


def model_name(name: str) -> str:
    """A model's usual name: the benchmark's folders call one model differently from task to task."""
    names: dict[str, str] = _data()["names"]
    return names.get(name, name)


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        (files("unblind.scoring") / "published.json").read_text(encoding="utf-8")
    )
    return data
