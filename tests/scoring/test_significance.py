"""Two runs: against full enumeration, under the null, and against textbook values."""

from itertools import product

import numpy as np
import pytest

from gmbench.scoring.intervals import f1
from gmbench.scoring.significance import compare_f1, holm, paired_bootstrap, randomisation_p
from tests.scoring.test_intervals import simulated


def pair(n, rng, worse=0.0):
    """Two systems with the same gold; the second loses some of what the first found."""
    gold = rng.poisson(1.7, n)
    tables = []
    for right in (0.6, 0.6 - worse):
        tp = rng.binomial(gold, right)
        tables.append(np.stack([tp, tp + rng.poisson(0.6, n), gold], axis=1).astype(np.int64))
    return tables


def test_randomisation_against_all_swaps():
    first, second = pair(10, np.random.default_rng(2), worse=0.15)
    observed = abs(f1(first.sum(0)) - f1(second.sum(0)))
    reached = 0
    for swaps in product((False, True), repeat=10):
        mask = np.array(swaps)[:, None]
        one, two = np.where(mask, second, first), np.where(mask, first, second)
        reached += abs(f1(one.sum(0)) - f1(two.sum(0))) >= observed - 1e-12
    assert randomisation_p(first, second) == pytest.approx(reached / 1024, abs=0.015)


def test_randomisation_keeps_its_level():
    rng = np.random.default_rng(7)
    p_values = [randomisation_p(*pair(80, rng), resamples=199) for _ in range(400)]
    assert 0.02 <= np.mean([p <= 0.05 for p in p_values]) <= 0.085
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.05)


def test_a_clear_difference():
    first, second = pair(400, np.random.default_rng(1), worse=0.2)
    found = compare_f1(first, second, resamples=999)
    assert found.p == 0.001
    assert found.not_better == 0.001
    assert found.delta.low > 0.05
    assert found.delta.value == pytest.approx(found.first - found.second)
    turned = compare_f1(second, first, resamples=999)
    assert turned.delta.value == -found.delta.value
    assert turned.p == found.p
    assert turned.not_better == 1.0


def test_equal_systems():
    table = simulated(50, np.random.default_rng(0))
    found = compare_f1(table, table, resamples=99)
    assert (found.delta.value, found.delta.low, found.delta.high) == (0.0, 0.0, 0.0)
    assert (found.not_better, found.p) == (1.0, 1.0)
    assert paired_bootstrap(table[:1], table[:1])[0].low is None


def test_coverage_of_the_paired_interval():
    rng = np.random.default_rng(11)
    true = 2 * 1.02 / (1.02 + 0.6 + 1.7) - 2 * 0.85 / (0.85 + 0.6 + 1.7)
    inside = 0
    for _ in range(300):
        interval, _ = paired_bootstrap(*pair(150, rng, worse=0.1), resamples=499)
        inside += interval.low <= true <= interval.high
    assert 0.91 <= inside / 300 <= 0.985


def test_other_gold_is_refused():
    table = simulated(5, np.random.default_rng(0))
    other = table.copy()
    other[3, 2] += 1
    with pytest.raises(ValueError, match="gold of row 3 differs"):
        compare_f1(table, other)
    with pytest.raises(ValueError, match="5 tweets against 4"):
        randomisation_p(table, table[:4])


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.5, 0.6]) == (1.0, 1.0)
    assert holm([]) == ()
    with pytest.raises(ValueError, match=r"0\.\.1"):
        holm([1.5])
