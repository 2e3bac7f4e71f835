"""What the tower is asked while it learns to see; thrown away afterwards."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from unblind.tasks.words import LETTERS
from unblind.tiny.lessons import BLANK, MAX_LENGTH, Lesson

_CIRCLED_WEIGHT = 5.0  # of a letter under an ellipse, which covers some of it, beside the many others


class Heads(nn.Module):
    """What the tower's tokens are asked in the first stage, for each of a patch's two halves."""

    def __init__(self, width: int, *, circles: bool = True) -> None:
        """Linear heads on tokens of `width` features; without `circles`, that one's answer has no weight."""
        super().__init__()
        self.circles = circles
        self.letter = nn.Linear(width, 2 * (1 + len(LETTERS)))
        self.circled = nn.Linear(width, 2)
        self.place = nn.Linear(width, 2 * MAX_LENGTH)

    def forward(self, tokens: torch.Tensor, lesson: Lesson) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss, and the shares of letters (all, circled ones), circles and places that are right.

        Args:
            tokens: (batch, rows * 16, width) from the tower.
            lesson: its targets.
        """
        letters, circled, places = (t.flatten() for t in (lesson.letters, lesson.circled, lesson.places))
        said = self.letter(tokens).float().view(-1, 1 + len(LETTERS))
        printed, blank = letters > BLANK, letters == BLANK
        ringed = circled[printed] > 0.5
        weight = 1.0 + (_CIRCLED_WEIGHT - 1.0) * (ringed & self.circles)
        named = F.cross_entropy(said[printed], letters[printed], reduction="none")
        loss = (weight * named).sum() / weight.sum() + F.cross_entropy(said[blank], letters[blank])
        circles = self.circled(tokens).float().flatten()[printed]
        if self.circles:
            loss = loss + F.binary_cross_entropy_with_logits(circles, circled[printed])
        place = self.place(tokens).float().view(-1, MAX_LENGTH)[printed]
        loss = loss + 0.25 * F.cross_entropy(place, places[printed])
        with torch.no_grad():
            correct = (said[printed].argmax(-1) == letters[printed]).float()
            right = {
                "letters": correct.mean(),
                "circled letters": correct[ringed].mean(),
                "circles": (circles[ringed] > 0).float().mean(),
                "places": (place.argmax(-1) == places[printed]).float().mean(),
            }
        return loss, right
