import numpy as np
import pytest

from gmbench.core.entities import Candidates, Entity, Example
from gmbench.core.iou import pairwise_iou
from gmbench.data.examples import ReadReport, Split
from gmbench.data.source import SPLITS, leaked, normalised
from gmbench.data.summary import (
    Counts,
    Coverage,
    Leakage,
    is_invisible,
    recall_at,
    summarise,
    unused_types,
)
from gmbench.prepare import tables
from tests.data.files import dataset, source

BOX = (0.0, 0.0, 10.0, 10.0)
NEAR = (0.0, 0.0, 10.0, 5.0)  # IoU with BOX exactly 0.5


def test_iou():
    found = pairwise_iou([BOX, (5, 5, 5, 9), (9, 9, 2, 2)], [BOX, (0, 0, 10, 5), (20, 20, 30, 30)])
    assert found.tolist() == [[1.0, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert pairwise_iou([], [BOX]).shape == (0, 1)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("RT @ ada _ : Hello , World !", "hello world"),
        ("RT @ ada : Hello # World", "hello world"),
        ("Hello RT @ ada", "hello rt ada"),
        ("! ! !", ""),
    ],
)
def test_normalised(text, form):
    assert normalised(text.split()) == form


def test_leaked():
    train = [["RT", "@", "x", ":", "Hi", "you"], ["!"], ["a", "b"]]
    other = [["hi", "you"], ["?"], ["a", "b"], ["ab"], ["a b"]]
    assert leaked(train, other) == (0, 2, 4)
    assert leaked(train, other, exactly=True) == (2,)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("\ufe0f", True), ("\u200d", True), ("\x92", True), ("a\ufe0f", False), ("😀", False)],
)
def test_invisible(word, expected):
    assert is_invisible(word) is expected


def split(name: str, *examples: Example) -> Split:
    return Split(name=name, examples=examples, report=ReadReport(tweets=len(examples)))


def test_everything_is_counted():
    first = Example(
        id="1",
        words=("Ada", "and", "Ada", "in", "Rome", "\ufe0f"),
        entities=(
            Entity(0, 0, "PER", (BOX, (50, 50, 60, 60))),
            Entity(2, 2, "PER", (BOX, (50, 50, 60, 60))),
            Entity(4, 4, "LOC", (NEAR,)),
        ),
        candidates=Candidates(boxes=np.array([[0, 0, 10, 5.0]])),
    )
    second = Example(id="2", words=("hi",))
    third = Example(id="2", words=("HI", "!"), entities=(Entity(0, 0, "LOC"),))
    summary = summarise([split("train", first, second), split("dev", third)], types=("PER", "LOC"))
    assert summary.counts["train"] == Counts(
        examples=2, tokens=7, entities=3, groundable_entities=3, images_with_boxes=1, boxes=3,
        entity_box_pairs=5, examples_without_entity=1, repeated_names=1, overlapping_names=1,
        invisible_words=1,
    )  # fmt: skip
    assert summary.counts["dev"] == Counts(examples=1, tokens=2, entities=1)
    assert summary.leakage == {"dev": Leakage(ids=1, exact=0, normalised=1)}
    assert summary.coverage["train"] == Coverage(images=1, candidates=1, groundable=3, covered=3)
    assert summary.coverage["dev"].images == 0
    counts, types = (list(table.rows) for table in tables("small", summary))
    assert types == [("PER", "2 (2)", "0 (0)", "2 (2)"), ("LOC", "1 (1)", "1 (0)", "2 (1)")]
    assert counts[:2] == [("examples", "2", "1", "3"), ("tokens", "7", "2", "9")]
    assert counts[-1] == ("invisible words", "1", "0", "1")


def test_a_class_that_no_entity_has_is_named(tmp_path):
    data = source(dataset(tmp_path))
    splits = [data.read(split) for split in SPLITS]
    assert "LOC or ORG or OTHER" in unused_types(splits, data.types)
    assert unused_types(splits, ["PER"]) == ""


def test_recall_counts_gold_boxes_met_by_the_first_k_candidates():
    right, shifted, wrong = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 5.0, 10.0), (20.0, 0.0, 30.0, 10.0)
    gold = (Entity(0, 0, "PER", (right, (40.0, 0.0, 50.0, 10.0))), Entity(1, 1, "PER", (right,)))
    given = Candidates(boxes=np.array([wrong, shifted, right]))
    examples = [
        Example("a", ("x", "y"), gold, candidates=given),
        Example("b", ("x",), (Entity(0, 0, "PER", (wrong,)),)),  # no candidates
        Example("c", ("x",), (), candidates=given),
    ]
    assert recall_at(examples, ks=(1, 2, 3)) == (0.0, 1 / 3, 1 / 3)  # IoU 0.5 is enough
    assert recall_at(examples, lambda **_: given, ks=(1, 3)) == (1 / 3, 2 / 3)
    assert recall_at([], ks=(5,)) == (0.0,)
