"""Which predictions and gold entities of one example are right, and what is wrong with the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from gmbench.core.entities import Box, Entity, Prediction
from gmbench.scoring.error_types import judge

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A prediction and what is wrong with it: ``correct`` or a kind of ``scoring.error_types``."""

    start: int
    end: int
    type: str
    box: Box | None
    score: float
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One run on one example.

    Attributes:
        answers: best first.
        fates: for each gold entity, ``correct`` or a kind of ``scoring.error_types``.
    """

    answers: tuple[Answer, ...]
    fates: tuple[str, ...]


def judged(gold: Sequence[Entity], pred: Sequence[Prediction], *, saw_pixels: bool) -> Judged:
    """The verdicts on one example, by answer and by gold entity."""
    if not saw_pixels:
        gold = [replace(e, boxes=()) for e in gold]
        pred = [replace(p, box=None) for p in pred]
    verdicts = judge(gold, pred)
    # An example may have equal records; each takes one of the verdicts on its like.
    of_answer = _queues((v.pred, v.kind) for v in verdicts if v.pred is not None)
    of_gold = _queues((v.gold, v.kind) for v in verdicts if v.gold is not None)
    return Judged(
        answers=tuple(
            Answer(
                **{name: getattr(p, name) for name in ("start", "end", "type", "box", "score")},
                verdict=of_answer[p].pop(0),
            )
            for p in pred
        ),
        fates=tuple(of_gold[e].pop(0) for e in gold),
    )


def _queues(pairs: Iterable[tuple[Record, str]]) -> dict[Record, list[str]]:
    queues: dict[Record, list[str]] = {}
    for record, kind in pairs:
        queues.setdefault(record, []).append(kind)
    return queues
