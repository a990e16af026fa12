"""How well a model knows that an entity is not in the image.

The population is the predictions whose span is that of a gold entity (the truth of others is not
known), the outcome is 1 where that entity has no box, and ``p`` is the model's probability of it. A
constant at the base rate has a calibration error of 0, so always read it with the Brier score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.intervals import LEVEL, Floats, Interval, Ints, resampled_sums

BINS = 15
RESAMPLES = 999


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Predictions of similar probability: mean probability and observed frequency."""

    n: int
    said: float
    was: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of the no-target decision.

    Attributes:
        n: predictions whose span is a gold span.
        base_rate: share of them that is not in the image.
        brier: mean squared error of ``p``.
        brier_constant: the Brier score of always predicting the base rate.
        nll: mean negative log likelihood, with ``p`` kept 1e-12 off 0 and 1.
        auc: chance that an entity without box has the greater ``p`` than one with; None if only
            one kind is there. Discrimination, not calibration.
        ece: expected calibration error over 15 bins of equal width, with the percentile interval
            of 999 resamples of tweets. Both are biased upward where there are few predictions.
        ece_equal_mass: the same over 15 bins that hold equally many.
        bins: reliability curve over the bins of equal mass.
    """

    n: int
    base_rate: float
    brier: float
    brier_constant: float
    nll: float
    auc: float | None
    ece: Interval
    ece_equal_mass: Interval
    bins: tuple[ReliabilityBin, ...]


def calibration(
    gold: Mapping[str, Sequence[Entity]],
    predictions: Mapping[str, Sequence[Prediction]],
    *,
    seed: int = 0,
) -> Calibration | None:
    """Calibration of every ``no_target`` whose truth is known; None if there is none."""
    tweets, said, was = _population(gold, predictions)
    if not len(said):
        return None
    rate = float(was.mean())
    clipped = said.clip(1e-12, 1 - 1e-12)
    inside = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    mass = _equal_mass(said)
    members = [mass == number for number in range(int(np.max(mass)) + 1)]
    return Calibration(
        n=len(said),
        base_rate=rate,
        brier=float(((said - was) ** 2).mean()),
        brier_constant=rate * (1 - rate),
        nll=float(-np.log(np.where(was > 0, clipped, 1 - clipped)).mean()),
        auc=_auc(said, was),
        ece=_ece(tweets, said, was, inside, seed),
        ece_equal_mass=_ece(tweets, said, was, mass, seed),
        bins=tuple(
            ReliabilityBin(int(m.sum()), float(said[m].mean()), float(was[m].mean()))
            for m in members
        ),
    )


def _population(
    gold: Mapping[str, Sequence[Entity]], predictions: Mapping[str, Sequence[Prediction]]
) -> tuple[Floats, Floats, Floats]:
    """Tweet number, ``p`` and outcome of each prediction on a gold span, tweets by id."""
    rows = []
    for tweet, id_ in enumerate(sorted(gold)):
        free: dict[tuple[int, int], list[bool]] = {}
        for entity in sorted(gold[id_], key=lambda e: (e.type, e.boxes)):
            free.setdefault((entity.start, entity.end), []).append(not entity.groundable)
        # One gold entity serves one prediction; equal spans, rare, pair off in a fixed order.
        for guess in sorted(predictions[id_], key=lambda p: (p.type, -p.score, p.no_target or 0)):
            left = free.get((guess.start, guess.end))
            if left and guess.no_target is not None:
                rows.append((tweet, guess.no_target, float(left.pop(0))))
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    table = table[np.lexsort(table.T[::-1])]
    return table[:, 0], table[:, 1], table[:, 2]


def _equal_mass(said: Floats) -> Ints:
    """Bin of each prediction, ``BINS`` of them at most; equal probabilities share one."""
    ends = np.unique(np.quantile(said, np.linspace(0, 1, BINS + 1)[1:-1]))
    place = np.searchsorted(ends, said, side="left")
    _, dense = np.unique(place, return_inverse=True)
    return np.asarray(dense, dtype=np.int64)


def _ece(tweets: Floats, said: Floats, was: Floats, bins: Ints, seed: int) -> Interval:
    """Mean over predictions of the gap between their bin's mean confidence and frequency."""
    numbers, tweet = np.unique(tweets, return_inverse=True)
    gaps = np.zeros((len(numbers), int(np.max(bins)) + 1))
    sizes = np.zeros(len(numbers))
    np.add.at(gaps, (tweet, bins), said - was)
    np.add.at(sizes, tweet, 1.0)
    value = float(np.abs(gaps.sum(axis=0)).sum() / sizes.sum())
    if len(numbers) < 2:
        return Interval(value, None, None)
    table = np.concatenate([gaps, sizes[:, None]], axis=1)
    ones = np.ones(len(table), dtype=np.int64)
    sums = resampled_sums(table, ones, RESAMPLES, np.random.default_rng(seed))
    drawn = np.abs(sums[:, :-1]).sum(axis=1) / sums[:, -1]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def _auc(said: Floats, was: Floats) -> float | None:
    """Mann-Whitney's statistic as a share; ties count half."""
    positive, negative = np.sort(said[was > 0]), np.sort(said[was == 0])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, side="left")
    up_to = np.searchsorted(negative, positive, side="right")
    return float((below + up_to).sum() / (2 * len(positive) * len(negative)))
