"""Confidence intervals of P, R and F1 by resampling examples.

The unit is the example, since its entities depend on each other. A *table* of one task is
``[n, 3]`` integers ``tp, pred, gold``, one row per example, and F1 is a ratio of its sums, never
a mean of F1 per example. Everything here is a function of tables and a seed: examples with equal
rows are drawn together, so their order does not matter, and sums of integers are exact.

Degenerate cases: fewer than two examples have no interval (``low`` and ``high`` are None); a figure
that is the same in every resample has an interval of no width, which says that the data show no
variation, not that there is none.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.counting import Scores, score_document

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Figure = Literal["precision", "recall", "f1"]

RESAMPLES = 9_999
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its confidence interval, in the figure's own unit.

    Attributes:
        value: the figure itself.
        low: lower end; None with fewer than two examples.
        high: upper end; None with fewer than two examples.
        level: of confidence.
    """

    value: float
    low: float | None
    high: float | None
    level: float = LEVEL


@dataclass(frozen=True, slots=True)
class FigureIntervals:
    """Intervals of one task's figures."""

    precision: Interval
    recall: Interval
    f1: Interval


@dataclass(frozen=True, slots=True, eq=False)
class TweetTable:
    """The counts of every tweet: all that statistics need of a run.

    Attributes:
        ids: sorted.
        gmner: ``[n, 3]`` int64 ``tp, pred, gold``, in the order of ``ids``.
        mner: the same.
        eeg: the same.
    """

    ids: tuple[str, ...]
    gmner: Ints
    mner: Ints
    eeg: Ints


def tweet_table(
    gold: Mapping[str, Sequence[Entity]],
    predictions: Mapping[str, Sequence[Prediction]],
) -> TweetTable:
    """Count every tweet by the strict protocol.

    Raises:
        ValueError: the ids differ.
    """
    if gold.keys() != predictions.keys():
        differ = sorted(gold.keys() ^ predictions.keys())
        raise ValueError(f"gold and predictions differ in {len(differ)} ids, say {differ[0]!r}")
    ids = tuple(sorted(gold))
    return table_of(ids, (score_document(gold[i], predictions[i]) for i in ids))


def table_of(ids: Sequence[str], scores: Iterable[Scores]) -> TweetTable:
    """The table of tweets scored one by one, by whatever protocol; ``ids`` in order and sorted."""
    rows = [[(c.tp, c.pred, c.gold) for c in (s.gmner, s.mner, s.eeg)] for s in scores]
    cube = np.array(rows, dtype=np.int64).reshape(len(ids), 3, 3)
    return TweetTable(tuple(ids), cube[:, 0], cube[:, 1], cube[:, 2])


def figures(sums: NDArray[np.generic]) -> dict[Figure, Floats]:
    """P, R and F1 of sums ``[..., 3]``; 0.0 where the denominator is 0."""
    tp, pred, gold = (sums[..., n].astype(np.float64) for n in range(3))
    return {"precision": _ratio(tp, pred), "recall": _ratio(tp, gold), "f1": f1(sums)}


def f1(sums: NDArray[np.generic]) -> Floats:
    """F1 of sums ``[..., 3]``; 0.0 without predictions and gold."""
    tp, pred, gold = (sums[..., n].astype(np.float64) for n in range(3))
    return _ratio(2 * tp, pred + gold)


def intervals(
    *tables: Ints, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[FigureIntervals, ...]:
    """BCa intervals of P, R and F1 of several tasks, all on the same resampled examples.

    The bootstrap of Efron (1987), as ``scipy.stats.bootstrap(..., method="BCa")`` computes it.
    Each table is ``[n, 3]``, with one row per example in the same order. Without resamples the
    figures stand alone.

    Raises:
        ValueError: the tables differ in length.
    """
    lengths = {len(table) for table in tables}
    if len(lengths) != 1:
        raise ValueError(f"tables of the same tweets are needed, not of {sorted(lengths)} tweets")
    joint = np.concatenate(tables, axis=1)
    total = joint.sum(axis=0).reshape(len(tables), 3)
    if len(joint) < 2 or not resamples:
        return tuple(
            FigureIntervals(*(Interval(float(v), None, None) for v in figures(row).values()))
            for row in total
        )
    rows, weights = np.unique(joint, axis=0, return_counts=True)
    drawn = resampled_sums(rows, weights, resamples, np.random.default_rng(seed))
    left_out = joint.sum(axis=0) - rows
    found = []
    for number in range(len(tables)):
        columns = slice(3 * number, 3 * number + 3)
        values, stars = figures(total[number]), figures(drawn[:, columns])
        jackknife = figures(left_out[:, columns])
        ends = [
            bca(float(values[name]), stars[name], jackknife[name], weights)
            for name in ("precision", "recall", "f1")
        ]
        found.append(FigureIntervals(*ends))
    return tuple(found)


def resampled_sums(rows: Ints, weights: Ints, resamples: int, rng: np.random.Generator) -> Floats:
    """Column sums of tables drawn with replacement, ``[resamples, columns]``.

    ``weights`` counts the tweets that have each of the different ``rows``, ``[u, columns]``; each
    resample draws as many tweets as there are.
    """
    n = int(weights.sum())
    sums = np.empty((resamples, rows.shape[1]))
    step = max(1, 4_000_000 // max(1, len(rows)))
    for first in range(0, resamples, step):
        size = min(step, resamples - first)
        drawn = rng.multinomial(n, weights / n, size=size)
        # float64 holds these integers exactly, so no order of summation can show.
        sums[first : first + size] = drawn.astype(np.float64) @ rows.astype(np.float64)
    return sums


def bca(value: float, drawn: Floats, left_out: Floats, weights: Ints) -> Interval:
    """The bias-corrected and accelerated interval.

    ``left_out`` is the figure without one tweet of each kind, ``weights`` the size of each kind.
    """
    # Deferred: half of a fast verb's start.
    from scipy.special import ndtr, ndtri

    if np.ptp(drawn) == 0:
        return Interval(value, value, value)
    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    below = float(((drawn < value).mean() + (drawn <= value).mean()) / 2)
    if 0 < below < 1:
        mean = float(weights @ left_out) / float(weights.sum())
        apart = mean - left_out
        spread = float(weights @ apart**2)
        acceleration = float(weights @ apart**3) / (6 * spread**1.5) if spread > 0 else 0.0
        bias = float(ndtri(below))
        shifted = bias + ndtri(tails)
        if (acceleration * shifted < 1).all():
            tails = ndtr(bias + shifted / (1 - acceleration * shifted))
    # Where a value lies outside every resample, or one tweet outweighs all others, there is no
    # correction: the plain percentiles then.
    low, high = np.quantile(drawn, tails)
    return Interval(value, float(low), float(high))


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def sample_sd(values: Sequence[float]) -> float | None:
    """Standard deviation with ``n - 1``; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
