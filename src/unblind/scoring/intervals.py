"""Shares with their intervals, and paired differences of two shares. No dependency: each is a formula."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache

Z95 = 1.959964  # of the normal distribution, two-sided 95 %


def wilson(successes: float, n: float, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval (Wilson 1927, JASA 22:209-212) of a proportion, 95 % by default.

    Both counts may be fractions: those of an effective sample size.
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


def clustered(hits: Sequence[bool], clusters: Sequence[Hashable]) -> dict[str, float] | None:
    """A share with a 95 % interval that knows that samples of one cluster resemble each other.

    Wilson's interval with n divided by the design effect, and the quantile of Student's t distribution with
    clusters - 1 degrees of freedom instead of the normal one (Korn & Graubard 1998, Survey Methodology
    24:193-201, for the effective n; Dean & Pagano 2015, Journal of Survey Statistics and Methodology
    3:484-503, for Wilson's formula with it). The design effect is the variance of the share between clusters,
    by linearisation, over that of as many independent samples; it is 1 at least, so that the interval is
    never narrower than Wilson's own.

    Args:
        hits: whether each sample is right.
        clusters: which cluster each belongs to.

    Returns:
        ``{"value", "low", "high", "design_effect", "clusters"}``; None for fewer than two clusters.
    """
    sizes = Counter(clusters)
    if len(sizes) < 2:
        return None
    right = Counter(cluster for cluster, hit in zip(clusters, hits, strict=True) if hit)
    n, total, count = len(hits), right.total(), len(sizes)
    share = total / n
    spread = math.fsum((right[cluster] - share * size) ** 2 for cluster, size in sizes.items())
    independent = n * share * (1 - share)
    effect = max(1.0, count / (count - 1) * spread / independent) if independent else 1.0
    low, high = wilson(total / effect, n / effect, student_t(count - 1))
    return {"value": share, "low": low, "high": high, "design_effect": effect, "clusters": count}


@lru_cache(maxsize=256)
def student_t(degrees: int) -> float:
    """The two-sided 95 % quantile of Student's t distribution, for a whole number of degrees of freedom.

    By bisection of its distribution function: Abramowitz & Stegun 1964, equations 26.7.3 and 26.7.4.
    """
    low, high = 1.0, 13.0  # 1.96 for many degrees, 12.71 for one
    while high - low > 1e-12:
        middle = (low + high) / 2
        if _within(middle, degrees) < 0.95:
            low = middle
        else:
            high = middle
    return high


def _within(t: float, degrees: int) -> float:
    """The probability that Student's t lies between -t and t."""
    angle = math.atan2(t, math.sqrt(degrees))
    odd = degrees % 2 == 1
    term = math.cos(angle) if odd else 1.0
    terms = [] if degrees == 1 else [term]
    for k in range(3 if odd else 2, degrees - 1, 2):
        term *= math.cos(angle) ** 2 * (k - 1) / k
        terms.append(term)
    series = math.sin(angle) * math.fsum(terms)
    return 2 / math.pi * (angle + series) if odd else series


def mean_share(shares: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of independent shares with a 95 % interval: ``{"value", "low", "high"}``.

    The interval adds the shares' own in squares, each side for itself: Zou & Donner 2008, Statistics in
    Medicine 27:1693-1702 (MOVER).

    Args:
        shares: each with `value`, `low` and `high`; at least one.
    """
    count = len(shares)
    value = math.fsum(share["value"] for share in shares) / count
    below = math.hypot(*(share["value"] - share["low"] for share in shares)) / count
    above = math.hypot(*(share["high"] - share["value"] for share in shares)) / count
    return {"value": value, "low": max(0.0, value - below), "high": min(1.0, value + above)}


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
