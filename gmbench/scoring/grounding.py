"""Grounding by itself: the score over IoU thresholds, and how good boxes are given the text."""

from collections.abc import Sequence
from dataclasses import dataclass

from gmbench.scoring.counting import score_corpus
from gmbench.scoring.matching import iou, match, region_right
from gmbench.structures import Entity, Prediction

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""0.5:0.05:0.95, as COCO's."""

Documents = Sequence[tuple[Sequence[Entity], Sequence[Prediction]]]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Micro F1 by the least IoU of a right box; the protocol's own is 0.5.

    Attributes:
        thresholds: ``THRESHOLDS``.
        gmner: F1 at each.
        eeg: F1 at each.
    """

    thresholds: tuple[float, ...]
    gmner: tuple[float, ...]
    eeg: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GivenText:
    """Regions of the predictions whose span and type are right.

    Attributes:
        pairs: predictions matched in MNER, and how many of them have the right region.
        right: the region is right, *none* included.
        groundable: pairs whose gold entity has a box.
        mean_iou: of those, with their best gold box; an answer without box has 0. None without
            any.
        accuracy: share of those with at least each threshold's IoU. Empty without any.
    """

    pairs: int
    right: int
    groundable: int
    mean_iou: float | None
    accuracy: tuple[float, ...]


def sweep(documents: Documents) -> Sweep:
    """Score a corpus at every threshold."""
    scores = [score_corpus(documents, threshold).micro for threshold in THRESHOLDS]
    return Sweep(THRESHOLDS, tuple(s.gmner.f1 for s in scores), tuple(s.eeg.f1 for s in scores))


def given_text(documents: Documents) -> GivenText:
    """Judge the regions of what MNER counts as right."""
    pairs = right = 0
    overlaps: list[float] = []
    for gold, pred in documents:
        for guess, entity in _text_pairs(gold, pred):
            pairs += 1
            right += region_right(guess.box, entity.boxes)
            if entity.boxes:
                overlaps.append(_best(guess, entity))
    overlaps.sort()  # so that the sum does not depend on the order of tweets
    n = len(overlaps)
    return GivenText(
        pairs=pairs,
        right=right,
        groundable=n,
        mean_iou=sum(overlaps) / n if n else None,
        accuracy=tuple(sum(o >= t for o in overlaps) / n for t in THRESHOLDS) if n else (),
    )


def _text_pairs(
    gold: Sequence[Entity], pred: Sequence[Prediction]
) -> list[tuple[Prediction, Entity]]:
    """A maximum matching by span and type; among equals a right region comes first."""
    golds = sorted(gold, key=lambda e: e.boxes)
    preds = sorted(pred, key=lambda p: (p.box is not None, p.box or ()))
    pairs = []
    for only_right in (True, False):
        edges = [
            [
                g
                for g, e in enumerate(golds)
                if (p.start, p.end, p.type) == (e.start, e.end, e.type)
                and (not only_right or region_right(p.box, e.boxes))
            ]
            for p in preds
        ]
        found = match(edges)
        pairs += [(preds[p], golds[g]) for g, p in sorted(found.items())]
        golds = [e for g, e in enumerate(golds) if g not in found]
        preds = [p for n, p in enumerate(preds) if n not in set(found.values())]
    return pairs


def _best(guess: Prediction, entity: Entity) -> float:
    return 0.0 if guess.box is None else max(iou(guess.box, box) for box in entity.boxes)
