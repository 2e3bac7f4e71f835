"""What a dataset is made of: how many rows, of which tasks, and each task's own options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from unblind.data.shifts import SHIFTS
from unblind.errors import RecipeError
from unblind.flags import Drawing, Question
from unblind.options import build, flag, nearest, options_of, pairs, refuse_unknown, values_of
from unblind.tasks.base import EACH, Task
from unblind.tasks.circled_letter.options import Options as LetterOptions
from unblind.tasks.registry import DEFAULT_TASK, TASKS, task_named
from unblind.tasks.splits import Split

DEFAULT_PROMPT = "circled"  # stands for the first prompt of each task


@dataclass(frozen=True)
class DatasetOptions:
    """Options of any dataset.

    Attributes:
        train: number of training images.
        validation: number of validation images. No other split has their words, font families or scenes.
        test: number of test images. No other split has their words, font families or scenes.
        seed: the same seed gives the same bytes.
        task: the task to draw and ask: one, several in turn, or `all`; NAME=2 gives one a double share.
        knobs: task options that have no flag: NAME=VALUE, or NAME=VALUE VALUE for a range.
        replay: share of training images that ask to read a word instead, so that the model keeps its reading.
        prompt: the question, or the name of one of the task's. `each` uses all of its questions in turn.
            `{word}` stands for the word itself.
        shift: change how every image looks, but no answer: `wobble`, `rotation`, `texture`, `noise`, `jpeg`.
            It tests whether a model sees or only knows our drawings, and gives training more variety.
        layout: `parquet`, or `imagefolder`: PNG files and a metadata.csv for each split.
        preset: `blindtest` draws the benchmark's images again, into the test split: of circled letters 1,248,
            which need Open Sans, and Helvetica or Liberation Sans. `notebook` draws the original notebook's
            grid of circled letters, word by word, each in a random font: 512 px, every letter x padding 25,
            50, 100, 200 x line width 4, 5, 6.
    """

    train: int = 10_000
    validation: int = 500
    test: int = 1_000
    seed: int = 0
    task: tuple[str, ...] = (DEFAULT_TASK,)
    knobs: tuple[str, ...] = ()
    replay: Drawing[float] = 0.0
    prompt: Question[str] = DEFAULT_PROMPT
    shift: Drawing[tuple[str, ...]] = ()
    layout: Question[Literal["parquet", "imagefolder"]] = "parquet"
    preset: Literal["notebook", "blindtest"] | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no dataset. Raises RecipeError, and what the tasks' options raise."""
        for split in ("train", "validation", "test"):
            if getattr(self, split) < 0:
                raise RecipeError(f"--{split} {getattr(self, split)}: need 0 or more images")
        if not 0 <= self.replay <= 0.5:
            raise RecipeError(f"--replay {self.replay}: need a share of the training images from 0 to 0.5")
        if not 0 <= self.seed < 2**63:
            raise RecipeError(f"--seed {self.seed}: need 0 to 2^63 - 1")
        refuse_unknown(self)
        if not self.prompt.strip():
            raise RecipeError("--prompt is empty; write the question")
        for kind in self.shift:
            if kind not in SHIFTS:
                raise RecipeError(f"--shift {kind}: no such change; {nearest(kind, SHIFTS)}")
        self._check_tasks()
        if not any(self.rows.values()):
            raise RecipeError("--train, --validation and --test are all 0; ask for at least one image")

    def _check_tasks(self) -> None:
        tasks = self.tasks
        _refuse_strangers(self, tasks)
        for task in tasks:
            self.options_for(task)
        if self.preset:
            _check_preset(self.preset, tasks, [*self.given(), *self.named_knobs()])
        known = [task.name for task in tasks if self.prompt in task.prompts]
        if self.prompt != DEFAULT_PROMPT and known and len(known) < len(tasks):
            raise RecipeError(
                f"--prompt {self.prompt} is a question of {', '.join(known)}, and not of the other tasks;"
                " leave it out, and each task asks its own"
            )

    @property
    def rows(self) -> dict[Split, int]:
        """Number of images of each split."""
        if self.preset == "blindtest":
            return {"train": 0, "validation": 0, "test": sum(task.benchmark_count for task in self.tasks)}
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def tasks(self) -> tuple[Task[Any], ...]:
        """The tasks that are drawn."""
        return tuple(task_named(name) for name in self.shares)

    @property
    def shares(self) -> dict[str, int]:
        """The tasks' names, each with the number of its rows in a round. Raises RecipeError."""
        given = (self.task,) if isinstance(self.task, str) else self.task
        texts = tuple(TASKS) if tuple(given) == ("all",) else given
        names = [text.partition("=")[0] for text in texts]
        if not names:
            raise RecipeError("--task is empty; name a task, or `all`")
        if len(set(names)) < len(names):
            raise RecipeError(f"--task {' '.join(texts)}: a task is named twice; give it a share: NAME=2")
        return {name: _share(text) for name, text in zip(names, texts, strict=True)}

    def given(self) -> dict[str, Any]:
        """Options of tasks that are fields here, where they are not the defaults."""
        return {}

    def options_for(self, task: Task[Any]) -> Any:
        """A task's options, from those that are given. Raises RecipeError for one that does not fit."""
        hints = options_of(task.options_class)
        given = {name: value for name, value in self.given().items() if name in hints}
        knobs = {name: value for name, value in self.named_knobs().items() if name in hints}
        return build(task.options_class, given | knobs, f"--task {task.name}")

    def prompts_of(self, task: Task[Any]) -> tuple[str, ...]:
        """The prompts by which a task is asked in turn: names, or a text."""
        if self.prompt == EACH:
            return task.questions
        return (task.default_prompt if self.prompt == DEFAULT_PROMPT else self.prompt,)

    def named_knobs(self) -> dict[str, Any]:
        """The knobs by name, their values as they were written."""
        texts: list[str] = []
        for word in " ".join(self.knobs).split():
            if "=" in word or not texts:
                texts.append(word)
            else:  # one more value of the knob before
                texts[-1] += f" {word}"
        return pairs(texts, "--knobs")


@dataclass(frozen=True)
class GenerateOptions(LetterOptions, DatasetOptions):
    """What a dataset is made of: the options of `unblind generate`, explained there.

    The options of circled letters are fields of their own, with those of the drawing in `scene`. Tasks that
    have options of the same names (`image_size`, `words`, ...) take them as well.
    """

    def __post_init__(self) -> None:
        """Refuse what makes no dataset. Raises RecipeError, and what the tasks' options raise."""
        DatasetOptions.__post_init__(self)

    def given(self) -> dict[str, Any]:
        """The options of circled letters that are not the defaults."""
        default, own = values_of(LetterOptions()), values_of(self)
        return {name: own[name] for name in default if own[name] != default[name]}


def _share(text: str) -> int:
    name, equals, share = text.partition("=")
    if not equals:
        return 1
    if not (share.isascii() and share.isdigit() and 0 < int(share[:9]) <= 1000):
        raise RecipeError(f"--task {text}: the share of {name} must be a whole number from 1 to 1000")
    return int(share)


def _refuse_strangers(options: DatasetOptions, tasks: tuple[Task[Any], ...]) -> None:
    """Refuse what no task has an option for."""
    known = {name: None for task in tasks for name in options_of(task.options_class)}
    names = ", ".join(task.name for task in tasks)
    for name in options.given():
        if name not in known:
            raise RecipeError(f"{flag(name)} means nothing to {names}; leave it out")
    for name in options.named_knobs():
        if name not in known:
            raise RecipeError(f"--knobs {name}: {names} has no such option; {nearest(name, known)}")


def _check_preset(preset: str, tasks: tuple[Task[Any], ...], given: list[str]) -> None:
    for task in tasks:
        if preset == "blindtest" and not task.benchmark_count:
            raise RecipeError(f"--preset blindtest: {task.name} is none of the benchmark's tasks")
        if preset != "blindtest" and (preset not in task.presets or len(tasks) > 1):
            raise RecipeError(f"--preset {preset} is of {DEFAULT_TASK} alone; leave out --task or --preset")
        if more := [name for name in given if name not in task.preset_options]:
            flags = ", ".join(map(flag, more))
            raise RecipeError(f"--preset {preset} sets the drawing's knobs itself ({flags}); leave them out")
