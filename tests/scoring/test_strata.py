"""Splits of a score: that the parts are the whole, and that each entity lands where it belongs."""

import random

from hypothesis import given

from gmbench.core.entities import Entity, Example, Prediction
from gmbench.scoring.counting import Counts, score_corpus, score_document
from gmbench.scoring.strata import Recall, Strata, names_of, strata
from tests.scoring.documents import corpora, random_document

Corpus = list[tuple[Example, list[Prediction]]]
WORDS = ("w0", "w1", "w2", "w3")


def with_examples(documents: list[tuple[list[Entity], list[Prediction]]]) -> Corpus:
    return [
        (Example(f"t{n}", WORDS, tuple(gold), size=(100, 50)), pred)
        for n, (gold, pred) in enumerate(documents)
    ]


def one_gold_a_span(documents: list[tuple[list[Entity], list[Prediction]]]) -> Corpus:
    return with_examples(
        [(list({(e.start, e.end): e for e in gold}.values()), pred) for gold, pred in documents]
    )


def of(found: Strata, split: str) -> dict[str, Recall]:
    return {row.name: row for row in found.recalls if row.split == split}


@given(corpora)
def test_groundable_and_ungroundable_are_the_whole(documents):
    corpus = with_examples(documents)
    whole = score_corpus((e.entities, pred) for e, pred in corpus).micro
    sides = strata(corpus).sides
    assert [side.name for side in sides] == ["groundable", "ungroundable"]
    assert sum((side.gmner for side in sides), Counts()) == whole.gmner
    assert sum((side.eeg for side in sides), Counts()) == whole.eeg


@given(corpora)
def test_every_split_adds_up_where_golds_have_spans_of_their_own(documents):
    corpus = one_gold_a_span(documents)
    whole = score_corpus((e.entities, pred) for e, pred in corpus).micro
    found = strata(corpus, train_names={("w0",), ("w1", "w2")})
    for split in ("boxes", "entities in the tweet", "name in train"):
        rows = of(found, split).values()
        assert sum(row.gold for row in rows) == whole.gmner.gold
        assert sum(row.gmner for row in rows) == whole.gmner.tp
        assert sum(row.mner for row in rows) == whole.mner.tp
        assert sum(row.eeg for row in rows) == whole.eeg.tp


@given(corpora)
def test_each_recall_is_that_of_its_entities_alone(documents):
    corpus = with_examples(documents)
    several = of(strata(corpus), "boxes")["several"]
    kept = [([x for x in e.entities if len(x.boxes) > 1], pred) for e, pred in corpus]
    alone = [score_document(gold, pred) for gold, pred in kept]
    assert several.gold == sum(len(gold) for gold, _ in kept)
    assert several.gmner == sum(scores.gmner.tp for scores in alone)
    assert several.eeg == sum(scores.eeg.tp for scores in alone)


def test_box_sizes_are_shares_of_the_image_where_its_size_is_known():
    box = (0.0, 0.0, 30.0, 30.0)  # 900 px: small in COCO's pixels, half of this image
    known = Example("a", ("x",), (Entity(0, 0, "PER", (box,)),), size=(60, 30))
    unknown = Example("a", ("x",), (Entity(0, 0, "PER", (box,)),))
    pred = [Prediction(0, 0, "PER", box)]
    rows = of(strata([(known, pred)]), "box size (share of the image)")
    assert {name: (row.gold, row.gmner) for name, row in rows.items()} == {
        "small": (0, 0),
        "medium": (0, 0),
        "large": (1, 1),
    }
    found = strata([(unknown, pred)])
    assert of(found, "box size (pixels)")["small"].gold == 1
    assert "box size is the area in pixels" in found.notes[0]


def test_the_largest_box_decides():
    boxes = ((0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 100.0, 100.0), (9.0, 9.0, 0.0, 0.0))
    example = Example("a", ("x",), (Entity(0, 0, "PER", boxes),))
    found = strata([(example, [])])
    assert of(found, "box size (pixels)")["large"].gold == 1
    assert of(found, "boxes")["several"].gold == 1


def test_seen_and_unseen_names():
    train = [Example("t", ("Kevin", "Durant", "wins"), (Entity(0, 1, "PER"),))]
    assert names_of(train) == {("Kevin", "Durant")}
    example = Example("a", ("Kevin", "Durant", "kevin"), (Entity(0, 1, "PER"), Entity(2, 2, "PER")))
    pred = [Prediction(0, 1, "PER")]
    rows = of(strata([(example, pred)], train_names=names_of(train)), "name in train")
    assert (rows["seen"].gold, rows["seen"].gmner) == (1, 1)
    assert (rows["unseen"].gold, rows["unseen"].gmner) == (1, 0)
    without = strata([(example, pred)])
    assert of(without, "name in train") == {}
    assert any("need the training split" in note for note in without.notes)


def test_order_changes_nothing():
    rng = random.Random(4)
    corpus = with_examples([random_document(rng) for _ in range(50)])
    assert strata(corpus) == strata(corpus[::-1])
