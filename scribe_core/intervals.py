"""Intervals for the figures that scribe prints."""

import random
from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a proportion, 95 % by default (Wilson, 1927)."""
    if trials == 0:
        return 0.0, 1.0
    rate, spread = successes / trials, z * z / trials
    centre = (rate + spread / 2) / (1 + spread)
    half = z * sqrt(rate * (1 - rate) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap(
    values: Sequence[float], level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron, 1979); paired, if `values` are differences of pairs."""
    if not values:
        raise ValueError("an interval needs at least one value")
    rng = random.Random(seed)  # noqa: S311 - statistics, not secrets
    means = sorted(fmean(rng.choices(values, k=len(values))) for _ in range(draws))
    tail = (1 - level) / 2
    return means[int(tail * draws)], means[min(draws - 1, int((1 - tail) * draws))]


_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def student(values: Sequence[float]) -> tuple[float, float]:
    """95 % t interval of the mean of 2 to 10 values, such as one per seed (Student, 1908)."""
    if not 2 <= len(values) <= len(_T_975) + 1:
        raise ValueError(f"a t interval is for 2 to {len(_T_975) + 1} values; got {len(values)}")
    half = _T_975[len(values) - 2] * stdev(values) / sqrt(len(values))
    return fmean(values) - half, fmean(values) + half
