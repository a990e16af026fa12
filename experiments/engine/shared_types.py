"""Entities that share their type with another one of the tweet: what one query a type must join."""

from collections import Counter
from collections.abc import Sequence

from experiments.engine.measures import Answers, Measure
from gmbench.scoring.errors import judge
from gmbench.structures import Example


def recall(gold: Sequence[Example], answers: Answers, *, shared: bool) -> float | None:
    """Share of the entities right in span, type and region, in %; None where there are none.

    Args:
        gold: tweets with their entities.
        answers: predictions by tweet.
        shared: entities whose type another entity of the tweet has too, or those alone in theirs.
    """
    marks = []
    for example in gold:
        types = Counter(entity.type for entity in example.entities)
        for verdict in judge(example.entities, answers[example.id]):
            if verdict.gold is not None and (types[verdict.gold.type] > 1) == shared:
                marks.append(verdict.kind == "correct")
    return 100 * sum(marks) / len(marks) if marks else None


def alone(gold: Sequence[Example], answers: Answers) -> float | None:
    """Of entities whose type no other entity of the tweet has."""
    return recall(gold, answers, shared=False)


def together(gold: Sequence[Example], answers: Answers) -> float | None:
    """Of entities whose type occurs more than once in the tweet."""
    return recall(gold, answers, shared=True)


MEASURES = (
    Measure(title="recall, type once", of_answers=alone),
    Measure(title="recall, type shared", of_answers=together),
)
