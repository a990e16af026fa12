"""What the browser of examples reads: every example, its gold, and judged answers of some runs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gmbench.core.entities import Entity, Example
from gmbench.reporting.site.runs import Answers
from gmbench.reporting.verdicts import Judged, judged


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownExample:
    """One example in the browser.

    Attributes:
        image: path from the page, or None.
        size: of the original picture in pixels, the unit of all boxes.
        runs: in the order of the browser's list of runs.
    """

    id: str
    words: tuple[str, ...]
    image: str | None
    size: tuple[int, int] | None
    gold: tuple[Entity, ...]
    runs: tuple[Judged, ...]


def shown_examples(
    gold: Sequence[Example], runs: Sequence[Answers], images: Mapping[str, str], *, saw_pixels: bool
) -> tuple[ShownExample, ...]:
    """Judge the answers of each run on every example; ``images`` are paths from the page, by id."""
    return tuple(
        ShownExample(
            id=example.id,
            words=example.words,
            image=images.get(example.id),
            size=example.size,
            gold=example.entities,
            runs=tuple(
                judged(example.entities, answers[example.id], saw_pixels=saw_pixels)
                for answers in runs
            ),
        )
        for example in gold
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Split2x2:
    """Gold entities of one kind: which of two runs has them right."""

    name: str
    both: int
    first: int
    second: int
    neither: int


def split_by(
    first: Sequence[Judged], second: Sequence[Judged], gold: Sequence[Example]
) -> tuple[Split2x2, ...]:
    """Gold entities right in both, one or neither of two runs: all, by type and by picture."""
    counts: dict[str, Counter[tuple[bool, bool]]] = {"all": Counter()}
    for example, one, two in zip(gold, first, second, strict=True):
        for entity, a, b in zip(example.entities, one.fates, two.fates, strict=True):
            shown = "in the image" if entity.groundable else "not in the image"
            for name in ("all", entity.type, shown):
                counts.setdefault(name, Counter())[a == "correct", b == "correct"] += 1
    places = ("in the image", "not in the image")
    names = ["all", *sorted(set(counts) - {"all", *places}), *(p for p in places if p in counts)]
    return tuple(
        Split2x2(
            name=name,
            both=counts[name][True, True],
            first=counts[name][True, False],
            second=counts[name][False, True],
            neither=counts[name][False, False],
        )
        for name in names
    )
