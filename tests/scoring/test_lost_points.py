"""Lost points: parts that add up, by hand, against the definition and on the world's dial."""

import random
from fractions import Fraction
from itertools import pairwise, permutations

import pytest

from gmbench.core.entities import Entity, Prediction
from gmbench.core.iou import iou
from gmbench.data.layout import gold_box
from gmbench.data.synthetic.candidates import choose_covered, detect
from gmbench.data.synthetic.world import World
from gmbench.scoring.counting import score_corpus
from gmbench.scoring.lost_points import CAUSES, lost_points
from tests.scoring.documents import BOXES, random_document

HERE, HALF, FAR = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 20.0), (50.0, 50.0, 60.0, 60.0)


def split(gold, pred, boxes):
    return lost_points({"a": gold}, {"a": pred}, {"a": boxes}, resamples=0)


def errors(found):
    return {name: part.errors for name, part in found.parts.items() if part.errors}


@pytest.mark.parametrize(
    ("gold", "pred", "boxes", "expected"),
    [
        ([Entity(0, 0, "PER", (HERE,))], [Prediction(0, 0, "PER", HALF)], [], {}),
        ([Entity(0, 0, "PER", (HERE,))], [Prediction(0, 0, "PER", FAR)], [HALF], {"choice": 2}),
        ([Entity(0, 0, "PER", (HERE,))], [Prediction(0, 0, "PER", FAR)], [FAR], {"candidates": 2}),
        ([Entity(0, 0, "PER", (HERE,))], [Prediction(0, 0, "PER")], [], {"candidates": 2}),
        ([Entity(0, 0, "PER", (HERE,))], [Prediction(0, 0, "PER")], [HERE], {"none": 2}),
        ([Entity(0, 0, "PER")], [Prediction(0, 0, "PER", FAR)], [FAR], {"none": 2}),
        ([Entity(0, 0, "PER")], [Prediction(0, 0, "LOC")], [], {"text": 2}),
        ([Entity(0, 0, "PER")], [Prediction(0, 0, "PER")] * 2, [], {"text": 1}),
        ([], [Prediction(0, 0, "PER", FAR)], [FAR], {"text": 1}),
        ([Entity(0, 0, "PER")], [], [], {"text": 1}),
        ([], [], [], {}),
        # Of two answers for one name the right one counts, and only the other is superfluous.
        (
            [Entity(0, 0, "PER", (HERE,))],
            [Prediction(0, 0, "PER", FAR), Prediction(0, 0, "PER", HERE)],
            [HERE, FAR],
            {"text": 1},
        ),
    ],
)
def test_each_cause_by_hand(gold, pred, boxes, expected):
    assert errors(split(gold, pred, boxes)) == expected


def by_definition(gold, pred, boxes):
    """The true positives after each step, by every one-to-one assignment there is."""

    def covered(e):
        return any(iou(box, own) >= 0.5 for box in boxes for own in e.boxes)

    def right(p, e, step):
        if (p.start, p.end, p.type) != (e.start, e.end, e.type):
            return False
        if p.box is None and not e.boxes:
            return True
        if p.box is not None and any(iou(p.box, own) >= 0.5 for own in e.boxes):
            return True
        if e.boxes and not covered(e):
            return step >= 3
        return step >= (1 if p.box is not None and e.boxes else 2)

    few, many = sorted((gold, pred), key=len)
    flip = few is pred and few is not gold
    return [
        max(
            sum(right(*((f, m) if flip else (m, f)), step) for f, m in zip(few, order, strict=True))
            for order in permutations(many, len(few))
        )
        for step in range(4)
    ]


def test_a_thousand_random_files_add_up_and_follow_the_definition():
    rng = random.Random(5)
    for number in range(1000):
        documents = [random_document(rng) for _ in range(rng.randrange(1, 4))]
        boxes = [rng.choices(BOXES, k=rng.randrange(4)) for _ in documents]
        gold = {str(n): g for n, (g, _) in enumerate(documents)}
        pred = {str(n): p for n, (_, p) in enumerate(documents)}
        found = lost_points(
            gold, pred, {str(n): own for n, own in enumerate(boxes)}, resamples=0, seed=number
        )
        micro = score_corpus(documents).micro
        assert list(found.parts) == list(CAUSES)
        assert sum(errors(found).values()) + 2 * found.tp == found.pred + found.gold
        assert (found.tp, found.pred, found.gold) == (
            micro.gmner.tp,
            micro.gmner.pred,
            micro.gmner.gold,
        )
        size = found.pred + found.gold
        for part in found.parts.values():
            assert part.points.value == pytest.approx(
                float(Fraction(part.errors, size)) if size else 0.0, abs=1e-15
            )
        if size:
            total = found.gmner.value + sum(part.points.value for part in found.parts.values())
            assert total == pytest.approx(1, abs=1e-15)
            assert found.parts["text"].points.value == pytest.approx(1 - micro.mner.f1, abs=1e-15)
        if number < 100:
            rows = zip(documents, boxes, strict=True)
            steps = [by_definition(g, p, own) for (g, p), own in rows]
            tps = [sum(column) for column in zip(*steps, strict=True)]
            gained = [2 * (b - a) for a, b in pairwise(tps)]
            assert [found.parts[name].errors for name in CAUSES[:3]] == gained


def test_order_changes_nothing_and_drawn_boxes_lack_no_candidate():
    rng = random.Random(6)
    for _ in range(100):
        gold, pred = random_document(rng)
        boxes = rng.choices(BOXES, k=3)
        found = split(gold, pred, boxes)
        assert split(gold[::-1], pred[::-1], boxes[::-1]) == found
        free = lost_points({"a": gold}, {"a": pred}, None, resamples=0)
        assert free.parts["candidates"].errors == 0
        assert free.recall is None
        assert free.parts["text"] == found.parts["text"]


@pytest.mark.parametrize("recall", [0.4, 0.75])
def test_the_worlds_recall_dial_is_found_within_its_interval(recall):
    """From a system that names most entities and chooses the right candidate where there is one."""
    world = World(train=1, dev=1, test=250, candidate_recall=recall, multi_box=0.0)
    tweets = world.plan("test")
    chance = random.Random(1)
    covered = choose_covered([len(t.gold) for t in tweets], recall, chance)
    gold, pred, candidates = {}, {}, {}
    for tweet, found in zip(tweets, covered, strict=True):
        own, others = ([gold_box(t.box) for t in things] for things in (tweet.gold, tweet.others))
        size = tweet.scene.size
        boxes, _ = detect(own, found, others, size=size, count=10, rng=chance)
        candidates[tweet.id] = [tuple(box) for box in boxes.tolist()]
        gold[tweet.id] = [
            Entity(e.start, e.end, "PER", tuple(map(gold_box, e.boxes))) for e in tweet.annotated
        ]
        pred[tweet.id] = [
            Prediction(e.start, e.end, "PER", box)
            for e in gold[tweet.id]
            if chance.random() < 0.8
            for box in [
                max(candidates[tweet.id], key=lambda b: iou(b, e.boxes[0])) if e.boxes else None
            ]
        ]
    found = lost_points(gold, pred, candidates, resamples=999)
    assert found.recall.low <= recall <= found.recall.high
    assert found.recall.high - found.recall.low < 0.2
    assert errors(found).keys() == {"candidates", "text"}
    assert found.parts["candidates"].points.low > 0
