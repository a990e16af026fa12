"""Entities of a tweet whose names share a word: does a model keep them apart?"""

from collections.abc import Iterator, Sequence

from experiments.engine.measures import Answers, Measure
from gmbench.scoring.matching import region_right
from gmbench.structures import Entity, Example, Prediction


def pairs_of(example: Example) -> Iterator[tuple[Entity, Entity]]:
    """Entities of different types with a word in common."""
    words = [
        {word.lstrip("#").casefold() for word in example.words[e.start : e.end + 1]}
        for e in example.entities
    ]
    for second in range(len(words)):
        for first in range(second):
            one, two = example.entities[first], example.entities[second]
            if one.type != two.type and words[first] & words[second]:
                yield one, two


def both_right(gold: Sequence[Example], answers: Answers) -> float | None:
    """Share of the pairs of which both entities are right in span, type and region, in %."""
    marks = [
        all(any(_right(e, p) for p in answers[example.id]) for e in pair)
        for example in gold
        for pair in pairs_of(example)
    ]
    return 100 * sum(marks) / len(marks) if marks else None


def swapped(gold: Sequence[Example], answers: Answers) -> float | None:
    """Share of the pairs of which one entity is given the type or the region of the other, in %."""
    marks = [
        any(_taken(one, two, p) or _taken(two, one, p) for p in answers[example.id])
        for example in gold
        for one, two in pairs_of(example)
    ]
    return 100 * sum(marks) / len(marks) if marks else None


def _right(entity: Entity, guess: Prediction) -> bool:
    named = _same_span(entity, guess) and guess.type == entity.type
    return named and region_right(guess.box, entity.boxes)


def _taken(entity: Entity, other: Entity, guess: Prediction) -> bool:
    if not _same_span(entity, guess):
        return False
    if guess.type == other.type:
        return True
    given = guess.box is not None and region_right(guess.box, other.boxes)
    return given and not region_right(guess.box, entity.boxes)


def _same_span(entity: Entity, guess: Prediction) -> bool:
    return (entity.start, entity.end) == (guess.start, guess.end)


BOTH_RIGHT = Measure(title="pairs: both right", of_answers=both_right)
SWAPPED = Measure(title="pairs: swapped", of_answers=swapped)
