"""What a data set holds: counts by split and type, leakage, overlaps, candidate coverage."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from gmbench.core.entities import Box, Example
from gmbench.core.iou import pairwise_iou
from gmbench.data.examples import Split
from gmbench.data.regions import RegionSource
from gmbench.data.source import leaked

ALL = "all"
OVERLAP = 0.5
RECALL_KS = (5, 10, 15, 30, 100)
"""Numbers of candidates at which recall is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Sizes of one split, or of all.

    Attributes:
        tokens: words of all examples.
        groundable_entities: entities with a box.
        images_with_boxes: examples with a groundable entity.
        boxes: boxes of distinct names (the xml objects).
        entity_box_pairs: more than ``boxes`` if a name is mentioned twice.
        repeated_names: groundable names that occur more than once in their example.
        overlapping_names: pairs of boxes of two names in one image with IoU >= 0.5.
        invisible_words: words without a visible character (variation selectors, joiners ...).
    """

    examples: int = 0
    tokens: int = 0
    entities: int = 0
    groundable_entities: int = 0
    images_with_boxes: int = 0
    boxes: int = 0
    entity_box_pairs: int = 0
    examples_without_entity: int = 0
    repeated_names: int = 0
    overlapping_names: int = 0
    invisible_words: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCounts:
    """Entities of one type in one split, and how many of them have a box."""

    type: str
    entities: int
    groundable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage:
    """What a split shares with train.

    Attributes:
        ids: image ids.
        exact: examples whose words are those of a train example.
        normalised: the same after :func:`gmbench.data.source.normalised`.
    """

    ids: int
    exact: int
    normalised: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How well candidates cover the gold boxes of a split.

    Attributes:
        images: images with candidates.
        candidates: number of candidates of all these images.
        groundable: groundable entities of these images.
        covered: of these, the ones with a candidate at IoU >= 0.5 with one of their boxes.
    """

    images: int
    candidates: int
    groundable: int
    covered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A data set in numbers, by split; all but leakage end with an entry ``all``."""

    counts: Mapping[str, Counts]
    types: Mapping[str, tuple[TypeCounts, ...]]
    leakage: Mapping[str, Leakage]
    coverage: Mapping[str, Coverage]


def recall_at(
    examples: Iterable[Example], regions: RegionSource | None = None, ks: Sequence[int] = RECALL_KS
) -> tuple[float, ...]:
    """Share of the gold boxes that one of the first k candidates meets at IoU 0.5, for each k.

    A box that several entities of an example share counts once; images that cannot be read, or
    have no candidates by policy, have none.

    Args:
        examples: with candidates, unless ``regions`` is given.
        regions: asked in place of the examples' own candidates.
        ks: numbers of candidates.
    """
    total, met = 0, [0] * len(ks)
    for example in examples:
        gold = {box for entity in example.entities for box in entity.boxes}
        if not gold:
            continue
        found = example.candidates
        if regions is not None:
            found = regions(id=example.id, image=example.image, size=example.size)
        total += len(gold)
        if found is not None:
            right = pairwise_iou(sorted(gold), found.boxes) >= OVERLAP  # [gold, candidates]
            for place, k in enumerate(ks):
                met[place] += int(right[:, :k].any(axis=1).sum())
    return tuple(count / total if total else 0.0 for count in met)


def unused_types(splits: Iterable[Split], types: Iterable[str]) -> str:
    """One line about the types that no entity has; empty if there is none.

    Args:
        splits: all of the data set.
        types: tags.
    """
    used = {entity.type for s in splits for e in s.examples for entity in e.entities}
    unused = [tag for tag in types if tag not in used]
    if not unused:
        return ""
    return (
        f"data.types: no entity has the type {' or '.join(unused)}, yet each is a class of the "
        "model (a yaml over another adds to its types; 'data.types={TAG: Name, ...}' on the "
        "command line replaces them)"
    )


def summarise(splits: Sequence[Split], *, types: Sequence[str]) -> Summary:
    """Count everything.

    Args:
        splits: in the order of the table; leakage is measured against the one named ``train``.
        types: tags, in the order of the table.
    """
    parts = {split.name: split.examples for split in splits}
    whole = {**parts, ALL: tuple(example for part in parts.values() for example in part)}
    return Summary(
        counts={name: _counts(examples) for name, examples in whole.items()},
        types={name: _by_type(examples, types) for name, examples in whole.items()},
        leakage={
            name: _leakage(parts["train"], examples)
            for name, examples in parts.items()
            if name != "train" and "train" in parts
        },
        coverage={name: _coverage(examples) for name, examples in whole.items()},
    )


def is_invisible(word: str) -> bool:
    """Whether a word has only marks, separators, control or unassigned characters."""
    return all(unicodedata.category(character)[0] in "CZM" for character in word)


def _counts(examples: Iterable[Example]) -> Counts:
    total: Counter[str] = Counter()
    for example in examples:
        boxes: dict[str, tuple[Box, ...]] = {}
        repeated: set[str] = set()
        for entity in example.entities:
            if entity.groundable:
                name = " ".join(example.words[entity.start : entity.end + 1])
                if name in boxes:
                    repeated.add(name)
                boxes[name] = entity.boxes
        total.update(
            examples=1,
            tokens=len(example.words),
            entities=len(example.entities),
            groundable_entities=sum(entity.groundable for entity in example.entities),
            images_with_boxes=bool(boxes),
            boxes=sum(map(len, boxes.values())),
            entity_box_pairs=sum(len(entity.boxes) for entity in example.entities),
            examples_without_entity=not example.entities,
            repeated_names=len(repeated),
            overlapping_names=sum(
                int((pairwise_iou(first, second) >= OVERLAP).sum())
                for first, second in combinations(boxes.values(), 2)
            ),
            invisible_words=sum(map(is_invisible, example.words)),
        )
    return Counts(**total)


def _by_type(examples: Sequence[Example], types: Sequence[str]) -> tuple[TypeCounts, ...]:
    entities = [entity for example in examples for entity in example.entities]
    count = Counter(entity.type for entity in entities)
    groundable = Counter(entity.type for entity in entities if entity.groundable)
    return tuple(TypeCounts(type=t, entities=count[t], groundable=groundable[t]) for t in types)


def _leakage(train: Sequence[Example], other: Sequence[Example]) -> Leakage:
    seen, texts = [example.words for example in train], [example.words for example in other]
    return Leakage(
        ids=len({example.id for example in train} & {example.id for example in other}),
        exact=len(leaked(seen, texts, exactly=True)),
        normalised=len(leaked(seen, texts)),
    )


def _coverage(examples: Sequence[Example]) -> Coverage:
    images = candidates = groundable = covered = 0
    for example in examples:
        if example.candidates is not None:
            images += 1
            candidates += len(example.candidates)
            for entity in example.entities:
                if entity.groundable:
                    overlap = pairwise_iou(entity.boxes, example.candidates.boxes)
                    groundable += 1
                    covered += bool((overlap >= OVERLAP).any())
    return Coverage(images=images, candidates=candidates, groundable=groundable, covered=covered)
