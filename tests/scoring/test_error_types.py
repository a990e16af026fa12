"""Error decomposition: parts add up everywhere, each kind by hand, gains by real repair."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.counting import Counts, score_corpus, score_document
from gmbench.scoring.error_types import KINDS, PAIRS, REGIONS, decompose, judge
from gmbench.scoring.files import read_cases
from tests.scoring.documents import corpora, golds, preds, random_document

HERE, FAR = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)


def kinds(gold, pred):
    return sorted(verdict.kind for verdict in judge(gold, pred))


def check(gold, pred):
    found = judge(gold, pred)
    count = {kind: sum(v.kind == kind for v in found) for kind in ("correct", *KINDS)}
    paired = count["correct"] + sum(count[kind] for kind in PAIRS)
    assert len(pred) == paired + count["duplicate"] + count["spurious"]
    assert len(gold) == paired + count["missed"]
    scores = score_document(gold, pred)
    assert count["correct"] == scores.gmner.tp
    assert count["correct"] + count["region"] <= scores.mner.tp
    assert count["correct"] + count["type"] <= scores.eeg.tp
    assert sum(v.region is not None for v in found) == count["region"] + count["type_region"]
    assert sorted(map(id, pred)) == sorted(id(v.pred) for v in found if v.pred is not None)
    assert sorted(map(id, gold)) == sorted(id(v.gold) for v in found if v.gold is not None)


@given(golds, preds)
def test_parts_add_up(gold, pred):
    check(gold, pred)


def test_parts_add_up_on_many_random_documents():
    rng = random.Random(0)
    for _ in range(3_000):
        check(*random_document(rng))


def test_parts_add_up_on_the_golden_cases(shared):
    for case in read_cases(shared / "golden" / "cases_public.jsonl").values():
        check(case.gold, case.pred)


@given(golds, preds, st.randoms())
def test_order_changes_nothing(gold, pred, rng):
    first = decompose([(gold, pred)])
    rng.shuffle(gold)
    rng.shuffle(pred)
    assert decompose([(gold, pred)]) == first


@pytest.mark.parametrize(("pred", "kind", "region"), [
    (Prediction(1, 2, "PER", HERE), "correct", None),
    (Prediction(1, 2, "LOC", HERE), "type", None),
    (Prediction(1, 2, "PER"), "region", "none_for_box"),
    (Prediction(1, 2, "PER", FAR), "region", "wrong_box"),
    (Prediction(1, 2, "PER", (0, 0, 10, 30)), "region", "poor_box"),
    (Prediction(1, 2, "PER", (0, 0, 10, 100)), "region", "poor_box"),
    (Prediction(1, 2, "PER", (0, 0, 10, 101)), "region", "wrong_box"),
    (Prediction(1, 2, "LOC", FAR), "type_region", "wrong_box"),
    (Prediction(2, 4, "PER", HERE), "span", None),
    (Prediction(0, 6, "LOC"), "span", None),
])  # fmt: skip
def test_each_kind(pred, kind, region):
    gold = [Entity(1, 2, "PER", (HERE,))]
    (found,) = judge(gold, [pred])
    assert (found.kind, found.region) == (kind, region)


def test_what_is_left_over():
    gold = [Entity(1, 2, "PER", (HERE,)), Entity(5, 5, "LOC")]
    assert kinds(gold, []) == ["missed", "missed"]
    assert kinds([], [Prediction(0, 0, "PER")]) == ["spurious"]
    right = Prediction(1, 2, "PER", HERE)
    assert kinds(gold, [right, right]) == ["correct", "duplicate", "missed"]
    assert kinds(gold, [right, Prediction(1, 2, "LOC")]) == ["correct", "duplicate", "missed"]
    # The span stage comes after duplicates, and only spans without a shared word are spurious.
    assert kinds(gold, [right, Prediction(3, 4, "PER")]) == ["correct", "missed", "spurious"]


def test_boxes_of_others():
    gold = [Entity(0, 0, "PER", (HERE,)), Entity(1, 1, "PER", (FAR,)), Entity(2, 2, "LOC")]
    (found,) = (v for v in judge(gold, [Prediction(0, 0, "PER", FAR)]) if v.region)
    assert found.region == "other_entity"
    (found,) = (v for v in judge(gold, [Prediction(2, 2, "LOC", HERE)]) if v.region)
    assert found.region == "box_for_none"


def test_longest_overlap_first():
    gold = [Entity(0, 3, "PER"), Entity(5, 5, "PER")]
    found = judge(gold, [Prediction(1, 5, "PER"), Prediction(5, 6, "PER")])
    pairs = {(v.pred.start, v.gold.start) for v in found if v.kind == "span"}
    assert pairs == {(1, 0), (5, 5)}


@settings(max_examples=40)
@given(corpora)
def test_gains_by_repair(documents):
    """Repair one kind in the data themselves and score again."""
    found = decompose(documents)
    base = score_corpus(documents).micro.gmner
    assert Counts(found.correct, found.pred, found.gold) == base
    for kind in KINDS:
        repaired = []
        for gold, pred in documents:
            bad = [v for v in judge(gold, pred) if v.kind == kind]
            out_p, out_g = ({id(getattr(v, side)) for v in bad} for side in ("pred", "gold"))
            left_g = [e for e in gold if id(e) not in out_g]
            left_p = [p for p in pred if id(p) not in out_p]
            tp = score_document(left_g, left_p).gmner.tp
            if kind in PAIRS:
                repaired.append(Counts(tp + len(bad), len(pred), len(gold)))
            else:
                repaired.append(Counts(tp, len(left_p), len(left_g)))
        total = sum(repaired, Counts())
        assert found.kinds[kind].gain == pytest.approx(total.f1 - base.f1)
        assert found.kinds[kind].gain >= 0


def test_all_kinds_are_named():
    found = decompose([])
    assert tuple(found.kinds) == KINDS
    assert tuple(found.regions) == REGIONS
    assert all(kind.gain == 0.0 for kind in found.kinds.values())
