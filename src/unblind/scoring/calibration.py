"""Whether a model's probabilities can be believed: the reliability curve of its restricted answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unblind.scoring.intervals import proportion

BINS = 10


def calibration(probabilities: Sequence[float | None], hits: Sequence[bool]) -> dict[str, Any] | None:
    """Answers binned by their probability, and the expected calibration error.

    Args:
        probabilities: of each answer, in [0, 1]; None where it is not known.
        hits: whether each answer is right.

    Returns:
        `n`, `ece` (the mean distance between probability and accuracy over `BINS` bins of equal width,
        weighted by their samples: Guo et al. 2017, arXiv 1706.04599, equation 3) and `bins`, the ones with
        samples: `from`, `to`, `n`, `probability` (mean), and the accuracy `value` with Wilson's 95 % `low`
        and `high`. None if no probability is known.
    """
    groups: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for probability, hit in zip(probabilities, hits, strict=True):
        if probability is not None:
            groups[min(BINS - 1, int(probability * BINS))].append((probability, hit))
    bins = [_bin(i, group) for i, group in enumerate(groups) if group]
    n = sum(b["n"] for b in bins)
    if n == 0:
        return None
    ece = math.fsum(b["n"] * abs(b["probability"] - b["value"]) for b in bins) / n
    return {"n": n, "ece": ece, "bins": bins}


def _bin(i: int, group: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    n = len(group)
    mean = math.fsum(probability for probability, _ in group) / n
    right = sum(hit for _, hit in group)
    return {"from": i / BINS, "to": (i + 1) / BINS, "n": n, "probability": mean, **proportion(right, n)}
