"""Which predictions and gold entities of one example are right, and what is wrong with the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from gmbench.core.entities import Box, Entity, Prediction
from gmbench.scoring.error_types import judge

Record = TypeVar("Record")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A prediction and what is wrong with it: ``correct`` or a kind of ``scoring.error_types``.

    ``gold`` is the place of the gold entity that it was paired with; None where there is none.
    """

    start: int
    end: int
    type: str
    box: Box | None
    score: float
    verdict: str
    gold: int | None


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
    # An example may have equal records; each takes one of the verdicts on its like.
    places = _queues((entity, place) for place, entity in enumerate(gold))
    fates, of_answer = ["missed"] * len(gold), []
    for verdict in judge(gold, pred):
        place = None if verdict.gold is None else places[verdict.gold].pop(0)
        if place is not None:
            fates[place] = verdict.kind
        if verdict.pred is not None:
            of_answer.append((verdict.pred, (verdict.kind, place)))
    answered = _queues(of_answer)
    answers = []
    for p in pred:
        kind, place = answered[p].pop(0)
        answers.append(
            Answer(
                start=p.start,
                end=p.end,
                type=p.type,
                box=p.box,
                score=p.score,
                verdict=kind,
                gold=place,
            )
        )
    return Judged(answers=tuple(answers), fates=tuple(fates))


def _queues(pairs: Iterable[tuple[Record, Value]]) -> dict[Record, list[Value]]:
    queues: dict[Record, list[Value]] = {}
    for record, value in pairs:
        queues.setdefault(record, []).append(value)
    return queues
