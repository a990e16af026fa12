"""Where the lost points of GMNER went: the choice, the decision that there is nothing, or the rest.

Errors are forgiven kind by kind, from a system's own score to the perfect one:

=============  ====================================================================
``choice``     text right; a wrong box, though a candidate covers the entity
``none``       text right; *not in the image* for an entity that a candidate covers,
               or a box for one that is not in the image
``candidates`` text right; no candidate covers the entity
``text``       all the rest: wrong, missing, superfluous and repeated names
=============  ====================================================================

After each step as many predictions and gold entities as possible are paired anew. What F1 gains by
a step is the step's part, so the parts add up to what is missing to 100 % by construction, and
neither order nor repetition can change them. GMNER and ``choice``, ``none`` and ``candidates``
together are MNER, so ``text`` is what is missing to a perfect MNER.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gmbench.core.entities import Box, Entity, Prediction
from gmbench.scoring.counting import matched, region_right, regions_right
from gmbench.scoring.intervals import RESAMPLES, Interval, intervals

CAUSES = ("choice", "none", "candidates", "text")
"""In the order in which they are forgiven."""

Spans = dict[tuple[int, int, str], tuple[list[Entity], list[Prediction]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One cause.

    Attributes:
        errors: predictions and gold entities that it keeps from being right.
        points: of F1 that it costs (0..1).
    """

    errors: int
    points: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class LostPoints:
    """The split of a corpus; predictions and gold are ``2 tp`` and the errors of all parts.

    Attributes:
        tp: true positives of GMNER.
        gmner: F1.
        parts: by name, in the order of ``CAUSES``.
        recall: share of the groundable entities with the right text that a candidate covers; None
            if no such entity was found, or without candidates.
    """

    tp: int
    pred: int
    gold: int
    gmner: Interval
    parts: Mapping[str, Part]
    recall: Interval | None


def lost_points(
    gold: Mapping[str, Sequence[Entity]],
    predictions: Mapping[str, Sequence[Prediction]],
    candidates: Mapping[str, Sequence[Box]] | None,
    *,
    iou_threshold: float = 0.5,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> LostPoints:
    """Split what GMNER lacks to 100 %, with intervals over examples.

    Args:
        gold: by example id.
        predictions: of every example.
        candidates: what the system chose from, of every example; None if it draws its boxes: then
            no entity lacks a candidate.
        iou_threshold: least IoU of a box, or of a candidate that covers an entity.
        resamples: of the intervals; 0 = no intervals.
        seed: of the resamples.
    """
    rows = np.array(
        [
            (
                *_stages(gold[i], predictions[i], boxes, iou_threshold),
                len(predictions[i]),
                len(gold[i]),
            )
            for i in sorted(gold)
            for boxes in [None if candidates is None else candidates[i]]
        ],
        dtype=np.int64,
    ).reshape(len(gold), 8)
    right, size, found = rows[:, :4], rows[:, 6:], rows[:, 4:6]
    tables = [np.column_stack([n, size]) for n in (right[:, 0], *np.diff(right).T, right[:, -1])]
    named = np.column_stack([found, found[:, 1]])  # covered of groundable
    *of_f1, of_recall = intervals(*tables, named, resamples=resamples, seed=seed)
    gmner, *causes, mner = (one.f1 for one in of_f1)
    errors = [2 * int(gained) for gained in np.diff(right.sum(axis=0))]
    errors.append(int(size.sum() - 2 * right[:, -1].sum()))
    causes.append(_missing(mner, anything=bool(size.sum())))
    return LostPoints(
        tp=int(right[:, 0].sum()),
        pred=int(size[:, 0].sum()),
        gold=int(size[:, 1].sum()),
        gmner=gmner,
        parts={
            name: Part(errors=n, points=points)
            for name, n, points in zip(CAUSES, errors, causes, strict=True)
        },
        recall=of_recall.recall if candidates is not None and found[:, 1].any() else None,
    )


def _stages(
    gold: Sequence[Entity],
    pred: Sequence[Prediction],
    boxes: Sequence[Box] | None,
    iou_threshold: float,
) -> tuple[int, ...]:
    """Pairs of one example that are right at first, and after each step but the last.

    Behind them the groundable entities with the right text: covered ones, and all.
    """
    spans: Spans = {}
    for entity in gold:
        spans.setdefault((entity.start, entity.end, entity.type), ([], []))[0].append(entity)
    for guess in pred:
        spans.setdefault((guess.start, guess.end, guess.type), ([], []))[1].append(guess)
    sums = [0] * 6
    for entities, guesses in spans.values():
        if not entities or not guesses:
            continue
        covered = [
            boxes is None or any(region_right(box, e.boxes, iou_threshold) for box in boxes)
            for e in entities
        ]
        after = _forgiven_after(entities, guesses, covered, iou_threshold)
        for step in range(3):
            sums[step] += matched(after <= step)
        sums[3] += min(len(entities), len(guesses))
        sums[4] += sum(c for e, c in zip(entities, covered, strict=True) if e.groundable)
        sums[5] += sum(e.groundable for e in entities)
    return tuple(sums)


def _forgiven_after(
    entities: Sequence[Entity],
    guesses: Sequence[Prediction],
    covered: Sequence[bool],
    iou_threshold: float,
) -> NDArray[np.int64]:
    """After how many steps a pair of equal text counts as right, ``[P, G]``: 0 to 3."""
    boxed = np.asarray([p.box is not None for p in guesses], dtype=bool)[:, None]  # [P, 1]
    groundable = np.asarray([e.groundable for e in entities], dtype=bool)[None]  # [1, G]
    steps = np.where(boxed & groundable, 1, 2)
    steps = np.where(groundable & ~np.asarray(covered, dtype=bool)[None], 3, steps)
    return np.where(regions_right(guesses, entities, iou_threshold), 0, steps).astype(np.int64)


def _missing(mner: Interval, *, anything: bool) -> Interval:
    """What an F1 lacks to 1; nothing where there is nothing to find and nothing was found."""
    if not anything:
        return replace(mner, value=0.0)
    low, high = (None if end is None else 1 - end for end in (mner.high, mner.low))
    return Interval(1 - mner.value, low, high)
