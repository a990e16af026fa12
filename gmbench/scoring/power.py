"""How many seeds and examples tell two methods apart: the power of the test in ``methods``.

From finished runs come three variances of a difference of mean F1: what a seed changes on every
example alike (*skill*), what it changes on single examples (*luck*), and what the examples change
for all seeds (*shared*). More seeds divide the first two, more examples the last two. Power is the
share of simulated pairs with a known difference that :func:`difference_of` tells apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gmbench.scoring.intervals import LEVEL, Ints, f1
from gmbench.scoring.methods import difference_of, influences

DRAWS = 300
"""Simulated pairs per design: a power of 80 % is then accurate to 5 points."""
WANTED = 0.8
MOST_SEEDS = 50
TIMES = (1, 2, 4)
"""Multiples of the test set that are planned for."""
SEEDS = (2, 3, 5, 10, 20, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Variances of F1, in squares of its own unit (0..1), on ``examples`` examples.

    Attributes:
        skill: of one seed, on every example alike.
        luck: of one seed, on single examples.
        shared: of the difference of two methods, by the choice of examples.
        examples: their number.
        methods: number of methods that it was estimated from; with one, the other method is taken
            to err independently of it, which is an upper bound.
        seeds: number of their runs.
    """

    skill: float
    luck: float
    shared: float
    examples: int
    methods: int
    seeds: int


def spread_of(methods: Sequence[Sequence[Ints]]) -> Spread:
    """Pool the variances of methods, each with two or more seeds; ``shared`` is against the first.

    Args:
        methods: by method and seed, counts ``[N, 3]`` of the same examples.

    Raises:
        ValueError: there is no method, or one with fewer than two seeds, or fewer than 2 examples.
    """
    if not methods or min(map(len, methods)) < 2 or len(methods[0][0]) < 2:
        raise ValueError("needs methods with at least two seeds each, and two examples")
    n = len(methods[0][0])
    unbiased = n / (n - 1)
    moves = [influences(np.stack(tables)) for tables in methods]  # [S, N] each
    lucks = [unbiased * float(move.var(axis=0, ddof=1).sum()) for move in moves]
    seen = [float(np.var([f1(t.sum(axis=0)) for t in tables], ddof=1)) for tables in methods]
    means = [move.mean(axis=0) for move in moves]
    pairs = [(0, place) for place in range(1, len(methods))] or [(0, 0)]
    shared = []
    for one, two in pairs:
        own = lucks[one] / len(methods[one]) + lucks[two] / len(methods[two])
        between = means[one] - means[two]
        variance = float((between**2).sum()) if one != two else 2 * float((means[one] ** 2).sum())
        shared.append(max(0.0, unbiased * variance - own))
    # Each method counts by its degrees of freedom.
    freedom = [len(tables) - 1 for tables in methods]
    luck, total = (float(np.average(parts, weights=freedom)) for parts in (lucks, seen))
    return Spread(
        skill=max(0.0, total - luck),
        luck=luck,
        shared=float(np.mean(shared)),
        examples=n,
        methods=len(methods),
        seeds=sum(map(len, methods)),
    )


def power(
    spread: Spread,
    difference: float,
    *,
    seeds: int,
    examples: int,
    comparisons: int = 1,
    draws: int = DRAWS,
) -> float:
    """Share of pairs, this far apart in the long run, whose p is significant after correction.

    Args:
        spread: of the methods.
        difference: of F1, in its own unit (0..1).
        seeds: of each method, at least 2.
        examples: of the test set.
        comparisons: tests of the table; as Holm's first step, p must be 5 % divided by them.
        draws: simulated pairs, always the same ones.
    """
    rng = np.random.default_rng(0)
    scale = spread.examples / examples
    luck, shared = spread.luck * scale, spread.shared * scale
    sd = (spread.skill + luck) ** 0.5
    offsets = difference + shared**0.5 * rng.standard_normal(draws)
    runs = sd * rng.standard_normal((draws, 2, MOST_SEEDS))[:, :, :seeds]
    level = (1 - LEVEL) / comparisons
    found = 0
    for offset, (first, second) in zip(offsets, runs, strict=True):
        test = difference_of(
            (first + offset).tolist(),
            second.tolist(),
            of_means=shared + 2 * luck / seeds,
            own=(luck / seeds, luck / seeds),
            examples=examples,
        )
        found += test.p is not None and test.p <= level
    return found / draws


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A number of seeds per method and of examples, and its power."""

    seeds: int
    examples: int
    power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What it takes to tell a difference apart.

    Attributes:
        difference: in points of F1.
        comparisons: tests of the table that Holm corrects for.
        designs: powers over a grid.
        needed: by number of examples, the fewest seeds with a power of ``WANTED``; None if more
            than ``MOST_SEEDS`` are needed.
    """

    difference: float
    comparisons: int
    spread: Spread
    designs: tuple[Design, ...]
    needed: tuple[tuple[int, int | None], ...]


def plan(methods: Sequence[Sequence[Ints]], points: float, *, comparisons: int = 1) -> Plan:
    """Plan a comparison of two methods like these whose F1 differ by so many points."""
    spread = spread_of(methods)
    designs, needed = [], []
    for times in TIMES:
        examples = times * spread.examples

        def at(seeds: int, examples: int = examples) -> float:
            return power(
                spread, points / 100, seeds=seeds, examples=examples, comparisons=comparisons
            )

        designs += [Design(seeds=s, examples=examples, power=at(s)) for s in SEEDS]
        needed.append((examples, _fewest(at)))
    return Plan(
        difference=points,
        comparisons=comparisons,
        spread=spread,
        designs=tuple(designs),
        needed=tuple(needed),
    )


def _fewest(power_at: Callable[[int], float]) -> int | None:
    """The fewest seeds with the wanted power, by bisection; None if ``MOST_SEEDS`` lack it."""
    low, high = 1, MOST_SEEDS
    if power_at(high) < WANTED:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_at(middle) >= WANTED else (middle, high)
    return high
