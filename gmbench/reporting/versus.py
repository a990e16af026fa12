"""Rows of a leaderboard against its best, tweet by tweet, where runs kept the counts of tweets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gmbench.reporting.comparison import CannotCompare, read_scored_run
from gmbench.reporting.index import Entry
from gmbench.scoring.counting import Task
from gmbench.scoring.paired import holm, randomisation_p
from gmbench.scoring.seeds import compare_seeds
from gmbench.scoring.statistics import (
    LEVEL,
    RESAMPLES,
    Interval,
    Ints,
    f1,
    resampled_sums,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """A row against the best.

    Attributes:
        delta: its mean F1 minus the best's, with the interval over seeds and tweets.
        p: two-sided, approximate randomisation by tweet on the counts summed over seeds.
        p_holm: adjusted for the rows of the table.
    """

    delta: Interval
    p: float
    p_holm: float

    @property
    def differs(self) -> bool:
        """Whether the difference stands at 5 % after Holm's correction."""
        return self.p_holm < 1 - LEVEL + 1e-12


def against_best(rows: Sequence[Sequence[Entry]], task: Task) -> list[Versus | None]:
    """Each row against the first; None for the first and for rows without counts of tweets."""
    if len(rows) < 2:
        return [None] * len(rows)
    best = tables_of(rows[0], task)
    found: list[tuple[Interval, float] | None] = [None]
    for row in rows[1:]:
        mine = tables_of(row, task) if best else []
        if not mine:
            found.append(None)
            continue
        seeds = min(len(best), len(mine))
        p = randomisation_p(summed(best[:seeds]), summed(mine[:seeds]))
        found.append((compare_seeds(mine, best).delta, p))
    adjusted = iter(holm([one[1] for one in found if one is not None]))
    return [
        None if one is None else Versus(delta=one[0], p=one[1], p_holm=next(adjusted))
        for one in found
    ]


def interval_of(entries: Sequence[Entry], task: Task) -> Interval | None:
    """Of the mean F1 over the runs when tweets are drawn again: noise of the test set alone."""
    tables = tables_of(entries, task)
    if not tables or len(tables[0]) < 2:
        return None
    joint = np.concatenate(tables, axis=1)
    rows, weights = np.unique(joint, axis=0, return_counts=True)
    drawn = resampled_sums(rows, weights, RESAMPLES, np.random.default_rng(0))
    means = f1(drawn.reshape(RESAMPLES, len(tables), 3)).mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float(f1(joint.sum(axis=0).reshape(len(tables), 3)).mean())
    return Interval(value, float(low), float(high))


def tables_of(entries: Sequence[Entry], task: Task) -> list[Ints]:
    """The counts by tweet of every run; nothing unless all of them have them."""
    tables = [table for entry in entries if (table := _table(entry, task)) is not None]
    return tables if len(tables) == len(entries) else []


def _table(entry: Entry, task: Task) -> Ints | None:
    try:
        table: Ints = getattr(read_scored_run(entry.folder).table, task)
    except (CannotCompare, ValueError, OSError):
        return None
    return table


def summed(tables: Sequence[Ints]) -> Ints:
    """The counts of several runs together, tweet by tweet."""
    total: Ints = np.sum(np.stack(tables), axis=0)
    return total
