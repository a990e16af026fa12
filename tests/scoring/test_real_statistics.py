"""What is known of the real test split must come out of the statistics, too."""

import random
import time

import numpy as np
import pytest

from gmbench.core.entities import Prediction
from gmbench.scoring.calibration import calibration
from gmbench.scoring.error_types import decompose
from gmbench.scoring.grounding import region_upper_bound
from gmbench.scoring.intervals import intervals, tweet_table
from gmbench.scoring.methods import compare_methods
from gmbench.scoring.significance import paired_bootstrap
from tests.data.files import real

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def examples(shared):
    return real(shared).read("test").examples


@pytest.fixture(scope="module")
def gold(examples):
    return {example.id: example.entities for example in examples}


def answers(gold, right, seed=0, **more):
    """Gold text; a share of the regions right, the others *none* or a box in a corner."""
    rng = random.Random(seed)

    def box(entity):
        keep = rng.random() < right
        if entity.boxes:
            return entity.boxes[0] if keep else None
        return None if keep else (0.0, 0.0, 1.0, 1.0)

    return {
        id_: tuple(Prediction(e.start, e.end, e.type, box(e), **more) for e in entities)
        for id_, entities in gold.items()
    }


def test_the_base_rate_said_always(gold):
    found = calibration(gold, answers(gold, 1.0, no_target=1497 / 2543))
    assert (found.n, round(found.base_rate, 3)) == (2543, 0.589)
    assert round(found.brier, 3) == 0.242
    assert found.ece.value == pytest.approx(0.0, abs=1e-9)


def test_half_width_of_one_run(gold):
    """About 1.9 points at a GMNER F1 of 59: what one run can show on this split."""
    interval = intervals(tweet_table(gold, answers(gold, 0.59)).gmner)[0].f1
    assert interval.value == pytest.approx(0.59, abs=0.02)
    assert (interval.high - interval.low) / 2 == pytest.approx(0.019, abs=0.003)


def test_half_width_of_two_independent_runs(gold):
    """Two points are about the least difference that one pair of runs can show here."""
    first, second = (tweet_table(gold, answers(gold, 0.59, seed)).gmner for seed in (1, 2))
    interval, _ = paired_bootstrap(first, second)
    assert (interval.high - interval.low) / 2 == pytest.approx(0.0245, abs=0.005)


def test_without_candidates_only_the_ungroundable_can_be_found(examples, gold):
    found = region_upper_bound(examples, answers(gold, 1.0), k=1)
    assert (found.groundable, found.ungroundable) == (1046, 1497)
    assert round(100 * found.gmner[0], 2) == 58.87
    assert round(100 * found.oracle.f1, 2) == 58.87


def test_errors_of_answers_without_box(gold):
    none = {id_: tuple(Prediction(e.start, e.end, e.type) for e in es) for id_, es in gold.items()}
    found = decompose((gold[id_], none[id_]) for id_ in gold)
    assert (found.correct, found.kinds["region"].count) == (1497, 1046)
    assert found.regions["none_for_box"] == 1046
    assert found.kinds["region"].gain == pytest.approx(1046 / 2543)


def test_five_seconds_of_cpu_for_everything(gold):
    """Three tasks scored, 9,999 resamples, two systems of three seeds compared."""
    began = time.process_time()
    tables = [tweet_table(gold, answers(gold, 0.6, seed)) for seed in range(6)]
    first = tables[0]
    intervals(first.gmner, first.mner, first.eeg)
    spent = time.process_time() - began
    compare_methods([t.gmner for t in tables[:3]], [t.gmner for t in tables[3:]])
    assert np.all(first.gmner[:, 2] == tables[1].gmner[:, 2])
    assert spent < 5
