"""Shares with their intervals, and paired differences of two shares. No dependency: each is a formula."""

from __future__ import annotations

import math

Z95 = 1.959964  # of the normal distribution, two-sided 95 %


def wilson(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval (Wilson 1927, JASA 22:209-212) of a proportion, 95 % by default.

    Raises ValueError unless 0 <= successes <= n and n > 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"wilson needs 0 <= successes <= n and n > 0, got {successes} of {n}")
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # The interval holds the share; rounding may not take that away at 0 and 1.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def proportion(successes: int, n: int) -> dict[str, float]:
    """``{"value", "low", "high"}``: a share and its Wilson 95 % interval, all in [0, 1]."""
    low, high = wilson(successes, n)
    return {"value": successes / n, "low": low, "high": high}


def paired_difference(both: int, only_a: int, only_b: int, neither: int) -> dict[str, float]:
    """The difference A - B of two shares of the same items: ``{"value", "low", "high"}``, in [-1, 1].

    The interval is Newcombe's square-and-add method 10 (Newcombe 1998, Statistics in Medicine 17:2635-2650):
    the two Wilson 95 % intervals, joined by the correlation of the pairs.

    Args:
        both: items that A and B have right.
        only_a: items that A alone has right.
        only_b: items that B alone has right.
        neither: items that neither has right.

    Raises:
        ValueError: a negative count, or no items.
    """
    n = both + only_a + only_b + neither
    if min(both, only_a, only_b, neither) < 0 or n == 0:
        raise ValueError(f"counts must not be negative nor all 0: {both}, {only_a}, {only_b}, {neither}")
    a, b = proportion(both + only_a, n), proportion(both + only_b, n)
    correlation = _correlation(both, only_a, only_b, neither)

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))

    value = (only_a - only_b) / n
    low = value - reach(a["value"] - a["low"], b["high"] - b["value"])
    high = value + reach(a["high"] - a["value"], b["value"] - b["low"])
    return {"value": value, "low": max(-1.0, low), "high": min(1.0, high)}


def _correlation(both: int, only_a: int, only_b: int, neither: int) -> float:
    """Newcombe's phi: continuity-corrected where positive, 0 where a margin is empty."""
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if margins == 0:
        return 0.0
    covariance: float = both * neither - only_a * only_b
    if covariance > 0:
        covariance = max(0.0, covariance - (both + only_a + only_b + neither) / 2)
    return covariance / math.sqrt(margins)


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided p-value of McNemar's exact test: twice the binomial tail at 1/2, at most 1.

    Args:
        only_a: items that A alone has right.
        only_b: items that B alone has right.
    """
    n, tail, ways = only_a + only_b, 0, 1
    for k in range(min(only_a, only_b) + 1):  # in whole numbers: exact, and no overflow
        tail += ways
        ways = ways * (n - k) // (k + 1)
    return min(1.0, 2 * tail / (1 << n))
