"""Two methods over several seeds: one test that holds the noise of seeds and that of examples.

A *run* is one training with one seed; a *method* is what all its seeds have in common. Whether one
run beats another (``significance.py``) is a question about the test examples alone; whether one
method beats another also depends on the seeds that were drawn. One seed therefore compares runs,
not methods: it has neither an interval nor a p-value here.

The difference of mean F1 has two independent sources of variance:

- the examples, as the mean of many seeds would show them: the sum of squared influences of each
  example on the difference, less what differs between seeds of one method on the same example;
- the seeds: the sample variance of F1 over the seeds of each method, divided by their number.

Their sum is compared with Student's t at the degrees of freedom of Welch and Satterthwaite. How
often that is right was simulated: ``python -m tests.scoring.coverage``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gmbench.scoring.intervals import LEVEL, Floats, Interval, Ints, f1, sample_sd
from gmbench.scoring.significance import check_pair

LEAST_SEED_SHARE = 0.4
"""Least variance over seeds, as a share of what the examples alone make of it, since a few seeds
may agree by chance. Chosen with :data:`FREEDOM` by simulation."""
FREEDOM = 0.75
"""Factor on the degrees of freedom, which the same few seeds estimate."""


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


def summarise(values: Sequence[float]) -> SeedSummary:
    """Mean, sample standard deviation, least and greatest.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no seeds to summarise")
    mean = math.fsum(values) / len(values)
    return SeedSummary(tuple(values), mean, sample_sd(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class MethodDifference:
    """Mean F1 over seeds of one method minus that of another.

    Attributes:
        delta: the difference of the means; without ``low`` and ``high`` where a method has one
            seed.
        p: two-sided p-value, at most 5 % exactly where the interval excludes 0; None without it.
    """

    delta: Interval
    p: float | None


def compare_methods(
    first: Sequence[Ints], second: Sequence[Ints], *, paired: bool = False
) -> MethodDifference:
    """Interval and p-value of the difference between two methods.

    Args:
        first: counts (tp, pred, gold) per example ``[N, 3]``, one table per seed.
        second: the same of the other method; rows belong to the same examples throughout.
        paired: seed by seed both are answers of the same trained weights: the spread over seeds is
            then that of their differences.

    Raises:
        ValueError: a method has no seed, the tables differ in examples or gold, or paired methods
            in the number of seeds.
    """
    if not first or not second:
        raise ValueError("each method needs at least one seed")
    for table in (*first[1:], *second):
        check_pair(first[0], table)
    scores = [[float(f1(table.sum(axis=0))) for table in tables] for tables in (first, second)]
    examples = len(first[0])
    if min(len(first), len(second)) < 2 or examples < 2:
        value = summarise(scores[0]).mean - summarise(scores[1]).mean
        return MethodDifference(Interval(value, None, None), None)
    unbiased = examples / (examples - 1)
    moves = [influences(np.stack(tables)) for tables in (first, second)]  # [S, N] each
    if paired:  # one method, whose F1 is the difference, against nothing
        scores = [[a - b for a, b in zip(*scores, strict=True)], [0.0] * len(first)]
        moves = [moves[0] - moves[1], np.zeros_like(moves[0])]
    mean = moves[0].mean(axis=0) - moves[1].mean(axis=0)  # [S, N] -> [N]
    one, two = (unbiased * float(i.var(axis=0, ddof=1).sum()) / len(i) for i in moves)
    return difference_of(
        *scores, of_means=unbiased * float((mean**2).sum()), own=(one, two), examples=examples
    )


def difference_of(
    first: Sequence[float],
    second: Sequence[float],
    *,
    of_means: float,
    own: tuple[float, float],
    examples: int,
) -> MethodDifference:
    """The test itself.

    Args:
        first: F1 of two or more seeds of one method.
        second: the same of the other.
        of_means: variance of the difference of the mean F1 when examples are drawn again, with
            these very seeds.
        own: the part of it that each method's mean has by itself, since its seeds differ on the
            same example.
        examples: their number, at least 2.
    """
    value = summarise(first).mean - summarise(second).mean
    seeds = [float(np.var(scores, ddof=1)) / len(scores) for scores in (first, second)]
    # What differs between seeds on one example is in the spread of their F1 as well: counted once.
    over_examples = max(0.0, of_means - sum(own))
    variance = over_examples + sum(
        max(seen, LEAST_SEED_SHARE * part) for seen, part in zip(seeds, own, strict=True)
    )
    if variance < 1e-20:  # no variation but that of rounding
        return MethodDifference(Interval(value, value, value), float(abs(value) < 1e-10))
    from scipy.special import stdtr, stdtrit  # deferred: half of a fast verb's start

    parts = [(over_examples, examples), *zip(seeds, (len(first), len(second)), strict=True)]
    terms = sum(part**2 / (n - 1) for part, n in parts)
    most = examples - 1.0
    freedom = min(most, max(1.0, FREEDOM * variance**2 / terms)) if terms else most
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * variance**0.5
    p = float(2 * stdtr(freedom, -abs(value) / variance**0.5))
    return MethodDifference(Interval(value, value - reach, value + reach), p)


def influences(tables: Ints) -> Floats:
    """Influence of each example on the F1 of each seed: ``[S, N, 3]`` -> ``[S, N]``.

    F1 is ``2 tp / (pred + gold)`` of sums; this is its derivative by the weight of an example.
    """
    sums = tables.sum(axis=1, keepdims=True)  # [S, 1, 3]
    size = (sums[..., 1] + sums[..., 2]).astype(np.float64)  # [S, 1]
    own = 2 * tables[..., 0] - f1(sums) * (tables[..., 1] + tables[..., 2])  # [S, N]
    influences: Floats = np.divide(own, size, out=np.zeros_like(own), where=size > 0)
    return influences
