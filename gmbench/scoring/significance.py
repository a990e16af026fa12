"""Two runs on the same tweets: paired bootstrap, approximate randomisation, Holm.

Tables are those of ``intervals``. Gold must be the same, tweet by tweet. What is found holds for
these two runs; of methods, whose other seeds give other runs, ``methods.py`` speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gmbench.scoring.counting import TASKS, Task
from gmbench.scoring.intervals import (
    RESAMPLES,
    Floats,
    Interval,
    Ints,
    TweetTable,
    bca,
    f1,
    resampled_sums,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """F1 of the first system minus F1 of the second, on one task.

    Attributes:
        first, second: F1 of each.
        delta: the difference with its interval by paired bootstrap (BCa).
        not_better: share of resamples in which the first is not better, +1 in both terms. A
            statement of confidence, not a p-value.
        p: two-sided p-value of approximate randomisation.
    """

    first: float
    second: float
    delta: Interval
    not_better: float
    p: float


def compare_f1(
    first: Ints, second: Ints, *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Compare two runs on one task.

    Args:
        first: ``[n, 3]`` of one system.
        second: rows of the same tweets in the same order.
        resamples: of the bootstrap and of the randomisation, each.
        seed: of the draws.

    Raises:
        ValueError: the tables differ in tweets or in gold.
    """
    check_pair(first, second)
    delta, not_better = paired_bootstrap(first, second, resamples=resamples, seed=seed)
    return Difference(
        first=float(f1(first.sum(axis=0))),
        second=float(f1(second.sum(axis=0))),
        delta=delta,
        not_better=not_better,
        p=randomisation_p(first, second, resamples=resamples, seed=seed),
    )


def paired_bootstrap(
    first: Ints, second: Ints, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Interval, float]:
    """The difference of F1 with its interval, and the share of draws where the first is not better.

    The same drawn tweets serve both systems (Koehn 2004).
    """
    check_pair(first, second)
    joint = np.concatenate([first, second], axis=1)
    total = joint.sum(axis=0)
    value = float(_delta(total))
    if len(joint) < 2:
        return Interval(value, None, None), 1.0
    rows, weights = np.unique(joint, axis=0, return_counts=True)
    drawn = _delta(resampled_sums(rows, weights, resamples, np.random.default_rng(seed)))
    interval = bca(value, drawn, _delta(total - rows), weights)
    return interval, (1 + int((drawn <= 1e-12).sum())) / (resamples + 1)


def randomisation_p(
    first: Ints, second: Ints, *, resamples: int = RESAMPLES, seed: int = 0
) -> float:
    """Two-sided p-value: how often swapping answers at random gives as large a difference.

    The two systems' answers to each tweet are exchanged with probability 1/2;
    ``p = (1 + #{|delta*| >= |delta|}) / (resamples + 1)``.
    """
    check_pair(first, second)
    change, weights = np.unique(second - first, axis=0, return_counts=True)
    moving = change.any(axis=1)
    change, weights = change[moving], weights[moving]
    if not len(change):
        return 1.0
    rng = np.random.default_rng(seed)
    total_first, total_second = first.sum(axis=0), second.sum(axis=0)
    observed = abs(float(f1(total_first) - f1(total_second)))
    swapped = rng.binomial(weights, 0.5, size=(resamples, len(weights)))
    moved = swapped @ change
    drawn = np.abs(f1(total_first + moved) - f1(total_second - moved))
    # Equal fractions of other integers may differ in the last bit; they must count as equal.
    return (1 + int((drawn >= observed - 1e-12).sum())) / (resamples + 1)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values of a family of comparisons (Holm 1979), in the order given.

    Raises:
        ValueError: a p-value does not lie in 0..1.
    """
    for p in p_values:
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"a p-value must lie in 0..1, not {p}")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return tuple(adjusted)


def check_pair(first: Ints, second: Ints) -> None:
    """Raise a ``ValueError`` if two tables differ in tweets or in gold."""
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} tweets against {len(second)}: not the same data")
    if (first[:, 2] != second[:, 2]).any():
        place = int(np.flatnonzero(first[:, 2] != second[:, 2])[0])
        raise ValueError(f"the gold of row {place} differs: not the same data or protocol")


def _delta(sums: Floats | Ints) -> Floats:
    return f1(sums[..., :3]) - f1(sums[..., 3:])


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """One task.

    Attributes:
        p_holm: p of the randomisation test, adjusted for the tasks compared together.
    """

    task: Task
    difference: Difference
    p_holm: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first system against the second.

    Attributes:
        n: tweets.
        resamples: of each bootstrap and of each test.
        seed: of the draws.
    """

    n: int
    resamples: int
    seed: int
    tasks: tuple[TaskComparison, ...]


def compare(
    first: TweetTable,
    second: TweetTable,
    *,
    tasks: Sequence[Task] = TASKS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Paired bootstrap and approximate randomisation of each task, Holm over the tasks.

    Args:
        first: counts of one system.
        second: counts of the other, by the same protocol.
        tasks: the family.
        resamples: of each bootstrap and of each test.
        seed: of the draws.

    Raises:
        ValueError: the two differ in tweets or in gold.
    """
    if first.ids != second.ids:
        differ = sorted(set(first.ids) ^ set(second.ids))
        named = f"{len(differ)} ids, say {differ[0]!r}" if differ else "the order of their ids"
        raise ValueError(f"the two differ in {named}: not the same tweets")
    found = [
        compare_f1(getattr(first, task), getattr(second, task), resamples=resamples, seed=seed)
        for task in tasks
    ]
    adjusted = holm([difference.p for difference in found])
    rows = zip(tasks, found, adjusted, strict=True)
    return Comparison(len(first.ids), resamples, seed, tuple(TaskComparison(*row) for row in rows))
