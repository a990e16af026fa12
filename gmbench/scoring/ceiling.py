"""What a model's build allows: the score with perfect choices.

A proposal-based model answers with one of the first K candidates, so an entity that none of them
covers is lost before it starts. A model with one region a type and sentence loses every entity
that another of its type was preferred to. Other proposal-free models have no such ceiling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gmbench.scoring.counting import Counts
from gmbench.scoring.grounding import THRESHOLDS
from gmbench.scoring.matching import iou, region_right
from gmbench.structures import Box, Entity, Example, Prediction


@dataclass(frozen=True, slots=True)
class RegionCeiling:
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


def region_ceiling(
    examples: Sequence[Example], predictions: Mapping[str, Sequence[Prediction]], k: int
) -> RegionCeiling:
    """The ceiling of a model that chooses among the first ``k`` candidates of each example.

    Args:
        examples: gold with candidates; an example without any covers nothing.
        predictions: of the model, by id.
        k: candidates that it sees.
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
    return RegionCeiling(
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
