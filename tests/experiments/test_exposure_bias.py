"""Recall by place and by number of entities, and the picture of both."""

from experiments.engine.collect import Block, OurCell
from experiments.engine.plan import WORLD
from experiments.studies.exposure_bias import (
    EXPERIMENT,
    FIRST,
    NUMBERS,
    PLACES,
    draw,
)
from gmbench.core.entities import Entity, Example, Prediction
from gmbench.scoring.intervals import Interval
from gmbench.scoring.methods import MethodDifference, summarise


def tweet(name: str, count: int) -> Example:
    """Entities of one word each, the last first in the file."""
    entities = tuple(Entity(n, n, "PER") for n in reversed(range(count)))
    return Example(name, tuple("abcdefg"), entities, size=(9, 9))


def answers(*places: int, type_: str = "PER") -> tuple[Prediction, ...]:
    return tuple(Prediction(n, n, type_, None, 0.5) for n in places)


def test_recall_goes_by_the_place_in_the_sentence_and_the_last_place_takes_the_rest():
    long, found = tweet("a", 6), answers(0, 2, 4)
    assert [m.of_tweets(long, found) for m in PLACES] == [(1, 1), (0, 1), (1, 1), (1, 3)]
    assert [m.of_tweets(long, answers(0, type_="LOC")) for m in PLACES[:1]] == [(0, 1)]
    assert [m.of_tweets(tweet("b", 2), found) for m in PLACES[1:]] == [(0, 1), (0, 0), (0, 0)]


def test_recall_goes_by_the_number_of_entities():
    found = answers(0, 2, 4)
    assert [m.of_tweets(tweet("a", 6), found) for m in NUMBERS] == [(0, 0)] * 3 + [(3, 6)]
    assert [m.of_tweets(tweet("b", 3), found) for m in NUMBERS][1:3] == [(0, 0), (2, 3)]


def test_the_others_are_told_apart_by_the_first():
    gold = [tweet("a", 3), tweet("b", 2), tweet("c", 2), tweet("none", 0)]
    given = {"a": answers(0, 2), "b": answers(1), "c": answers(), "none": ()}
    assert [m.of_answers(gold, given) for m in FIRST] == [50.0, 50.0]
    assert [m.of_answers(gold[3:], given) for m in FIRST] == [None, None]


def test_the_picture_shows_each_row_and_the_differences_that_have_an_interval(drawn):
    def cell(row, measure, known):
        return OurCell(
            setting=WORLD, row=row, measure=measure, wanted=2, runs=(), paper=None, value=None,
            delta=None, summary=summarise((60.0, 62.0)) if known else None,
            difference=MethodDifference(Interval(-0.02, -0.05, 0.01), 0.2) if known else None,
        )  # fmt: skip

    def block(known):
        rows = (
            tuple(cell(row, m, known and row.key != "drawn") for m in EXPERIMENT.measures)
            for row in EXPERIMENT.rows
        )
        return Block(setting=WORLD, cells=tuple(rows), set_aside=(), planned=())

    assert draw(block(False)) is None
    assert draw(block(True))[:4] == b"\x89PNG"
    left, right = drawn[0].axes
    assert [line.get_label() for line in left.lines] == [
        row.label for row in EXPERIMENT.rows if row.key not in ("drawn", "sampled_gold")
    ]
    assert len(right.containers) == 2
    assert list(right.containers[0].lines[0].get_ydata()) == [-2.0] * 4
