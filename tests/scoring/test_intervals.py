"""Intervals: against scipy's own bootstrap, by simulated coverage, and at the edges."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.counting import score_corpus
from gmbench.scoring.intervals import f1, intervals, sample_sd, tweet_table


def simulated(n, rng, right=0.6):
    gold = rng.poisson(1.7, n)
    found = rng.binomial(gold, 0.8)
    pred = found + rng.poisson(0.3, n)
    return np.stack([rng.binomial(found, right), pred, gold], axis=1).astype(np.int64)


@pytest.mark.parametrize("right", [0.6, 0.98])
def test_the_same_as_scipy(right):
    table = simulated(300, np.random.default_rng(3), right)
    columns = {
        "precision": lambda tp, pred, gold, axis=-1: tp.sum(axis) / pred.sum(axis),
        "recall": lambda tp, pred, gold, axis=-1: tp.sum(axis) / gold.sum(axis),
        "f1": lambda t, p, g, axis=-1: 2 * t.sum(axis) / (p.sum(axis) + g.sum(axis)),
    }
    (ours,) = intervals(table)
    for name, statistic in columns.items():
        theirs = bootstrap(
            tuple(table.T),
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=9_999,
            method="BCa",
            rng=np.random.default_rng(1),
        ).confidence_interval
        interval = getattr(ours, name)
        assert interval.low == pytest.approx(theirs.low, abs=0.0035)
        assert interval.high == pytest.approx(theirs.high, abs=0.0035)
        assert interval.low < interval.value < interval.high


def test_coverage_of_the_true_f1():
    # E[tp], E[pred], E[gold] of the simulation give the F1 that the interval is of.
    true = 2 * (1.7 * 0.8 * 0.6) / (1.7 * 0.8 + 0.3 + 1.7)
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(300):
        interval = intervals(simulated(150, rng), resamples=499)[0].f1
        inside += interval.low <= true <= interval.high
    assert 0.91 <= inside / 300 <= 0.985


def test_neither_order_nor_other_tasks_names_change_the_bytes():
    rng = np.random.default_rng(0)
    one, two = simulated(200, rng), simulated(200, rng)
    order = rng.permutation(200)
    assert intervals(one, two, resamples=200) == intervals(one[order], two[order], resamples=200)
    assert intervals(one, resamples=200, seed=1) != intervals(one, resamples=200, seed=2)


def test_degenerate_tables():
    none = intervals(np.zeros((5, 3), dtype=np.int64), resamples=50)[0]
    assert (none.f1.value, none.f1.low, none.f1.high) == (0.0, 0.0, 0.0)
    perfect = intervals(np.ones((5, 3), dtype=np.int64), resamples=50)[0]
    assert (perfect.f1.value, perfect.f1.low, perfect.f1.high) == (1.0, 1.0, 1.0)
    for n in (0, 1):
        few = intervals(np.ones((n, 3), dtype=np.int64), resamples=50)[0]
        assert (few.f1.value, few.f1.low, few.recall.high) == (float(n), None, None)
    one_right = np.array([[0, 1, 1]] * 9 + [[1, 1, 1]])
    interval = intervals(one_right, resamples=500)[0].f1
    assert 0.0 <= interval.low <= interval.value <= interval.high < 1.0


def test_tiny_tables_have_ordered_intervals():
    rng = np.random.default_rng(6)
    for _ in range(200):
        table = simulated(int(rng.integers(2, 6)), rng, right=float(rng.random()))
        table[0] *= rng.integers(1, 40)  # one tweet may outweigh all others
        for interval in intervals(table, resamples=60)[:1]:
            for figure in (interval.precision, interval.recall, interval.f1):
                assert 0.0 <= figure.low <= figure.high <= 1.0


def test_tables_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="same tweets"):
        intervals(np.ones((2, 3), dtype=np.int64), np.ones((3, 3), dtype=np.int64))


def test_table_sums_to_the_corpus_counts():
    box = (0.0, 0.0, 10.0, 10.0)
    gold = {"b": [Entity(0, 1, "PER", (box,))], "a": [Entity(2, 2, "LOC"), Entity(0, 0, "ORG")]}
    found = {"a": [Prediction(2, 2, "LOC")], "b": [Prediction(0, 1, "ORG", box)]}
    table = tweet_table(gold, found)
    assert table.ids == ("a", "b")
    micro = score_corpus((gold[i], found[i]) for i in gold).micro
    for task in ("gmner", "mner", "eeg"):
        counts = getattr(micro, task)
        sums = getattr(table, task).sum(axis=0)
        assert sums.tolist() == [counts.tp, counts.pred, counts.gold]
        assert f1(sums) == counts.f1
    with pytest.raises(ValueError, match="differ in 1 ids, say 'b'"):
        tweet_table(gold, {"a": []})


def test_sample_deviation():
    assert sample_sd([1.0, 2.0, 4.0]) == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert sample_sd([1.0]) is None
