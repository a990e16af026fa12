"""Floors without learning, on small sentences and on the real test split."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from gmbench.core.entities import Candidates, Entity, Example, Prediction
from gmbench.scoring.baselines import (
    Baseline,
    NameLookup,
    baselines,
    gold_text_with_full_image,
    lookup_with_largest_of_class,
    lookup_with_random_candidate,
    types_of_classes,
)
from gmbench.scoring.counting import CorpusScores, Counts, score_corpus
from tests.data.files import real


def sentence(
    id_: str, text: str, *entities: Entity, size: tuple[int, int] | None = None
) -> Example:
    return Example(id_, tuple(text.split()), entities, size=size)


TRAIN = [
    sentence("1", "New York is big", Entity(0, 1, "LOC")),
    sentence("2", "New York Yankees win", Entity(0, 2, "ORG")),
    sentence("3", "York here", Entity(0, 0, "PER")),
    sentence("4", "York there", Entity(0, 0, "LOC")),
    sentence("5", "nobody at all"),
]


def count(floor: Baseline, examples: Sequence[Example]) -> CorpusScores:
    return score_corpus((e.entities, floor.predictions[e.id]) for e in examples)


def test_the_longest_name_wins_and_names_do_not_overlap():
    lookup = NameLookup(TRAIN)
    names = lookup.find(["the", "New", "York", "Yankees", "of", "New", "York"])
    assert names == [(1, 3, "ORG"), (5, 6, "LOC")]
    assert lookup.find(["new", "york"]) == []
    assert lookup.find([]) == []
    assert NameLookup([]).find(["York"]) == []


def test_the_most_frequent_type_wins_and_ties_do_not_depend_on_order():
    rng = random.Random(0)
    for _ in range(5):
        assert NameLookup(rng.sample(TRAIN, len(TRAIN))).find(["York"]) == [(0, 0, "LOC")]
    more = [*TRAIN, sentence("6", "York !", Entity(0, 0, "PER"))]
    assert NameLookup(more).find(["York"]) == [(0, 0, "PER")]


def with_candidates(count_: int) -> list[Example]:
    boxes = np.arange(4 * count_, dtype=np.float64).reshape(count_, 4)
    return [
        Example(f"t{k}", ("York", "York"), candidates=Candidates(boxes=boxes)) for k in range(50)
    ]


def test_the_random_candidate_depends_on_seed_and_id_only():
    lookup, examples = NameLookup(TRAIN), with_candidates(7)
    one = lookup_with_random_candidate(lookup, examples, seed=3).predictions
    two = lookup_with_random_candidate(lookup, examples[::-1], seed=3).predictions
    assert one == two
    assert one != lookup_with_random_candidate(lookup, examples, seed=4).predictions
    drawn = [p for guesses in one.values() for p in guesses]
    assert {p.region for p in drawn} == set(range(1, 8))
    for p in drawn:
        assert p.region is not None
        assert p.box == tuple(examples[0].candidates.boxes[p.region - 1])
        assert type(p.box[0]) is float


def test_without_candidates_there_is_no_box():
    floor = lookup_with_random_candidate(NameLookup(TRAIN), with_candidates(0))
    assert all(p.box is None for guesses in floor.predictions.values() for p in guesses)


def seen(text: str, *entities: Entity, classes: str, scores: Sequence[float] = ()) -> Example:
    """An example with a row of candidates, each one pixel wider than that on its left."""
    names = tuple(classes.split())
    boxes = np.array([[10 * k, 0, 10 * k + k + 1, 10] for k in range(len(names))], dtype=float)
    given = Candidates(boxes=boxes, scores=np.array(scores) if scores else None, classes=names)
    return Example(text, tuple(text.split()), entities, candidates=given)


def test_the_largest_box_of_the_class_that_shows_a_names_type():
    def shown(type_: str, at: int) -> Entity:
        return Entity(0, 0, type_, ((10.0 * at, 0.0, 11.0 * at + 1, 10.0),))

    train = [
        seen("Ada", shown("PER", 0), classes="person dog"),
        seen("Rex", shown("OTHER", 1), classes="person dog cup"),
        seen("Bob", shown("PER", 1), classes="dog person"),
        seen("Max", shown("PER", 1), classes="person dog dog"),
        seen("Tim", shown("OTHER", 1), classes="person dog"),
        seen("Rome", Entity(0, 0, "LOC"), classes="person"),
    ]
    types = types_of_classes(train)
    assert types == {"person": "PER", "dog": "OTHER"}  # no entity was a cup
    test = [
        seen("Ada", classes="dog person person dog"),
        seen("Ada Bob Max", classes="person cup person"),
        seen("Rex Rome", classes="dog cup", scores=(0.9, 0.8)),
        seen("Ada x", classes="person person", scores=(0.5, 0.49)),
        Example("none", ("Ada",)),
    ]
    found = lookup_with_largest_of_class(NameLookup(train), types, test).predictions
    slots = [[prediction.region for prediction in found[one.id]] for one in test]
    assert slots == [[3], [3, 1, None], [1, None], [1], [None]]
    assert found["Ada"][0].box == (20.0, 0.0, 23.0, 10.0)
    names = [floor.name for floor in baselines(train, test)]
    assert names[2] == "training names, largest box of their class"


def test_only_the_baselines_that_the_examples_allow():
    bare = [sentence("x", "York", Entity(0, 0, "LOC", ((0.0, 0.0, 5.0, 5.0),)))]
    found = baselines(TRAIN, bare)
    assert [row.name for row in found] == ["training names, no box", "gold text, no box"]
    assert ["mner" in row.tasks for row in found] == [True, False]
    with pytest.raises(ValueError, match="'x': the size of its image"):
        gold_text_with_full_image(bare)
    examples = with_candidates(2)
    every = baselines(TRAIN, examples)
    assert len(every) == 4
    for row in every:
        assert set(row.predictions) == {e.id for e in examples}


@pytest.mark.real_data
def test_the_real_test_split(shared):
    source = real(shared)
    examples = source.read("test").examples
    figures = {
        floor.name: count(floor, examples).micro
        for floor in baselines(source.read("train").examples, examples, one_region_a_type=True)
    }
    ceiling = figures.pop("its ceiling: gold text, one gold box a type")
    assert ceiling.gmner == ceiling.eeg == Counts(tp=2284, pred=2543, gold=2543)
    assert list(figures) == [
        "training names, no box",
        "gold text, no box",
        "gold text, whole image",
    ]
    none, full = figures["gold text, no box"], figures["gold text, whole image"]
    assert none.gmner == none.eeg == Counts(tp=1497, pred=2543, gold=2543)
    assert full.gmner == full.eeg == Counts(tp=1805, pred=2543, gold=2543)
    assert (round(100 * none.gmner.f1, 2), round(100 * full.gmner.f1, 2)) == (58.87, 70.98)
    # Gold as prediction is right everywhere, whichever of its boxes is taken.
    gold = {
        e.id: tuple(
            Prediction(x.start, x.end, x.type, next(iter(x.boxes), None)) for x in e.entities
        )
        for e in examples
    }
    perfect = count(Baseline("gold", gold), examples).micro
    assert perfect.gmner == perfect.mner == perfect.eeg == Counts(2543, 2543, 2543)
    assert 0.45 < figures["training names, no box"].mner.f1 < 0.55
