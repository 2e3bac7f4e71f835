"""What the page of `unblind demo` asks of a task: controls, the picture that they make, and its parts.

A task that wants controls of its own names a module in `Task.demo`; the module has a function `controls`,
which makes a `Controls`. The page itself is in `unblind.demo`. No torch, and no Gradio here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from PIL import Image

from unblind.tasks.base import Pixels, Task

Box = tuple[float, float, float, float]  # x, y, width, height, as shares of the picture
Band = tuple[float, float]  # top and height, as shares, of what is worth showing of a picture


@dataclass(frozen=True)
class Spot:
    """A place in the picture that can be clicked on, or dragged.

    Attributes:
        box: where it is.
        label: what a click does, or what is dragged, in words.
        pressed: it is chosen.
        marked: the page marks it where it is chosen, as the picture does not tell.
        drags: it is dragged by the mouse or a finger, and moved by the arrow keys, not clicked on.
    """

    box: Box
    label: str
    pressed: bool = False
    marked: bool = False
    drags: bool = False


@dataclass(frozen=True)
class Move:
    """What was done to a spot: clicked on, or dragged by shares of the picture's width and height."""

    spot: int
    dx: float = 0.0
    dy: float = 0.0


@dataclass(frozen=True)
class Large:
    """The picture as the page shows it.

    Attributes:
        pixels: (height, width, 3) uint8 RGB, of any size.
        alt: what is in it, in words.
        spots: where it can be clicked on, or dragged; of those that overlap, the last one is on top.
        band: what is worth showing.
        caption: what stands below it.
    """

    pixels: Pixels
    alt: str
    spots: Sequence[Spot] = ()
    band: Band = (0.0, 1.0)
    caption: str = ""


@dataclass(frozen=True)
class Part:
    """A part of a picture.

    Attributes:
        hidden: the picture without it.
        box: where it is.
        label: what the page calls it; "": it is not named.
        outline: it is an elliptic line along the box, and not all that is in the box.
    """

    hidden: Image.Image
    box: Box
    label: str = ""
    outline: bool = False


@dataclass(frozen=True)
class Picture:
    """What a model is asked about.

    Attributes:
        image: as the model gets it.
        row: `prompt`, the question, and what else is known of it, by the task's columns.
        answer: the right one; None: nobody knows.
        parts: what can be hidden, one at a time. Where the first has a label, it is the one that matters.
        each: what each of the parts is, in words.
        band: what is worth showing.
        note: what a person should know of it.
    """

    image: Image.Image
    row: Mapping[str, Any]
    answer: str | None = None
    parts: Sequence[Part] = ()
    each: str = "part"
    band: Band = (0.0, 1.0)
    note: str = ""


@dataclass(frozen=True)
class Controls(ABC):
    """The controls of a task's page, and the pictures that they make.

    A picture follows from `values`: what clicks and drags in the picture have made (of any type), then a
    value of each component.

    Attributes:
        task: whose page it is.
        options: of `task.options_class`.
        prompt: the question, by name or as a text.
        image_size: px, of the pictures that the model sees.
        resources: what the task draws with.
        tab: what the page calls making a picture.
        heading: of the page.
        lead: what the page says where there is a cured model.
        lead_blind: what it says where there is none.
        uploads: what an uploaded picture should show.
        any_question: whether people may word the question about an uploaded picture.
    """

    task: Task[Any]
    options: Any
    prompt: str
    image_size: int
    resources: Any = field(repr=False)

    tab: ClassVar[str]
    lead: ClassVar[str]
    lead_blind: ClassVar[str]
    uploads: ClassVar[str]
    any_question: ClassVar[bool] = True

    @property
    def first(self) -> Any:
        """The first of the values as the page opens."""
        return 0

    @property
    def heading(self) -> str:
        """The task's own question."""
        return self.task.title

    @abstractmethod
    def below(self) -> list[Any]:
        """Make Gradio's components in the row below the picture, left of the button that makes another."""

    @abstractmethod
    def beside(self) -> list[Any]:
        """Make Gradio's components in a column of their own."""

    @abstractmethod
    def another(self, values: Sequence[Any]) -> list[Any]:
        """The values of a held-out picture, instead of these; `gradio.skip()` keeps a component's."""

    def moved(self, values: Sequence[Any], move: Move) -> Any:
        """The first of the values after a click or a drag: by default the number of the spot."""
        return move.spot

    @abstractmethod
    def large(self, values: Sequence[Any]) -> Large:
        """The picture for the page. Raises UnblindError, in words for the page, if it cannot be drawn."""

    @abstractmethod
    def picture(self, values: Sequence[Any]) -> Picture:
        """The picture for the model. Raises UnblindError as `large` does."""
