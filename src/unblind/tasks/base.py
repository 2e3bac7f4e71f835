"""What a task is: one kind of question about one kind of picture. No torch.

A task samples scenes, draws them, and asks about them. Everything else (datasets, training, evaluation,
scoring, the report, the demo) is written against this class and knows no task by name.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from unblind.errors import SceneError
from unblind.options import fitted
from unblind.tasks.splits import SPLITS, Split, split_by_hash

Row = Mapping[str, Any]  # a row of a dataset or of predictions, by column
Pixels = NDArray[np.uint8]  # (height, width, 3) RGB
S = TypeVar("S")

ACCEPTED = "accepted_answers"  # the column of all answers that count, where several people have answered
# What PaliGemma's pretrained checkpoints expect before a question (Beyer et al. 2024, arXiv 2407.07726).
ANSWER_EN = "answer en "
EACH = "each"  # instead of a prompt's name: all of a task's questions
TRIES = 1_000  # draws until a scene fits into the image and into its split


def bare(answer: str) -> str:
    """The reply that is the answer alone: `3`."""
    return answer


def example_in(question: str) -> str:
    """The answer that a question shows as an example, with # for what it says: `{#}` of "e.g. {3}"; or ""."""
    match = re.search(r"(?:e\.g\.|[Ee]xample)[,:]?\s+(\S.*)", question)
    return re.sub(r"\d+|\b[A-Za-z]\b", "#", match.group(1).strip(" .")) if match else ""


def braced(answer: str) -> str:
    """The reply in curly brackets, as most of BlindTest's prompts ask for it: `{3}`."""
    return f"{{{answer}}}"


@dataclass(frozen=True)
class Prompt:
    """A question, and the format in which it asks for the answer.

    Attributes:
        text: the question; a column's name in braces (`{word}`) stands for the row's value of it.
        reply: writes an answer in the format that the question asks for.
        truth: which of the scene's truths the question is about (`touching`, `overlapping`); most have one.
    """

    text: str
    reply: Callable[[str], str] = bare
    truth: str = ""


@dataclass(frozen=True)
class Asked:
    """A question about one scene, the bare truth (`3`), and the truth in the prompt's format (`{3}`)."""

    question: str
    answer: str
    reply: str


@dataclass(frozen=True)
class AnswerSpace:
    """What an answer may be.

    Attributes:
        choices: every possible answer, in a fixed order; None if there are too many to list.
        parse: the answer that a reply names, or None.
        noun: what the choices are called, in the plural.
        called: all of them, such as `the 52 letters A–Z and a–z`; "" where their number and the noun will do.
        reading: when a reply counts, as the report says it: `it is the answer and nothing else`.
    """

    choices: tuple[str, ...] | None
    parse: Callable[[str], str | None]
    noun: str = "answers"
    called: str = ""
    reading: str = "it is the answer and nothing else"

    def same(self, reply: str, answer: str) -> bool:
        """Whether a reply is this answer: to the character, or once it is parsed."""
        return answer in (self.parse(reply), reply.strip())


@dataclass(frozen=True)
class Rule:
    """When someone else, a paper or another program, counts a free reply as the answer.

    Attributes:
        counts: what it counts, for people: `the letter in curly brackets`.
        right: whether a reply (first) is right, given the answer (second).
    """

    counts: str
    right: Callable[[str, str], bool]


@dataclass(frozen=True)
class Trait:
    """Something known of each sample, by which accuracy is broken down.

    Attributes:
        label: what the report calls it.
        group: a row's group: a text, a number, or None where it is not known. Rows may lack columns, and hold
            anything: a KeyError or TypeError counts as None.
        bins: edges of the ranges into which numbers are sorted, ascending; empty: each number is a group.
        groups: what the report calls the groups, by their names.
        show: what the report calls a group that is not among `groups`.
        curve: shown as points along an axis, not as a list of groups.
        section: the heading under which the report lists it together with others; "" for a table of its own.
    """

    label: str
    group: Callable[[Row], str | float | int | None]
    bins: tuple[float, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    show: Callable[[str], str] = str
    curve: bool = False
    section: str = "How it was drawn"

    def shown(self, group: str) -> str:
        """A group's name, for people."""
        return self.groups.get(group) or self.show(group)


@dataclass(frozen=True)
class Mistake:
    """One way to be wrong.

    Attributes:
        label: what the report calls it, as what a model named: `a direct neighbour of the circled letter`.
        applies: whether a row's wrong answer is of this kind; None where that cannot be known.
        chance: how often it would apply if the answer were picked at random among the likely ones; None: the
            report does not compare it with chance.
        at_random: what would happen that often: `Another letter at random would be a neighbour`.
        meaning: what it says of a model that makes it more often: `it looked beside the circle`.
    """

    label: str
    applies: Callable[[Row, str], bool | None]
    chance: Callable[[Row], float] | None = None
    at_random: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class BaseRate:
    """An accuracy that needs no eyes, such as that of always naming the word's first letter.

    Attributes:
        label: what the report calls it.
        rate: the share of rows that would be right, in [0, 1]; None where the rows don't tell.
        explained: more about it, as a sentence.
    """

    label: str
    rate: Callable[[Sequence[Row]], float | None]
    explained: str = ""


def most_frequent(rows: Sequence[Row]) -> float:
    """How often one would be right by always giving the commonest answer."""
    return max(Counter(row["answer"] for row in rows).values()) / len(rows)


MOST_FREQUENT = BaseRate("Always the commonest answer", most_frequent)


@dataclass(frozen=True)
class Caption:
    """What stands below a picture, and for it where it is not at hand: a text with a ringed part; a note."""

    before: str = ""
    ringed: str = ""
    after: str = ""
    note: str = ""


@dataclass(frozen=True)
class Wording:
    """What the report says of a task.

    Attributes:
        success: what a model did, after its name, if it was right: `named the circled letter`.
        truth: the heading of the right answers, beside `answered`: `circled`.
        why_blind: why a base fails before it is trained on the question; "" if nobody knows.
        parts: what each of the task's parts is, by its name: `the circle`.
        covering: what covering the parts tells of a model.
        without: how a model was asked when the first part was missing: `shown the word without its circle`.
    """

    success: str = "gave the right answer"
    truth: str = "right"
    why_blind: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    covering: str = ""
    without: str = "shown the picture without what the question is about"


class Task(ABC, Generic[S]):
    """A task; `S` is its scene, a frozen dataclass of plain values that describes one picture.

    Attributes:
        name: as `--task` and the column `task` have it, such as `two-circles`.
        title: the task as a short question, for people.
        benchmark: what `XAI/vlmsareblind` calls it in its column `task`.
        prompts: the questions by name; the first is the default.
        side_prompts: those that ask something else, or are there for comparison: `each` leaves them out.
        answers: the answer space.
        options_class: a frozen dataclass of the sampler's knobs; it has `image_size`, in px.
        scene_class: the scene's class.
        pictures: what its pictures show, as a dataset's title; `title` where there is none.
        held_out: how the splits are kept apart, in a sentence.
        limits: what the pictures leave out, in a sentence.
        own_columns: the columns that the task adds to a dataset, by name, with `datasets` types.
        meanings: what those columns hold, in a few words each, for the dataset's card.
        folder_columns: the columns of an image folder's metadata.csv, by name, each with the dataset's
            column that it is (or `image_path`, the path); none: `task`, `prompt`, `answer`, and its own.
        presets: names of fixed sets of scenes (`--preset`), beside the benchmark's.
        preset_options: the options that mean something where a preset chooses the scenes.
        benchmark_count: how many scenes `benchmark_scenes` has.
        parts: what `draw` can leave out, for occlusion; the first is the one that the answer depends on.
        traits, mistakes, base_rates: what scoring and the report know, by name. Two base rates need not be
            given: `chance`, one choice at random, and `most_frequent`, always the commonest answer.
        rules: how others read free replies, by the names of `unblind.scoring.rules`.
        cluster: the column by which samples resemble each other (`font`), for intervals; None if none does.
        wording: what the report says.
        too_tight: what to change where no scene fits into the image.
        demo: a module with a page for `unblind demo` (see `tasks.controls`); "": it has a plain one.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    benchmark: ClassVar[tuple[str, ...]] = ()
    prompts: ClassVar[Mapping[str, Prompt]]
    side_prompts: ClassVar[tuple[str, ...]] = ()
    answers: ClassVar[AnswerSpace]
    options_class: ClassVar[type]
    scene_class: ClassVar[type]
    pictures: ClassVar[str] = ""
    held_out: ClassVar[str] = "No scene of a split occurs in another."
    limits: ClassVar[str] = ""
    own_columns: ClassVar[Mapping[str, str]] = {}
    meanings: ClassVar[Mapping[str, str]] = {}
    folder_columns: ClassVar[Mapping[str, str]] = {}
    presets: ClassVar[tuple[str, ...]] = ()
    preset_options: ClassVar[tuple[str, ...]] = ()
    benchmark_count: ClassVar[int] = 0
    parts: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[Mapping[str, Trait]] = {}
    mistakes: ClassVar[Mapping[str, Mistake]] = {}
    base_rates: ClassVar[Mapping[str, BaseRate]] = {}
    rules: ClassVar[Mapping[str, Rule]] = {}
    cluster: ClassVar[str | None] = None
    wording: ClassVar[Wording] = Wording()
    too_tight: ClassVar[str] = "use a larger --image-size"
    demo: ClassVar[str] = ""

    # -- drawing ---------------------------------------------------------------------------------------------

    def resources(self, options: Any) -> Any:
        """What sampling and drawing need beside the options, loaded once: fonts, words."""
        return None

    def known_resources(self) -> Any:
        """What drawing stored scenes again needs, whatever options they were sampled with."""
        return None

    def benchmark_resources(self, options: Any) -> Any:
        """What drawing the benchmark's scenes needs. Raises UnblindError."""
        return self.resources(options)

    @abstractmethod
    def sample(self, rng: np.random.Generator, split: Split, options: Any, resources: Any) -> S | None:
        """Choose a scene; None if the choices do not fit into an image. All random choices happen here."""

    def preset_scenes(
        self, preset: str, seed: int, split: Split, rows: range, options: Any, resources: Any
    ) -> Iterator[S]:
        """The scenes of these rows of a split, for one of `presets`."""
        return iter(())

    @abstractmethod
    def draw(self, scene: S, resources: Any, without: str | None = None) -> Pixels:
        """Draw a scene, the same bytes every time; `without` one of `parts`.

        Raises SceneError for a scene that does not have this part.
        """

    def split_of(self, scene: S) -> Split | None:
        """The split that a scene belongs to; None if `sample` has seen to it.

        By default a hash of the whole scene decides, so that no scene is in two splits.
        """
        return split_by_hash(self.name, self.to_json(scene), 0.8, 0.9)

    # -- asking ----------------------------------------------------------------------------------------------

    @abstractmethod
    def truth(self, scene: S, which: str = "") -> str:
        """The bare answer, `which` being the `truth` of a prompt."""

    def columns(self, scene: S) -> Mapping[str, Any]:
        """The values of `own_columns` that the scene tells."""
        return {}

    def measured(self, scene: S, resources: Any) -> Mapping[str, Any]:
        """The values of the other `own_columns`: what `resources` are needed for, as to draw it."""
        return {}

    def truth_asked(self, options: Any) -> str | None:
        """The truth that a dataset of these options asks for, as `truth` knows it; None: the prompt's own."""
        return None

    # -- what a dataset's files say --------------------------------------------------------------------------

    def hashes(self, resources: Any) -> Mapping[str, str]:
        """Hashes of what the names in the options stood for, such as a file of words."""
        return {}

    def remarks(self, options: Any, resources: Any, preset: str | None) -> Sequence[str]:
        """What a person should know of what is drawn with, in sentences."""
        return ()

    def caption(self, row: Row) -> Caption:
        """What the report writes below a row's picture."""
        return Caption()

    def contrast(self, rng: np.random.Generator, scene: S, which: str = "") -> S | None:
        """A twin that differs in one small thing by which the right answer changes; the rest stays.

        Args:
            rng: chooses among the ways there are.
            scene: of this task.
            which: the `truth` whose answer changes.

        Returns:
            The twin (Gardner et al., "Evaluating models' local decision boundaries via contrast sets", 2020),
            or None: the task has none, or none is possible within the image.
        """
        return None

    # -- sharing ---------------------------------------------------------------------------------------------

    def drawn_from(self, settings: Mapping[str, Any]) -> str:
        """What a card says of data by its settings, behind `images, drawn by unblind generate (seed 3)`."""
        return f". {self.held_out}"

    # -- the benchmark ---------------------------------------------------------------------------------------

    def benchmark_scenes(self, seed: int, resources: Any) -> Iterator[S]:
        """The benchmark's scenes, drawn again; random kinds are sampled anew by its rules, from `seed`."""
        return iter(())

    def benchmark_columns(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the benchmark's own `metadata` says of an image, as columns of ours.

        Its values may be anything, as others made the file; those that do not fit their column become null.
        `groundtruth` and `prompt` are among them.
        """
        return {}

    # -- what follows from the above -------------------------------------------------------------------------

    @property
    def default_prompt(self) -> str:
        """The name of the first prompt."""
        return next(iter(self.prompts))

    @property
    def questions(self) -> tuple[str, ...]:
        """The names of the prompts that ask the task's question, each in its words and format."""
        return tuple(name for name in self.prompts if name not in self.side_prompts)

    def ask(self, scene: S, prompt: str, truth: str | None = None) -> Asked:
        """Ask about a scene; `prompt` is a name in `prompts`, or a text; `truth` stands for the prompt's."""
        row = self.columns(scene)
        chosen = self.prompt_of(prompt, row)
        answer = self.truth(scene, chosen.truth if truth is None else truth)
        return Asked(self.question(chosen.text, row), answer, chosen.reply(answer))

    def question(self, text: str, row: Row) -> str:
        """A prompt's text, or a prompt's name, with the row's values in the place of `{column}`."""
        text = self.prompts[text].text if text in self.prompts else text
        for name in self.own_columns:
            if row.get(name) is not None:
                text = text.replace(f"{{{name}}}", str(row[name]))
        return text

    def prompt_of(self, question: str, row: Row) -> Prompt:
        """The prompt of a name, a text, or a question about a row; a new one if it is none of `prompts`.

        A new one wants its answer in the format of which it shows an example, if one of `prompts` shows it
        too. ANSWER_EN may stand before any of them, and stands before the prompt's text then.
        """
        asked = question.removeprefix(ANSWER_EN)
        known = next(
            (
                prompt
                for name, prompt in self.prompts.items()
                if asked in (name, prompt.text, self.question(prompt.text, row))
            ),
            None,
        )
        if known is None:
            return Prompt(question, self._reply_like(question))
        return known if asked == question else replace(known, text=ANSWER_EN + known.text)

    def _reply_like(self, question: str) -> Callable[[str], str]:
        """How a question in other words wants its answer: as one of `prompts` that shows the same example."""
        wanted = example_in(question)
        own = (prompt.reply for prompt in self.prompts.values() if example_in(prompt.text) == wanted)
        return next(own, bare) if wanted else bare

    def ask_again(self, row: Row, prompt: str | None = None) -> Asked:
        """Ask about a row of a dataset: by its own question, or by another prompt (a name or a text).

        Where a prompt is about another truth than the row's own, the row's scene tells it. Raises SceneError
        for a row without one.
        """
        own = self.prompt_of(str(row.get("prompt") or ""), row)
        chosen = own if prompt is None else self.prompt_of(prompt, row)
        answer = str(row["answer"])
        if chosen.truth != own.truth:
            if not row.get("scene"):
                raise SceneError(
                    f"row {row.get('id', '?')} has no scene, which alone tells the answer to"
                    f" {chosen.text!r}; name another prompt (--prompt)"
                )
            answer = self.truth(self.from_json(row["scene"]), chosen.truth)
        return Asked(self.question(chosen.text, row), answer, chosen.reply(answer))

    def to_json(self, scene: S) -> str:
        """A scene as one line of JSON; floats are exact."""
        return json.dumps(asdict(scene), separators=(",", ":"))  # type: ignore[call-overload]

    def from_json(self, text: str) -> S:
        """The inverse of `to_json`. Raises SceneError for a text that is no scene."""
        try:
            scene: S = fitted(json.loads(text), self.scene_class)
        except (ValueError, TypeError, RecursionError) as error:
            raise SceneError(f"not a scene: {str(text)[:60]!r} ({str(error)[:200]})") from None
        return scene


def sample_scene(task: Task[S], seed: int, split: Split, index: int, options: Any, resources: Any) -> S:
    """Sample number `index` of a split; it depends on the arguments only, never on other samples.

    Raises:
        SceneError: no choice fits after many tries.
    """
    rng = np.random.default_rng((seed, SPLITS.index(split), index))
    for _ in range(TRIES):
        scene = task.sample(rng, split, options, resources)
        if scene is not None and task.split_of(scene) in (None, split):
            return scene
    raise SceneError(
        f"no scene of {task.name} fits into {options.image_size} px after {TRIES} tries; {task.too_tight}"
    )
