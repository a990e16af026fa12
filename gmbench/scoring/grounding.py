"""Grounding by itself: over IoU thresholds, given the right text, and its upper bounds.

A proposal-based model answers with one of the first K candidates, so an entity that none of them
covers is lost before it starts. A model with one region per type and sentence loses every entity
that another of its type was preferred to. Other proposal-free models have no such bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gmbench.core.entities import Box, Entity, Example, Prediction
from gmbench.core.iou import iou
from gmbench.scoring.counting import Counts, match, region_right, score_corpus

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""0.5:0.05:0.95, as COCO's."""

Documents = Sequence[tuple[Sequence[Entity], Sequence[Prediction]]]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Micro F1 at each of ``THRESHOLDS``, the least IoU of a right box (the protocol's: 0.5)."""

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


@dataclass(frozen=True, slots=True)
class RegionUpperBound:
    """Coverage of the gold boxes by the first 1, 2, ... k candidates.

    Attributes:
        k: candidates that the model may choose from; of each example as many as there are.
        groundable: gold entities with a box.
        ungroundable: gold entities without.
        covered: groundable entities with some box at IoU 0.5 or more with some of the first
            1, 2, ... k candidates.
        average_recall: at k, mean over IoU 0.5:0.05:0.95.
        identical: groundable entities with a candidate that *is* one of their boxes. More than a
            few mean that gold boxes were put among the candidates.
        oracle: GMNER counts of the model's own spans and types with the right region wherever the
            entity is covered or ungroundable. GMNER to oracle is what choosing loses, oracle to
            MNER what the candidates lose.
    """

    k: int
    groundable: int
    ungroundable: int
    covered: tuple[int, ...]
    average_recall: float
    identical: int
    oracle: Counts

    @property
    def recall(self) -> tuple[float, ...]:
        """Region recall at 1, 2, ... k."""
        return tuple(c / self.groundable if self.groundable else 0.0 for c in self.covered)

    @property
    def gmner(self) -> tuple[float, ...]:
        """Greatest GMNER recall at 1, 2, ... k; P and F1 too, if the text side is perfect."""
        gold = self.groundable + self.ungroundable
        return tuple((c + self.ungroundable) / gold if gold else 0.0 for c in self.covered)


def region_upper_bound(
    examples: Sequence[Example], predictions: Mapping[str, Sequence[Prediction]], k: int
) -> RegionUpperBound:
    """The upper bound of a model that chooses among the first ``k`` candidates of each example.

    An example without candidates covers nothing.
    """
    covered = [0] * k
    groundable = ungroundable = identical = 0
    recalls = [0] * len(THRESHOLDS)
    oracle = Counts()
    for example in examples:
        boxes = _first(example, k)
        reachable = []
        for entity in example.entities:
            if not entity.groundable:
                ungroundable += 1
                reachable.append(entity)
                continue
            groundable += 1
            identical += any(box in entity.boxes for box in boxes)
            best = [max(iou(box, gold) for gold in entity.boxes) for box in boxes]
            for number, threshold in enumerate(THRESHOLDS):
                recalls[number] += any(value >= threshold for value in best)
            first = next((n for n, value in enumerate(best) if value >= THRESHOLDS[0]), None)
            if first is not None:
                reachable.append(entity)
                for place in range(first, k):
                    covered[place] += 1
        guesses = predictions[example.id]
        oracle += Counts(_text_right(reachable, guesses), len(guesses), len(example.entities))
    return RegionUpperBound(
        k=k,
        groundable=groundable,
        ungroundable=ungroundable,
        covered=tuple(covered),
        average_recall=sum(recalls) / (len(recalls) * groundable) if groundable else 0.0,
        identical=identical,
        oracle=oracle,
    )


def _first(example: Example, k: int) -> list[Box]:
    if example.candidates is None:
        return []
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in example.candidates.boxes[:k].tolist()]


def _text_right(gold: Sequence[Entity], pred: Sequence[Prediction]) -> int:
    """Pairs of equal span and type."""
    golds = [(e.start, e.end, e.type) for e in gold]
    preds = [(p.start, p.end, p.type) for p in pred]
    return sum(min(golds.count(name), preds.count(name)) for name in dict.fromkeys(golds))


def best_region_a_type(entities: Sequence[Entity]) -> dict[str, Box | None]:
    """The region that is right for most entities of each type in one tweet.

    Choices are the gold boxes of the type, and none. A box between two gold boxes may now and then
    be right for both where neither of them is; it is not looked for.
    """
    best: dict[str, Box | None] = {}
    for kind in {entity.type: None for entity in entities}:
        same = [entity for entity in entities if entity.type == kind]
        choices = dict.fromkeys((None, *(box for entity in same for box in entity.boxes)))
        right = {box: sum(region_right(box, e.boxes) for e in same) for box in choices}
        best[kind] = max(right, key=lambda box: right[box])  # the first of equals
    return best
