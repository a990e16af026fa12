"""Splits of one score: where a system is good, by what the gold entity is like. Strict protocol.

Two kinds. *Sides*: groundable and ungroundable part gold (boxes or none) and predictions (a box or
none) alike, since no right region joins the two, so that they have P, R and F1 and add up to the
whole. *Recalls*: every other split cuts the gold only, so that it has a recall and nothing else.
Recalls add up to the whole where no two gold entities of a tweet share a span, as in real data.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gmbench.core.entities import Box, Entity, Example, Prediction
from gmbench.scoring.counting import Counts, Tally

SMALL, MEDIUM = 32.0**2, 96.0**2
"""COCO's limits of box areas, in square pixels."""

COCO_IMAGE = 640.0 * 480.0
"""The image that they are taken to mean, where areas are shares of the image: 1/300 and 3 %."""

Name = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """Groundable or ungroundable entities against predictions with or without box."""

    name: str
    gmner: Counts
    eeg: Counts


@dataclass(frozen=True, slots=True)
class Recall:
    """The gold entities of one kind, and how many of them were found in each task.

    Attributes:
        split: what is cut by, say ``boxes``.
        name: the kind, say ``several``.
    """

    split: str
    name: str
    gold: int
    gmner: int
    mner: int
    eeg: int


@dataclass(frozen=True, slots=True)
class Strata:
    """All splits of a corpus.

    Attributes:
        notes: splits that could not be made, and what they need.
    """

    sides: tuple[Side, ...]
    recalls: tuple[Recall, ...]
    notes: tuple[str, ...] = ()


def strata(
    pairs: Sequence[tuple[Example, Sequence[Prediction]]],
    *,
    train_names: Collection[Name] | None = None,
    iou_threshold: float = 0.5,
) -> Strata:
    """Split the score of a corpus.

    ``train_names`` are the words of every training entity; None = not known.
    """
    notes = []
    sized = all(example.size or not any(e.boxes for e in example.entities) for example, _ in pairs)
    if not sized:
        notes.append("box size is the area in pixels: the gold data do not give image sizes")
    if train_names is None:
        notes.append("seen and unseen names need the training split: --train FILE or --gold-root")
    tallies: dict[tuple[str, str], Tally] = {key: Tally() for key in _keys(sized, train_names)}
    for example, guesses in pairs:
        kinds: dict[tuple[str, str], list[Entity]] = {}
        for entity in example.entities:
            for key in _kinds(example, entity, sized, train_names):
                kinds.setdefault(key, []).append(entity)
        for key, golds in kinds.items():
            tallies[key].add(golds, guesses, iou_threshold)
    recalls = []
    for (split, name), tally in tallies.items():
        found = tally.scores()
        counts = found.gmner.tp, found.mner.tp, found.eeg.tp
        recalls.append(Recall(split, name, found.gmner.gold, *counts))
    sides = (_side(pairs, True, iou_threshold), _side(pairs, False, iou_threshold))
    return Strata(sides, tuple(recalls), tuple(notes))


def names_of(examples: Iterable[Example]) -> frozenset[Name]:
    """The words of every gold entity; case matters, as in the annotations."""
    return frozenset(
        example.words[e.start : e.end + 1] for example in examples for e in example.entities
    )


def _side(
    pairs: Sequence[tuple[Example, Sequence[Prediction]]], boxed: bool, iou_threshold: float
) -> Side:
    tally = Tally()
    for example, guesses in pairs:
        golds = [entity for entity in example.entities if entity.groundable is boxed]
        tally.add(golds, [p for p in guesses if (p.box is not None) is boxed], iou_threshold)
    scores = tally.scores()
    return Side("groundable" if boxed else "ungroundable", scores.gmner, scores.eeg)


def _keys(sized: bool, train_names: Collection[Name] | None) -> list[tuple[str, str]]:
    """Every split and kind there is, in the order of tables."""
    keys = [("boxes", name) for name in ("none", "one", "several")]
    keys += [(_size_split(sized), name) for name in ("small", "medium", "large")]
    keys += [("entities in the tweet", name) for name in ("1", "2", "3 or more")]
    if train_names is not None:
        keys += [("name in train", name) for name in ("seen", "unseen")]
    return keys


def _kinds(
    example: Example, entity: Entity, sized: bool, train_names: Collection[Name] | None
) -> Iterable[tuple[str, str]]:
    yield "boxes", ("none", "one", "several")[min(len(entity.boxes), 2)]
    if entity.boxes:
        yield (
            _size_split(sized),
            _size(max(map(_area, entity.boxes)), example.size if sized else None),
        )
    yield "entities in the tweet", ("1", "2", "3 or more")[min(len(example.entities), 3) - 1]
    if train_names is not None:
        seen = example.words[entity.start : entity.end + 1] in train_names
        yield "name in train", "seen" if seen else "unseen"


def _size_split(sized: bool) -> str:
    return "box size (share of the image)" if sized else "box size (pixels)"


def _size(area: float, image: tuple[int, int] | None) -> str:
    """COCO's three sizes, of the largest box."""
    if image is not None:
        area *= COCO_IMAGE / (image[0] * image[1])
    return "small" if area < SMALL else "medium" if area < MEDIUM else "large"


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
