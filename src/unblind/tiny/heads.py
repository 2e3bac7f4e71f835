"""What the tower is asked while it learns to see; thrown away afterwards."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from unblind.tiny import drawn, printed
from unblind.tiny.lessons import Lesson
from unblind.tiny.patches import IGNORE

_CIRCLED_WEIGHT = 5.0  # of a letter under an ellipse, which covers some of it, beside the many others
_WEIGHTS = {"place": 0.25} | dict.fromkeys(drawn.HEADS, 0.3)  # nine heads, against three of print
_SPARSE = ("letter", *drawn.MARKS)  # 0 is "nothing here", and much more frequent than the rest


class Heads(nn.Module):
    """Linear classifiers of the tower's tokens."""

    def __init__(self, width: int, *, circles: bool = True) -> None:
        """For tokens of `width` features; without `circles`, the circled letter is not asked for."""
        super().__init__()
        self.circles = circles
        shapes = printed.HEADS | drawn.HEADS
        self.classes = {name: classes for name, (_, classes) in shapes.items()}
        self.linear = nn.ModuleDict(
            {_key(name): nn.Linear(width, slots * classes) for name, (slots, classes) in shapes.items()}
        )

    def forward(self, tokens: torch.Tensor, lesson: Lesson) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss, and the share of each head's labels that are right.

        Args:
            tokens: (batch, kept, width) from the tower.
            lesson: its labels.
        """
        loss, right = tokens.new_zeros(()), {}
        circled = lesson.labels["circled"].flatten() == 1 if "circled" in lesson.labels else None
        for name, labels in lesson.labels.items():
            if name == "circled" and not self.circles:
                continue
            said = self.linear[_key(name)](tokens).float().view(-1, self.classes[name])
            wanted = labels.flatten()
            asked = wanted > 0 if name in _SPARSE else wanted != IGNORE
            if not asked.any():
                continue
            each = F.cross_entropy(said[asked], wanted[asked], reduction="none")
            weight = torch.ones_like(each)
            if name == "letter" and self.circles and circled is not None:
                weight += (_CIRCLED_WEIGHT - 1) * circled[asked]
            part = (weight * each).sum() / weight.sum()
            if name in _SPARSE and (wanted == 0).any():
                part = part + F.cross_entropy(said[wanted == 0], wanted[wanted == 0])
            loss = loss + _WEIGHTS.get(name, 1.0) * part
            hits = (said[asked].argmax(-1) == wanted[asked]).float()
            right[name] = hits.mean()
            if name in ("letter", "circled") and circled is not None:
                right[f"{name} under an ellipse"] = hits[circled[asked]].mean()
        return loss, right


def _key(name: str) -> str:
    return name.replace(" ", "_").replace("'", "")  # a module's name has no spaces
