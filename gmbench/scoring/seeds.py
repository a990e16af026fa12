"""Several seeds of one method: mean, sample deviation, and the difference of two methods.

Noise of the seed and noise of the test set are different things. The interval of one run
(``statistics.py``) shows the second, the deviation over seeds the first, and the hierarchical
bootstrap holds both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gmbench.scoring.statistics import (
    LEVEL,
    RESAMPLES,
    Floats,
    Interval,
    Ints,
    f1,
    resampled_sums,
    sample_sd,
)


@dataclass(frozen=True, slots=True)
class SeedSummary:
    """F1 (or any figure) over seeds; the best seed alone says nothing.

    Attributes:
        values: one a seed, as given.
        mean: of the figures themselves; P and R are never averaged into an F1.
        sd: with ``n - 1``; None for one seed.
    """

    values: tuple[float, ...]
    mean: float
    sd: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SeedDifference:
    """Mean F1 over seeds of one method minus that of another.

    Attributes:
        first, second: the two methods.
        delta: difference of the means with its interval by hierarchical bootstrap.
        not_better: share of resamples in which the first is not better, +1 in both terms.
    """

    first: SeedSummary
    second: SeedSummary
    delta: Interval
    not_better: float


def summarise(values: Sequence[float]) -> SeedSummary:
    """Mean, sample standard deviation, least and greatest.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no seeds to summarise")
    mean = math.fsum(values) / len(values)
    return SeedSummary(tuple(values), mean, sample_sd(values), min(values), max(values))


def compare_seeds(
    first: Sequence[Ints],
    second: Sequence[Ints],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> SeedDifference:
    """Hierarchical bootstrap: seeds of each method drawn by themselves, tweets drawn once for all.

    The interval is the plain percentile one: with a handful of seeds BCa's jackknife has no
    meaning. With one seed a method, only the test set varies.

    Args:
        first: a table ``[n, 3]`` for each seed of one method.
        second: the same of the other; rows of the same tweets throughout.
        resamples: number of draws.
        level: of confidence.
        seed: of the draws.

    Raises:
        ValueError: a method has no seed, or the tables differ in tweets or gold.
    """
    tables = [*first, *second]
    if not first or not second:
        raise ValueError("each method needs at least one seed")
    for number, table in enumerate(tables):
        if table.shape != tables[0].shape or (table[:, 2] != tables[0][:, 2]).any():
            raise ValueError(f"table {number} differs from table 0 in tweets or gold")
    one, two = (summarise([_value(table) for table in part]) for part in (first, second))
    value = one.mean - two.mean
    if len(tables[0]) < 2:
        return SeedDifference(one, two, Interval(value, None, None, level), 1.0)
    rows, weights = np.unique(np.concatenate(tables, axis=1), axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    sums = resampled_sums(rows, weights, resamples, rng).reshape(resamples, len(tables), 3)
    scores = f1(sums)
    drawn = _mean_of_drawn(scores[:, : len(first)], rng)
    drawn = drawn - _mean_of_drawn(scores[:, len(first) :], rng)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    not_better = (1 + int((drawn <= 1e-12).sum())) / (resamples + 1)
    return SeedDifference(one, two, Interval(value, float(low), float(high), level), not_better)


def _mean_of_drawn(scores: Floats, rng: np.random.Generator) -> Floats:
    """Mean over seeds drawn with replacement; ``scores`` is ``[resamples, seeds]``."""
    chosen = rng.integers(scores.shape[1], size=scores.shape)
    mean: Floats = np.take_along_axis(scores, chosen, axis=1).mean(axis=1)
    return mean


def _value(table: Ints) -> float:
    return float(f1(table.sum(axis=0)))
