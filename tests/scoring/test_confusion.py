"""The confusion matrix of types: its sums are the score's, whatever a span holds."""

import random

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.confusion import confusion
from gmbench.scoring.counting import score_corpus
from tests.scoring.documents import random_document


def test_an_entity_of_each_fate():
    gold = [Entity(0, 0, "PER"), Entity(2, 3, "LOC"), Entity(5, 5, "ORG"), Entity(7, 8, "PER")]
    pred = [Prediction(0, 0, "PER"), Prediction(2, 3, "ORG"), Prediction(7, 7, "PER")]
    found = confusion([(gold, pred)])
    assert found.types == ("LOC", "ORG", "PER")
    assert found.counts == (
        (0, 1, 0, 0),  # LOC taken for ORG
        (0, 0, 0, 1),  # ORG missed
        (0, 0, 1, 1),  # PER found once, missed once: another span is another entity
        (0, 0, 1, 0),  # and so spurious
    )


def test_fine_types_of_one_parent_stand_together():
    gold = [Entity(n, n, name) for n, name in enumerate(("animal", "actor", "city", "athlete"))]
    assert confusion([(gold, [])]).types == ("city", "animal", "actor", "athlete")


def test_sums_are_those_of_the_score_even_where_a_span_has_several_types():
    rng = random.Random(3)
    for _ in range(100):
        documents = [random_document(rng) for _ in range(rng.randint(0, 6))]
        found = confusion(documents)
        scores = score_corpus(documents)
        assert all(len(row) == len(found.types) + 1 for row in found.counts)
        for place, name in enumerate(found.types):
            mner = scores.per_type[name].mner
            assert found.counts[place][place] == mner.tp
            assert sum(found.counts[place]) == mner.gold
            assert sum(row[place] for row in found.counts) == mner.pred
        assert found.counts[-1][-1] == 0
