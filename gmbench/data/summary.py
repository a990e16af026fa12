"""What a data set holds: counts by split and type, leakage, overlaps, candidate coverage."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from gmbench.core.entities import Box, Example
from gmbench.core.iou import pairwise_iou
from gmbench.data.source import Split, leaked

ALL = "all"
OVERLAP = 0.5

LABELS = {
    "tweets": "tweets",
    "tokens": "tokens",
    "entities": "entities",
    "groundable": "groundable entities",
    "images": "images with boxes",
    "boxes": "boxes",
    "pairs": "entity-box pairs",
    "empty": "tweets without entity",
    "repeated": "names said and shown twice or more",
    "overlaps": "overlapping pairs of names",
    "invisible": "invisible words",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Sizes of one split, or of all.

    Attributes:
        tweets: examples.
        tokens: words of all tweets.
        entities: gold entities.
        groundable: of these, the ones with a box.
        images: examples with at least one box.
        boxes: boxes of distinct names (the xml objects).
        pairs: entity-box pairs; more than ``boxes`` where a name is mentioned twice.
        empty: tweets without entity.
        repeated: groundable names that occur more than once in their tweet.
        overlaps: pairs of boxes of two names in one image with IoU >= 0.5.
        invisible: words of which nothing is seen (variation selectors, zero-width joiners ...).
    """

    tweets: int = 0
    tokens: int = 0
    entities: int = 0
    groundable: int = 0
    images: int = 0
    boxes: int = 0
    pairs: int = 0
    empty: int = 0
    repeated: int = 0
    overlaps: int = 0
    invisible: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


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
        exact: tweets whose words are those of a train tweet.
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
        candidates: of all of them together.
        groundable: groundable entities of these images.
        covered: of these, the ones with a candidate at IoU >= 0.5 with one of their boxes.
    """

    images: int
    candidates: int
    groundable: int
    covered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A data set in numbers; the mappings go by split and, but for leakage, end with ``all``."""

    counts: Mapping[str, Counts]
    types: Mapping[str, tuple[TypeCounts, ...]]
    leakage: Mapping[str, Leakage]
    coverage: Mapping[str, Coverage]


def summarise(splits: Sequence[Split], *, types: Sequence[str]) -> Summary:
    """Count everything.

    Args:
        splits: in the order of the table; leakage is measured against the one named ``train``.
        types: tags, in the order of the table.
    """
    parts = {split.name: split.examples for split in splits}
    whole = {**parts, ALL: tuple(example for part in parts.values() for example in part)}
    counts = {name: count(examples) for name, examples in parts.items()}
    return Summary(
        counts={**counts, ALL: sum(counts.values(), start=Counts())},
        types={name: _by_type(examples, types) for name, examples in whole.items()},
        leakage={
            name: leakage(parts["train"], examples)
            for name, examples in parts.items()
            if name != "train" and "train" in parts
        },
        coverage={name: coverage(examples) for name, examples in whole.items()},
    )


def count(examples: Sequence[Example]) -> Counts:
    """Sizes of some examples together."""
    return sum((_of_one(example) for example in examples), start=Counts())


def leakage(train: Sequence[Example], other: Sequence[Example]) -> Leakage:
    """What ``other`` shares with ``train``."""
    seen, texts = [example.words for example in train], [example.words for example in other]
    return Leakage(
        ids=len({example.id for example in train} & {example.id for example in other}),
        exact=len(leaked(seen, texts, exactly=True)),
        normalised=len(leaked(seen, texts)),
    )


def coverage(examples: Sequence[Example]) -> Coverage:
    """How well candidates cover gold boxes, over the images that have candidates."""
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


def count_rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    """Label, then the count of each split and of all; thousands with a comma."""
    for field, label in LABELS.items():
        yield label, *(f"{getattr(part, field):,}" for part in summary.counts.values())


def type_rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    """Type, then entities and groundable ones of each split and of all, as ``12 (3)``."""
    for index, row in enumerate(summary.types[ALL]):
        cells = (part[index] for part in summary.types.values())
        yield row.type, *(f"{cell.entities:,} ({cell.groundable:,})" for cell in cells)


def is_invisible(word: str) -> bool:
    """Whether a word has only marks, separators, control or unassigned characters."""
    return all(unicodedata.category(character)[0] in "CZM" for character in word)


def _of_one(example: Example) -> Counts:
    boxes: dict[str, tuple[Box, ...]] = {}
    repeated: set[str] = set()
    for entity in example.entities:
        if entity.groundable:
            name = " ".join(example.words[entity.start : entity.end + 1])
            if name in boxes:
                repeated.add(name)
            boxes[name] = entity.boxes
    return Counts(
        tweets=1,
        tokens=len(example.words),
        entities=len(example.entities),
        groundable=sum(entity.groundable for entity in example.entities),
        images=bool(boxes),
        boxes=sum(len(group) for group in boxes.values()),
        pairs=sum(len(entity.boxes) for entity in example.entities),
        empty=not example.entities,
        repeated=len(repeated),
        overlaps=_overlaps(list(boxes.values())),
        invisible=sum(is_invisible(word) for word in example.words),
    )


def _overlaps(groups: list[tuple[Box, ...]]) -> int:
    return sum(
        int((pairwise_iou(first, second) >= OVERLAP).sum())
        for index, first in enumerate(groups)
        for second in groups[index + 1 :]
    )


def _by_type(examples: Sequence[Example], types: Sequence[str]) -> tuple[TypeCounts, ...]:
    entities = [entity for example in examples for entity in example.entities]
    return tuple(
        TypeCounts(
            type=name,
            entities=sum(entity.type == name for entity in entities),
            groundable=sum(entity.type == name and entity.groundable for entity in entities),
        )
        for name in types
    )
