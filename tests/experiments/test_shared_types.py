"""Recall of entities by whether their type occurs once in the tweet: hand-counted."""

from experiments.engine.type_columns import alone, together
from gmbench.core.entities import Entity, Example, Prediction

PAIR = Example(
    "two", ("a", "b", "c"), (Entity(0, 0, "PER"), Entity(1, 1, "PER"), Entity(2, 2, "LOC"))
)
ONE = Example("one", ("a", "b"), (Entity(0, 0, "PER"),))


def test_each_entity_counts_on_its_side():
    answers = {
        "two": (Prediction(0, 0, "PER"), Prediction(2, 2, "ORG")),
        "one": (Prediction(0, 0, "PER"),),
    }
    assert together([PAIR, ONE], answers) == 50  # one PER of two
    assert alone([PAIR, ONE], answers) == 50  # LOC wrong, the PER of the other tweet right
    assert together([ONE], answers) is None
