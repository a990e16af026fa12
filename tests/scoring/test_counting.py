"""The strict protocol against the golden cases, its consequences, and a brute-force scorer."""

import random
import time
from dataclasses import asdict, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from gmbench.core.entities import Entity, Prediction
from gmbench.core.iou import iou
from gmbench.scoring import counting
from gmbench.scoring.counting import (
    TASKS,
    Counts,
    Scores,
    match,
    matched,
    region_right,
    regions_right,
    score_corpus,
    score_document,
)
from tests.scoring.documents import (
    TYPES,
    corpora,
    gold_entities,
    golds,
    predicted_entities,
    preds,
    random_document,
    worked_examples,
)


def true_positives(scores: Scores) -> dict[str, int]:
    return {task: getattr(scores, task).tp for task in TASKS}


def test_worked_examples(shared):  # the golden cases: tests/verbs/test_score.py
    for row, gold, pred in worked_examples(shared):
        kept = [pred[index] for index in row["kept_pred_indices_standard"]]
        found = asdict(score_document(gold, kept))
        assert found == row["expected"]["standard"], row["id"]


def brute_force(gold: list[Entity], pred: list[Prediction]) -> dict[str, int]:
    """An independent scorer: rational IoU, exhaustive search over all one-to-one pairings."""

    def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> Fraction:
        a, b = ([Fraction(x) for x in box] for box in (a, b))
        if min(a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1]) <= 0:
            return Fraction(0)
        sides = [min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1)]
        inside = sides[0] * sides[1] if min(sides) > 0 else Fraction(0)
        both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
        return inside / (both - inside)

    def compatible(task: str, g: Entity, p: Prediction) -> bool:
        if g.start != p.start or g.end != p.end:
            return False
        if task != "eeg" and g.type != p.type:
            return False
        if task == "mner":
            return True
        if p.box is None or len(g.boxes) == 0:
            return p.box is None and len(g.boxes) == 0
        return max(overlap(p.box, b) for b in g.boxes) >= Fraction(1, 2)

    def best(table: list[list[bool]], row: int, free: frozenset[int]) -> int:
        if row == len(table):
            return 0
        skipped = best(table, row + 1, free)
        return max(
            [skipped] + [1 + best(table, row + 1, free - {c}) for c in free if table[row][c]]
        )

    tables = {task: [[compatible(task, g, p) for g in gold] for p in pred] for task in TASKS}
    return {task: best(tables[task], 0, frozenset(range(len(gold)))) for task in TASKS}


def test_brute_force(promise):
    rng = random.Random(2)
    documents = [random_document(rng) for _ in range(10_000)]
    wrong = sum(true_positives(score_document(*d)) != brute_force(*d) for d in documents)
    promise("R17", "disagreements with a scorer written from the rules", wrong, of=10_000)
    assert wrong == 0


@given(golds, preds)
def test_bounds_and_shared_denominators(gold, pred):
    scores = score_document(gold, pred)
    assert scores.gmner.tp <= min(scores.mner.tp, scores.eeg.tp)
    for task in TASKS:
        counts = getattr(scores, task)
        assert (counts.pred, counts.gold) == (len(pred), len(gold))
        assert 0 <= counts.tp <= min(len(pred), len(gold))


@given(corpora, st.randoms(use_true_random=False))
def test_order_changes_nothing(corpus, rng):
    shuffled = [
        (rng.sample(gold, len(gold)), rng.sample(pred, len(pred)))
        for gold, pred in rng.sample(corpus, len(corpus))
    ]
    one, other = score_corpus(corpus), score_corpus(shuffled)
    assert one == other
    assert list(one.per_type) == list(other.per_type)


@given(corpora)
def test_documents_add_up(corpus):
    whole = score_corpus(corpus)
    assert whole.n == len(corpus)
    assert whole.micro == sum((score_document(g, p) for g, p in corpus), Scores())
    for task in ("gmner", "mner"):
        parts = sum((getattr(row, task) for row in whole.per_type.values()), Counts())
        assert parts == getattr(whole.micro, task)
    if corpus:
        found = [row.eeg_tp for row in whole.per_type.values()]
        assert whole.micro.eeg.tp <= sum(found)
        assert all(tp <= whole.micro.eeg.tp for tp in found)


@given(golds, preds, st.sampled_from([(2, 0), (1, 16), (2, -8)]))
def test_scaling_and_shifting_change_nothing(gold, pred, move):
    def moved(box: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(move[0] * x + move[1] for x in box)

    gold2 = [replace(e, boxes=tuple(moved(b) for b in e.boxes)) for e in gold]
    pred2 = [replace(p, box=p.box and moved(p.box)) for p in pred]
    assert score_document(gold, pred) == score_document(gold2, pred2)


@given(golds, preds, predicted_entities())
def test_an_added_prediction_never_lowers_tp(gold, pred, extra):
    fewer, more = score_document(gold, pred), score_document(gold, [*pred, extra])
    for task in TASKS:
        assert getattr(fewer, task).tp <= getattr(more, task).tp <= getattr(fewer, task).tp + 1


@given(corpora, st.permutations(["a", "b", "c"]))
def test_renaming_types_changes_only_the_keys(corpus, names):
    new = dict(zip(TYPES, names, strict=True))
    renamed = [
        ([replace(e, type=new[e.type]) for e in gold], [replace(p, type=new[p.type]) for p in pred])
        for gold, pred in corpus
    ]
    one, other = score_corpus(corpus), score_corpus(renamed)
    assert one.micro == other.micro
    assert {new[name]: row for name, row in one.per_type.items()} == other.per_type


@given(st.lists(gold_entities(most_boxes=1), max_size=5), preds)
def test_exchange_swaps_precision_and_recall(gold, pred):
    gold2 = [Entity(p.start, p.end, p.type, () if p.box is None else (p.box,)) for p in pred]
    pred2 = [Prediction(e.start, e.end, e.type, e.boxes[0] if e.boxes else None) for e in gold]
    one, other = score_document(gold, pred), score_document(gold2, pred2)
    for task in TASKS:
        a, b = getattr(one, task), getattr(other, task)
        assert (a.precision, a.recall, a.f1) == (b.recall, b.precision, b.f1)


@given(golds)
def test_gold_as_prediction_is_perfect_where_it_can_be(gold):
    pred = [Prediction(e.start, e.end, e.type, next(iter(e.boxes), None)) for e in gold]
    scores = score_document(gold, pred)
    assert scores.mner.tp == len(gold)
    if all(iou(b, b) == 1.0 for e in gold for b in e.boxes):
        assert scores.gmner.tp == scores.eeg.tp == len(gold)


@settings(max_examples=200)
@given(st.lists(st.sets(st.integers(0, 4)), max_size=5))
def test_matching_against_scipy(edges):
    table = np.array([[c in row for c in range(5)] for row in edges]).reshape(len(edges), 5)
    rows, columns = linear_sum_assignment(table, maximize=True)
    assert len(match(edges)) == matched(table) == table[rows, columns].sum()


@settings(max_examples=200)
@given(golds, preds, st.sampled_from([0.3, 0.5, 0.9]))
def test_right_regions_are_those_found_pair_by_pair(gold, pred, threshold):
    slow = [[region_right(p.box, e.boxes, threshold) for e in gold] for p in pred]
    for few in (counting.FEW_BOXES, 0):  # one by one, and as arrays
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counting, "FEW_BOXES", few)
            right = regions_right(pred, gold, threshold)
        assert right.shape == (len(pred), len(gold))
        assert right.tolist() == slow


def test_two_thousand_different_boxes_on_one_span():
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 300, (2, 2_000, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(50, 100, corners.shape)], axis=-1)
    gold, pred = (list(map(tuple, side)) for side in boxes.tolist())
    entities = [Entity(0, 0, "AB"[n % 2], (box,)) for n, box in enumerate(gold)]
    guesses = [Prediction(0, 0, "AB"[n % 2], box) for n, box in enumerate(pred)]
    started = time.process_time()
    scores = score_document(entities, guesses)
    assert time.process_time() - started < 4  # 0.4 s on a quiet core; 20 s pair by pair
    assert (scores.mner.tp, scores.gmner.tp, scores.eeg.tp) == (2_000, 1_965, 2_000)


def test_whoever_took_a_partner_first_moves_on():
    assert match([[0, 1], [0, 1]]) == {0: 1, 1: 0}


@pytest.mark.parametrize(("gold", "pred"), [(1_200, 1_200), (600, 1_200)])
def test_a_thousand_equal_spans_are_matched(gold, pred):
    box = (0, 0, 10, 10)
    found = score_document(
        [Entity(0, 0, "PER", (box,))] * gold, [Prediction(0, 0, "PER", box)] * pred
    )
    assert found.gmner == found.eeg == Counts(gold, pred, gold)
    chain = [range(max(0, n - 1), n + 1) for n in reversed(range(1_200))]
    assert len(match(chain)) == 1_200


def test_iou_is_exact_at_the_threshold_and_in_double_precision():
    assert iou((0, 0, 10, 10), (0, 0, 10, 5)) == 0.5
    assert iou((0, 0, 10, 10), (0, 0, 10, 4.999999999)) < 0.5
    one, two = np.float32(1.0), np.float32(2.0)
    narrow = iou((one * 0, one * 0, one * 3, one), (one, one * 0, two * 2, one))
    assert narrow == 0.5
    assert type(narrow) is float


@pytest.mark.parametrize("box", [(3, 3, 3, 9), (10, 10, 0, 0), (0, 5, 9, 5)])
def test_a_box_without_area_is_wrong_everywhere(box):
    assert not region_right(box, [box])
    assert not region_right(box, [])
    assert not region_right(None, [box])


def test_a_wrong_box_on_an_ungroundable_gold_is_never_right():
    scores = score_document([Entity(0, 1, "PER")], [Prediction(0, 1, "PER", (0, 0, 9, 9))])
    assert (scores.gmner, scores.mner.tp) == (Counts(0, 1, 1), 1)


def test_nothing_gives_zeros():
    empty = score_corpus([])
    assert (empty.n, empty.micro, empty.macro_f1("gmner")) == (0, Scores(), 0.0)
    assert (empty.micro.gmner.precision, empty.micro.gmner.recall, empty.micro.gmner.f1) == (0,) * 3


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, float("nan")])
def test_a_senseless_threshold_is_refused(threshold):
    with pytest.raises(ValueError, match="iou_threshold"):
        score_document([], [], threshold)


def test_a_higher_threshold_is_stricter():
    gold, pred = [Entity(0, 0, "PER", ((0, 0, 10, 10),))], [Prediction(0, 0, "PER", (0, 0, 10, 6))]
    tps = [score_document(gold, pred, t).gmner.tp for t in (0.5, 0.55, 0.6, 0.65)]
    assert tps == [1, 1, 1, 0]


def test_a_test_split_takes_milliseconds():
    rng = random.Random(3)
    corpus = [random_document(rng) for _ in range(1_500)]
    started = time.process_time()
    score_corpus(corpus)
    assert time.process_time() - started < 0.5  # 50 ms on a quiet core; ten times that here


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (3, 7), (16, 16), (16, 17), (40, 30)])
def test_few_pairs_are_matched_as_many_are(rows, columns, monkeypatch):
    """A search of our own below FEW, scipy's above: the same size."""
    rng = np.random.default_rng(rows)
    for share in (0.02, 0.1, 0.5):
        right = rng.random((rows, columns)) < share
        found = []
        for few in (0, right.size):
            monkeypatch.setattr(counting, "FEW", few)
            found.append(matched(right))
        assert found[0] == found[1] == maximum(right), share


def maximum(right) -> int:
    """The same as an assignment problem."""
    rows, columns = linear_sum_assignment(right, maximize=True)
    return int(right[rows, columns].sum())
