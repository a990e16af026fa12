"""The test of two methods over seeds, against a slow reference and against simulated ties."""

import math

import numpy as np
import pytest
from scipy import stats

from gmbench.scoring.intervals import f1
from gmbench.scoring.methods import FREEDOM, LEAST_SEED_SHARE, compare_methods, summarise
from tests.scoring.coverage import coverage, tied_methods


def drawn(*seeds, examples=60):
    return tied_methods(np.random.default_rng(3), seeds=seeds, examples=examples, deviation=2)


@pytest.mark.parametrize(("seeds", "examples", "deviation"), [
    ((2, 2), 400, 0), ((3, 3), 1500, 2), ((5, 5), 400, 3), ((2, 5), 400, 1),
])  # fmt: skip
def test_an_interval_covers_and_a_tie_gets_no_star(seeds, examples, deviation):
    draws = 400
    noise = 2.6 * math.sqrt(0.05 * 0.95 / draws)  # of a share seen in so many draws
    share = coverage(seeds=seeds, examples=examples, deviation=deviation, draws=draws)
    assert 0.94 - noise <= share <= 0.97 + noise


def test_equals_a_slow_reference():
    first, second = drawn(3, 2)
    found = compare_methods(first, second)
    error, freedom = reference(first, second)
    value = np.mean([f1(t.sum(0)) for t in first]) - np.mean([f1(t.sum(0)) for t in second])
    assert found.delta.value == pytest.approx(value)
    assert found.delta.high - value == pytest.approx(stats.t.ppf(0.975, freedom) * error, rel=1e-4)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(value) / error, freedom), rel=1e-4)
    turned = compare_methods(second, first)
    assert (turned.delta.low, turned.p) == pytest.approx((-found.delta.high, found.p))


def reference(first, second):
    """The definition in loops: products of influences of two seeds, example by example."""
    examples = len(first[0])
    scale = examples / (examples - 1)

    def influence(table, i):  # by what F1 moves when example i counts a little more
        step = 1e-6
        weighted = table.sum(axis=0) + step * table[i]
        return (f1(weighted) - f1(table.sum(axis=0))) / step

    rows = [[[influence(t, i) for i in range(examples)] for t in m] for m in (first, second)]
    over_examples, over_seeds, terms = 0.0, 0.0, 0.0
    for method, tables in zip(rows, (first, second), strict=True):
        s = len(method)
        shared = 0.0
        for i in range(examples):
            pairs = [method[a][i] * method[b][i] for a in range(s) for b in range(s) if a != b]
            over_examples += scale * sum(pairs) / (s * (s - 1))
            shared += scale * np.var([method[a][i] for a in range(s)], ddof=1) / s
        observed = np.var([f1(t.sum(axis=0)) for t in tables], ddof=1) / s
        over_seeds += max(observed, LEAST_SEED_SHARE * shared)
        terms += observed**2 / (s - 1)
    for i in range(examples):
        both = [a[i] * b[i] for a in rows[0] for b in rows[1]]
        over_examples -= 2 * scale * float(np.mean(both))
    over_examples = max(over_examples, 0.0)
    variance = over_examples + over_seeds
    terms += over_examples**2 / (examples - 1)
    return variance**0.5, max(1.0, FREEDOM * variance**2 / terms)


def test_one_seed_compares_runs_and_gives_no_p():
    first, second = drawn(3, 3)
    for few in ((first[:1], second), (first, second[:1]), (first[:1], second[:1])):
        found = compare_methods(*few)
        assert (found.delta.low, found.delta.high, found.p) == (None, None, None)


def test_equal_methods_do_not_differ_and_a_great_difference_does():
    first, second = drawn(5, 5, examples=400)
    same = compare_methods([first[0]] * 3, [first[0]] * 3)
    assert (same.delta.value, same.delta.low, same.delta.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    worse = [table // (2, 1, 1) for table in second]
    assert compare_methods(first, worse).p < 1e-3


def test_methods_on_other_examples_are_refused():
    first, second = drawn(2, 2)
    with pytest.raises(ValueError, match="60 tweets against 59"):
        compare_methods(first, [second[0], second[1][:-1]])
    with pytest.raises(ValueError, match="at least one seed"):
        compare_methods([], second)


def test_summary_of_seeds():
    found = summarise([0.5, 0.6, 0.55])
    assert found.mean == pytest.approx(0.55)
    assert found.sd == pytest.approx(0.05)
    assert (found.low, found.high) == (0.5, 0.6)
    assert summarise([0.5]).sd is None
    with pytest.raises(ValueError, match="no seeds"):
        summarise([])


def test_seeds_of_the_same_weights_are_paired():
    """Seeds far apart, and each with twenty examples more right: a fact about all of them."""
    rng = np.random.default_rng(0)
    second = [
        np.stack([rng.random(400) < level, np.ones(400), np.ones(400)], axis=1).astype(np.int64)
        for level in (0.5, 0.65, 0.8)
    ]
    first = [table.copy() for table in second]
    for table in first:
        table[np.flatnonzero(table[:, 0] == 0)[:20], 0] = 1
    apart, paired = (compare_methods(first, second, paired=how) for how in (False, True))
    assert (paired.delta.value, apart.delta.value) == pytest.approx((0.05, 0.05))
    assert apart.delta.low < 0 < paired.delta.low
    turned = compare_methods(second, first, paired=True)
    assert (turned.delta.low, turned.p) == pytest.approx((-paired.delta.high, paired.p))
    same = compare_methods(first, first, paired=True)
    assert (same.delta.low, same.delta.high, same.p) == (0, 0, 1)
    with pytest.raises(ValueError, match=r"zip\(\)"):
        compare_methods(first, second[:2], paired=True)
