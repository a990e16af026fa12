"""Scores do not depend on the number of processes, which share batches exactly (R5)."""

import json
import random

import numpy as np
import pytest

from gmbench.core.distributed import gather_predictions
from gmbench.core.entities import Entity, Prediction
from gmbench.data.datamodule import EveryNth, LengthGroupedBatches, Share
from gmbench.scoring.metric import GroundedF1
from tests.faults.processes import joined

SIZES = (1, 13, 97, 99, 1499)
TYPES = ("PER", "LOC")


def corpus(size: int) -> tuple[dict, dict]:
    """Gold and predictions of ``size`` sentences, some right, some wrong, some empty."""
    rng = random.Random(size)
    gold, found = {}, {}
    for number in range(size):
        id_ = f"s{number:05d}"
        entities, answers = [], []
        for start in range(rng.randrange(4)):
            box = tuple(rng.uniform(0, 50) for _ in range(2))
            box = (*box, box[0] + 20, box[1] + 20)
            kind = rng.choice(TYPES)
            entities.append(Entity(start, start, kind, (box,) if rng.random() < 0.6 else ()))
            if rng.random() < 0.8:
                moved = tuple(x + rng.uniform(0, 6) for x in box)
                seen = moved if rng.random() < 0.6 else None
                answers.append(Prediction(start, start, rng.choice(TYPES), seen, rng.random()))
        gold[id_], found[id_] = tuple(entities), tuple(answers)
    return gold, found


def scored(share: Share) -> dict[str, object]:
    """Every size: counts, figures and predictions, as this process sees them in the end."""
    seen = {}
    for size in SIZES:
        gold, found = corpus(size)
        ids = list(gold)
        mine = [ids[place] for place in EveryNth(size, share)]
        metric = GroundedF1(gold=gold, types=TYPES)
        for first in range(0, len(mine), 16):
            batch = mine[first : first + 16]
            metric.update(batch, [found[id_] for id_ in batch])
        union = gather_predictions({id_: found[id_] for id_ in mine})
        assert union == found
        micro = metric.scores().micro
        seen[size] = [
            [counts.tp, counts.pred, counts.gold, counts.precision.hex(), counts.f1.hex()]
            for counts in (micro.gmner, micro.mner, micro.eeg)
        ]
    return seen


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_scores_are_the_same_to_the_last_digit(count, tmp_path, promise):
    def work(rank, count):
        seen = scored(Share(rank, count))
        (tmp_path / f"{rank}.json").write_text(json.dumps(seen))

    assert joined(work, count, tmp_path) == [0] * count, list(tmp_path.glob("error*"))
    alone = json.loads(json.dumps(scored(Share())))
    for rank in range(count):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == alone
    promise("R5", "sizes and numbers of processes, scores equal to the last digit", len(SIZES))


def test_two_answers_to_one_example_are_an_error(tmp_path):
    def work(rank, count):
        with pytest.raises(ValueError, match="'a' differently"):
            gather_predictions({"a": (Prediction(0, rank, "PER", None, 1.0),)})

    assert joined(work, 2, tmp_path) == [0, 0]


@pytest.mark.parametrize("size", [3, 13, 97, 99])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_processes_share_every_batch_and_repeat_nothing(size, count):
    lengths = np.arange(size) % 7 + 3

    def batches(share):
        order = LengthGroupedBatches(lengths, batch_size=8, seed=5, pool_batches=3, share=share)
        order.set_epoch(4)
        found = list(order)
        assert len(found) == len(order)
        return found

    alone = batches(Share())
    shares = [batches(Share(rank, count)) for rank in range(count)]
    assert all(part for share in shares for part in share)
    seen = sorted(place for share in shares for part in share for place in part)
    assert seen == list(range(size))
    moved = 0
    for parts, batch in zip(zip(*shares, strict=True), alone, strict=True):
        moved += sorted(place for part in parts for place in part) != sorted(batch)
    assert moved <= (2 if 0 < size % 8 < count else 0)


def test_more_processes_than_examples_of_a_batch_are_refused():
    with pytest.raises(ValueError, match="3 processes cannot share batches of 2"):
        LengthGroupedBatches([1, 2, 3, 4], batch_size=2, seed=0, share=Share(0, 3))


@pytest.mark.parametrize("size", [0, 1, 2, 13])
def test_shares_of_evaluation_leave_nobody_idle(size):
    shares = [list(EveryNth(size, Share(rank, 3))) for rank in range(3)]
    assert sorted({place for share in shares for place in share}) == list(range(size))
    assert all(shares) == (size > 0)
    if size >= 3:
        assert sum(map(len, shares)) == size
