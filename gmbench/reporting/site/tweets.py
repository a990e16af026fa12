"""What the example browser reads: every tweet, its gold, and the judged answers of some runs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from gmbench.reporting.site.members import Answers
from gmbench.scoring.errors import judge
from gmbench.structures import Box, Entity, Example, Prediction

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """A gold entity; ``boxes`` xyxy pixels, ``end`` inclusive."""

    start: int
    end: int
    type: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A prediction and what is wrong with it: ``correct`` or a kind of ``scoring.errors``."""

    start: int
    end: int
    type: str
    box: Box | None
    score: float
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One run on one tweet.

    Attributes:
        answers: best first.
        fates: of every gold entity, what became of it: a kind of ``scoring.errors``.
    """

    answers: tuple[Answer, ...]
    fates: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tweet:
    """One tweet of the browser.

    Attributes:
        image: path from the page, or None.
        size: of the original picture in pixels, the unit of all boxes.
        runs: in the order of the browser's list of runs.
    """

    id: str
    words: tuple[str, ...]
    image: str | None
    size: tuple[int, int] | None
    gold: tuple[Gold, ...]
    runs: tuple[Judged, ...]


def tweets(
    gold: Sequence[Example],
    runs: Sequence[Answers],
    images: Mapping[str, str],
    *,
    saw_pixels: bool,
) -> tuple[Tweet, ...]:
    """Judge the runs on every tweet.

    Args:
        gold: the split.
        runs: answers of each run, by id.
        images: path of the picture from the page, by id.
        saw_pixels: False = only the text is judged.
    """
    return tuple(
        Tweet(
            id=example.id,
            words=example.words,
            image=images.get(example.id),
            size=example.size,
            gold=tuple(
                Gold(start=e.start, end=e.end, type=e.type, boxes=e.boxes) for e in example.entities
            ),
            runs=tuple(
                judged(example.entities, answers[example.id], saw_pixels=saw_pixels)
                for answers in runs
            ),
        )
        for example in gold
    )


def judged(gold: Sequence[Entity], pred: Sequence[Prediction], *, saw_pixels: bool) -> Judged:
    """Verdicts of one tweet, by answer and by gold entity."""
    if not saw_pixels:
        gold = [replace(e, boxes=()) for e in gold]
        pred = [replace(p, box=None) for p in pred]
    verdicts = judge(gold, pred)
    # Equal records may stand twice in a tweet; each takes one of the verdicts on its like.
    of_answer = _queues((v.pred, v.kind) for v in verdicts if v.pred is not None)
    of_gold = _queues((v.gold, v.kind) for v in verdicts if v.gold is not None)
    return Judged(
        answers=tuple(
            Answer(
                start=p.start,
                end=p.end,
                type=p.type,
                box=p.box,
                score=p.score,
                verdict=of_answer[p].pop(0),
            )
            for p in pred
        ),
        fates=tuple(of_gold[e].pop(0) for e in gold),
    )


def _queues(pairs: Iterable[tuple[Record, str]]) -> dict[Record, list[str]]:
    found: dict[Record, list[str]] = {}
    for record, kind in pairs:
        found.setdefault(record, []).append(kind)
    return found


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
