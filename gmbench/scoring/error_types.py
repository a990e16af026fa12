"""What is wrong with a wrong prediction, and what repairing it would be worth (after TIDE).

Every prediction and every gold entity of a tweet gets one verdict. The stages follow one another,
and each pairs as many as it can of what is left:

===============  ==================================================================
``correct``      span, type and region right
``type``         span and region right
``region``       span and type right
``type_region``  span right only
``duplicate``    a left-over prediction on the span of a gold entity that has its pair
``span``         the spans share a word; those that share most are tried first
``spurious``     a left-over prediction
``missed``       a left-over gold entity
===============  ==================================================================

So ``pred`` is the sum of all but ``missed``, ``gold`` that of all but ``duplicate`` and
``spurious``, and ``correct`` is the GMNER true positives. Order changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gmbench.core.entities import Entity, Prediction
from gmbench.core.iou import iou
from gmbench.scoring.counting import Counts, match, region_right

PAIRS = ("type", "region", "type_region", "span")
KINDS = (*PAIRS, "duplicate", "spurious", "missed")
REGIONS = ("none_for_box", "box_for_none", "other_entity", "poor_box", "wrong_box")
POOR = 0.1
"""From this IoU on a wrong box is a poor one (TIDE's background threshold)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One prediction, one gold entity, or a pair of them.

    Attributes:
        kind: ``correct`` or one of ``KINDS``.
        region: for ``region`` and ``type_region`` one of ``REGIONS``, else None.
    """

    kind: str
    gold: Entity | None
    pred: Prediction | None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One kind of error in a corpus.

    Attributes:
        gain: GMNER F1 gained if this kind alone were repaired: pairs become true positives,
            duplicate and spurious predictions and missed entities vanish. Gains do not add up.
    """

    count: int
    gain: float


@dataclass(frozen=True, slots=True)
class Decomposition:
    """All errors of a corpus.

    Attributes:
        correct: GMNER true positives.
        kinds: by name, in the order of ``KINDS``.
        regions: wrong regions by kind; they add up to ``region`` and ``type_region``.
    """

    correct: int
    pred: int
    gold: int
    kinds: Mapping[str, ErrorKind]
    regions: Mapping[str, int]


def judge(gold: Sequence[Entity], pred: Sequence[Prediction]) -> tuple[Verdict, ...]:
    """Verdicts of one tweet, stage by stage."""
    golds = sorted(gold, key=lambda e: (e.start, e.end, e.type, e.boxes))
    preds = sorted(pred, key=lambda p: (p.start, p.end, p.type, p.box is not None, p.box or ()))
    free_golds, free_preds = dict.fromkeys(range(len(golds))), dict.fromkeys(range(len(preds)))
    verdicts = []

    def pair(kind: str, order: Callable[[Prediction, Entity], float]) -> None:
        """Pair what ``order`` gives more than 0, the greatest first."""
        places, edges = list(free_preds), []
        for p in places:
            worth = {g: order(preds[p], golds[g]) for g in free_golds}
            edges.append(sorted((g for g in worth if worth[g] > 0), key=lambda g: -worth[g]))
        for g, row in sorted(match(edges).items()):
            p = places[row]
            wrong = None
            if kind in ("region", "type_region"):
                wrong = _wrong_region(preds[p], golds[g], golds)
            verdicts.append(Verdict(kind, golds[g], preds[p], wrong))
            del free_golds[g], free_preds[p]

    def region(p: Prediction, e: Entity) -> bool:
        return region_right(p.box, e.boxes)

    pair("correct", lambda p, e: _same(p, e) and p.type == e.type and region(p, e))
    pair("type", lambda p, e: _same(p, e) and region(p, e))
    pair("region", lambda p, e: _same(p, e) and p.type == e.type)
    pair("type_region", _same)
    paired = {(v.gold.start, v.gold.end) for v in verdicts if v.gold is not None}
    for p in [p for p in free_preds if (preds[p].start, preds[p].end) in paired]:
        verdicts.append(Verdict("duplicate", None, preds[p]))
        del free_preds[p]
    pair("span", _shared_words)
    verdicts += [Verdict("spurious", None, preds[p]) for p in free_preds]
    verdicts += [Verdict("missed", golds[g], None) for g in free_golds]
    return tuple(verdicts)


def decompose(
    documents: Iterable[tuple[Sequence[Entity], Sequence[Prediction]]],
) -> Decomposition:
    """Count the errors of pairs of gold entities and predictions, one pair a tweet."""
    kinds: Counter[str] = Counter()
    regions: Counter[str] = Counter()
    golds = preds = 0
    for gold, pred in documents:
        golds, preds = golds + len(gold), preds + len(pred)
        for verdict in judge(gold, pred):
            kinds[verdict.kind] += 1
            if verdict.region is not None:
                regions[verdict.region] += 1
    counts = Counts(kinds["correct"], preds, golds)
    return Decomposition(
        correct=counts.tp,
        pred=counts.pred,
        gold=counts.gold,
        kinds={name: ErrorKind(kinds[name], _gain(name, kinds[name], counts)) for name in KINDS},
        regions={name: regions[name] for name in REGIONS},
    )


def _gain(kind: str, n: int, counts: Counts) -> float:
    tp, pred, gold = counts.tp, counts.pred, counts.gold
    if kind in PAIRS:
        tp += n
    elif kind == "missed":
        gold -= n
    else:
        pred -= n
    return Counts(tp, pred, gold).f1 - counts.f1


def _same(p: Prediction, e: Entity) -> bool:
    return (p.start, p.end) == (e.start, e.end)


def _shared_words(p: Prediction, e: Entity) -> float:
    """Jaccard index of the two spans' words."""
    shared = min(p.end, e.end) - max(p.start, e.start) + 1
    return max(0, shared) / (max(p.end, e.end) - min(p.start, e.start) + 1)


def _wrong_region(p: Prediction, e: Entity, golds: Sequence[Entity]) -> str:
    """Which of ``REGIONS``; a box on another entity counts as that, however near it is to its own.

    ``golds`` are all of the tweet; an entity with the same boxes as ``e`` cannot be met here.
    """
    if p.box is None:
        return "none_for_box"
    if not e.boxes:
        return "box_for_none"
    if any(region_right(p.box, other.boxes) for other in golds if other.boxes):
        return "other_entity"
    return "poor_box" if max(iou(p.box, box) for box in e.boxes) >= POOR else "wrong_box"
