"""Rows of one task, or of several in turn: scenes, pixels, questions, answers, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np

from unblind.data.dataset_options import DatasetOptions
from unblind.data.images import encode_png
from unblind.data.shifts import shifted
from unblind.errors import RecipeError
from unblind.tasks.base import Task, sample_scene
from unblind.tasks.registry import DEFAULT_TASK, task_named
from unblind.tasks.splits import SPLITS, Split

_SHIFTED = 1  # tells these random numbers from those of the scene


@dataclass(frozen=True)
class Component:
    """One task of a mixture, with its options, what it draws with, its prompts, and its share of the rows."""

    task: Task[Any]
    options: Any
    resources: Any
    prompts: tuple[str, ...]
    share: int

    def row(self, name: str, scene: Any, turn: int) -> dict[str, Any]:
        """A scene as a row, asked by the prompt whose turn it is; `image` is (H, W, 3) uint8 pixels."""
        prompt = self.prompts[turn % len(self.prompts)]
        asked = self.task.ask(scene, prompt, self.task.truth_asked(self.options))
        return {
            "id": name,
            "task": self.task.name,
            "image": self.task.draw(scene, self.resources),
            "prompt": asked.question,
            "answer": asked.answer,
            **self.task.columns(scene),
            **self.task.measured(scene, self.resources),
            "scene": self.task.to_json(scene),
        }


@dataclass(frozen=True)
class Mixture:
    """What draws the rows of a dataset; row i of a split depends on the options and i alone."""

    options: DatasetOptions
    components: tuple[Component, ...]

    @cached_property
    def columns(self) -> dict[str, str]:
        """The columns' types, by name; a task's own are null in the rows of tasks that lack them.

        Raises:
            RecipeError: two tasks have columns of one name and different types.
        """
        columns = {"id": "string", "task": "string", "image": "image", "prompt": "string", "answer": "string"}
        for component in self.components:
            for name, dtype in component.task.own_columns.items():
                if columns.setdefault(name, dtype) != dtype:
                    raise RecipeError(
                        f"the column '{name}' is {dtype} for {component.task.name}, and {columns[name]} for"
                        " another task; draw them apart (--task)"
                    )
        return columns | {"scene": "string"}

    @property
    def tasks(self) -> list[Task[Any]]:
        """The tasks that rows are of."""
        return list(dict.fromkeys(component.task for component in self.components))

    @property
    def remarks(self) -> list[str]:
        """What a person should know of what it is drawn with."""
        return [
            remark
            for one in self.components
            for remark in one.task.remarks(one.options, one.resources, self.options.preset)
        ]

    def scenes(self, split: Split, start: int, stop: int) -> Iterator[tuple[Component, Any]]:
        """The scenes of these rows, each with what draws it."""
        preset, seed = self.options.preset, self.options.seed
        if preset == "blindtest":
            every = chain.from_iterable(map(self._benchmark, self.components))
            yield from islice(every, start, stop)
        elif preset:
            (component,) = self.components
            rows = range(start, stop)
            for scene in component.task.preset_scenes(
                preset, seed, split, rows, component.options, component.resources
            ):
                yield component, scene
        else:
            for index in range(start, stop):
                component = self._component(split, index)
                yield (
                    component,
                    sample_scene(component.task, seed, split, index, component.options, component.resources),
                )

    def _component(self, split: Split, index: int) -> Component:
        """What draws this row. Where reading is replayed, rows of it are as evenly spread as can be."""
        share = self.options.replay if split == "train" else 0.0
        if int((index + 1) * share) > int(index * share):
            return self.components[-1]
        return self._round[index % len(self._round)]

    def try_out(self, split: Split, count: int) -> None:
        """Choose a scene of each task for a split of `count` rows. Raises what cannot be drawn raises."""
        for _ in self.scenes(split, 0, min(count, len(self._round))):
            pass

    def samples(self, split: Split, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """These rows, with all of `columns`; `image` is (height, width, 3) uint8 pixels."""
        for index, (component, scene) in enumerate(self.scenes(split, start, stop), start):
            row = component.row(f"{split}-{index:07d}", scene, index // len(self._round))
            if kinds := self.options.shift:  # the scene draws another picture
                rng = np.random.default_rng((self.options.seed, SPLITS.index(split), index, _SHIFTED))
                row |= {"image": shifted(rng, row["image"], kinds), "scene": None}
            yield dict.fromkeys(self.columns) | row

    def rows(self, split: Split, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """These rows, with all of `columns`; `image` is {bytes, path}, a PNG."""
        for row in self.samples(split, start, stop):
            yield row | {"image": {"bytes": encode_png(row["image"]), "path": f"{row['id']}.png"}}

    def _benchmark(self, component: Component) -> Iterator[tuple[Component, Any]]:
        for scene in component.task.benchmark_scenes(self.options.seed, component.resources):
            yield component, scene

    @cached_property
    def _round(self) -> tuple[Component, ...]:
        """Which task each row of a round is of: as evenly spread as their shares allow."""
        total = sum(component.share for component in self.components)
        due = [0] * len(self.components)
        order = []
        for _ in range(total):
            due = [credit + one.share for credit, one in zip(due, self.components, strict=True)]
            next_one = due.index(max(due))
            due[next_one] -= total
            order.append(self.components[next_one])
        return tuple(order)


def mixture_of(options: DatasetOptions) -> Mixture:
    """What draws the rows of a dataset. Raises what the tasks raise where words or fonts are missing."""
    components = []
    for task in options.tasks:
        own = options.options_for(task)
        load = task.benchmark_resources if options.preset == "blindtest" else task.resources
        resources, share = load(own), options.shares[task.name]
        components.append(Component(task, own, resources, options.prompts_of(task), share))
    if options.replay:
        components.append(_reading(options))
    return Mixture(options, tuple(components))


def _reading(options: DatasetOptions) -> Component:
    """Words to be read, as the circled letters of the same options are drawn; none of the round's rows."""
    task = task_named(DEFAULT_TASK)
    own = replace(options.options_for(task), answer="word")
    return Component(task, own, task.resources(own), ("read",), share=0)
