"""IoU sweep, regions given the text, and the ceiling of candidates, by hand and by brute force."""

import random
from dataclasses import replace

import numpy as np
import pytest

from gmbench.core.entities import Candidates, Entity, Example, Prediction
from gmbench.core.iou import iou
from gmbench.scoring.counting import Counts, score_corpus
from gmbench.scoring.grounding import (
    THRESHOLDS,
    best_region_a_type,
    given_text,
    region_upper_bound,
    sweep,
)
from tests.scoring.documents import BOXES, random_document

HERE, HALF, FAR = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 20.0), (50.0, 50.0, 60.0, 60.0)


def test_thresholds_are_those_of_coco():
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_sweep_scores_at_every_threshold():
    rng = random.Random(1)
    documents = [random_document(rng) for _ in range(60)]
    found = sweep(documents)
    for place, threshold in enumerate(THRESHOLDS):
        micro = score_corpus(documents, threshold).micro
        assert found.gmner[place] == micro.gmner.f1
        assert found.eeg[place] == micro.eeg.f1
    assert list(found.gmner) == sorted(found.gmner, reverse=True)
    # A box of IoU exactly 0.5 is right at 0.5 and wrong at 0.55.
    exact = sweep([([Entity(0, 0, "PER", (HERE,))], [Prediction(0, 0, "PER", HALF)])])
    assert exact.gmner[:2] == (1.0, 0.0)


def test_given_text():
    gold = [Entity(0, 0, "PER", (HERE, FAR)), Entity(1, 1, "LOC"), Entity(2, 2, "ORG", (HERE,))]
    pred = [
        Prediction(0, 0, "PER", HALF),
        Prediction(1, 1, "LOC"),
        Prediction(2, 2, "ORG"),
        Prediction(2, 2, "PER", HERE),
    ]
    found = given_text([(gold, pred)])
    assert (found.pairs, found.right, found.groundable) == (3, 2, 2)
    assert found.mean_iou == pytest.approx(0.25)
    assert found.accuracy == (0.5, *[0.0] * 9)
    nothing = given_text([(gold, [])])
    assert (nothing.pairs, nothing.mean_iou, nothing.accuracy) == (0, None, ())


def test_given_text_pairs_what_mner_counts():
    rng = random.Random(2)
    documents = [random_document(rng) for _ in range(500)]
    found, micro = given_text(documents), score_corpus(documents).micro
    assert found.pairs == micro.mner.tp
    assert found.right == micro.gmner.tp


def example(gold, boxes, id_="a"):
    candidates = None if boxes is None else Candidates(np.array(boxes, dtype=float).reshape(-1, 4))
    words = tuple("w" * 9)
    return Example(id_, words, tuple(gold), candidates=candidates)


def test_ceiling_by_hand():
    one = example([Entity(0, 0, "PER", (HERE,)), Entity(1, 1, "LOC")], [FAR, HALF, HERE])
    two = example([Entity(0, 0, "PER", (FAR,)), Entity(3, 3, "PER", (FAR,))], [HERE], "b")
    three = example([Entity(0, 0, "PER", (HERE,))], None, "c")
    pred = {
        "a": [Prediction(0, 0, "PER", FAR), Prediction(1, 1, "LOC", FAR)],
        "b": [Prediction(0, 0, "PER", HERE), Prediction(8, 8, "PER")],
        "c": [Prediction(0, 0, "PER")],
    }
    found = region_upper_bound([one, two, three], pred, k=3)
    assert (found.groundable, found.ungroundable) == (4, 1)
    assert found.covered == (0, 1, 1)
    assert found.recall == (0.0, 0.25, 0.25)
    assert found.gmner == (0.2, 0.4, 0.4)
    assert found.average_recall == pytest.approx(1 / 4)
    assert found.identical == 1
    assert found.oracle == Counts(2, 5, 5)
    second = region_upper_bound([one, two, three], pred, k=2)
    assert second.average_recall == pytest.approx(1 / 4 / 10)
    assert (second.identical, second.covered) == (0, (0, 1))


def test_oracle_lies_between_gmner_and_mner():
    """For predictions that choose among the candidates, against brute force."""
    rng = random.Random(3)
    examples, predictions, plain = [], {}, Counts()
    for number in range(400):
        gold, pred = random_document(rng)
        boxes = rng.sample(BOXES[:7], k=rng.randrange(4))
        pred = [replace(p, box=rng.choice((None, *boxes))) for p in pred]
        examples.append(example(gold, boxes, str(number)))
        predictions[str(number)] = pred
        reachable = [
            e for e in gold if not e.boxes or any(iou(b, g) >= 0.5 for b in boxes for g in e.boxes)
        ]
        text = score_corpus(
            [([replace(e, boxes=()) for e in reachable], [replace(p, box=None) for p in pred])]
        ).micro.gmner.tp
        plain += Counts(text, len(pred), len(gold))
    found = region_upper_bound(examples, predictions, k=4)
    micro = score_corpus((e.entities, predictions[e.id]) for e in examples).micro
    assert found.oracle == plain
    assert micro.gmner.tp < found.oracle.tp < micro.mner.tp
    covered = [
        any(iou(b, g) >= 0.5 for b in x.candidates.boxes.tolist() for g in e.boxes)
        for x in examples
        for e in x.entities
        if e.boxes
    ]
    assert found.covered[-1] == sum(covered)
    assert list(found.covered) == sorted(found.covered)


def test_the_best_region_a_type():
    """The box, or none, that is right for most entities of a type; others do not count."""
    two = (Entity(0, 0, "PER", (FAR, HERE)), Entity(1, 1, "PER", (HALF,)), Entity(2, 2, "PER"))
    assert best_region_a_type(two) == {"PER": HERE}  # IoU 0.5 with HALF
    assert best_region_a_type((two[0], two[2], Entity(3, 3, "PER"))) == {"PER": None}
    both = best_region_a_type((*two, Entity(3, 3, "LOC", (FAR,)), Entity(4, 4, "ORG")))
    assert both == {"PER": HERE, "LOC": FAR, "ORG": None}
    assert best_region_a_type(()) == {}


def test_no_choice_of_one_region_a_type_does_better():
    rng = random.Random(3)
    for _ in range(80):
        gold, _ = random_document(rng)
        for kind, chosen in best_region_a_type(gold).items():
            of_type = [entity for entity in gold if entity.type == kind]
            boxes = [None, *(box for entity in of_type for box in entity.boxes)]
            right = [sum(score_of(entity, box) for entity in of_type) for box in boxes]
            assert max(right) == right[boxes.index(chosen)]


def score_of(entity: Entity, box) -> int:
    pred = Prediction(entity.start, entity.end, entity.type, box)
    return score_corpus([([entity], [pred])]).micro.gmner.tp
