"""The power planner: against its definition, and against simulated pairs of a known difference."""

import numpy as np
import pytest

from gmbench.scoring.intervals import f1
from gmbench.scoring.power import DRAWS, Spread, plan, power, spread_of
from tests.scoring.coverage import tied_methods
from tests.scoring.power_rates import rates

SPREAD = Spread(skill=1e-4, luck=2e-5, shared=5e-5, examples=1500, methods=2, seeds=10)


def test_planned_power_is_what_tests_reach():
    truth, planned, told, _ = rates(5.0, 3, 400, 2.0, pairs=30, pilots=1)
    assert 0.03 < truth < 0.06
    assert abs(planned - told) < 0.25  # 30 pairs and 1 pilot: 8 points of noise each


def test_without_a_difference_power_is_the_error_rate():
    assert power(SPREAD, 0.0, seeds=5, examples=1500) <= 0.05 + 2.6 * (0.05 * 0.95 / DRAWS) ** 0.5


def test_more_seeds_examples_and_fewer_comparisons_help_up_to_the_test_set():
    def at(difference=0.02, seeds=5, examples=1500, comparisons=1, spread=SPREAD):
        return power(
            spread, difference, seeds=seeds, examples=examples, comparisons=comparisons, draws=100
        )

    assert at(seeds=2) < at() < at(seeds=20)
    assert at(comparisons=6) < at() < at(difference=0.03)
    assert at(difference=0.01, seeds=30) < at(difference=0.01, seeds=30, examples=12_000)


def test_the_fewest_seeds_are_where_power_crosses():
    methods = tied_methods(np.random.default_rng(0), seeds=(4, 4), examples=300, deviation=1)
    planned = plan(methods, 8.0)
    assert planned.spread.examples == 300
    for examples, seeds in planned.needed:
        assert seeds is not None
        reached = [power(planned.spread, 0.08, seeds=s, examples=examples) for s in (seeds, 2)]
        assert reached[0] >= 0.8
        assert seeds == 2 or reached[1] < 0.8
    assert plan(methods, 0.01).needed[0] == (300, None)


def test_the_spread_equals_its_definition():
    methods = tied_methods(np.random.default_rng(1), seeds=(3, 3), examples=80, deviation=2)
    found = spread_of(methods)
    scores = [[float(f1(table.sum(axis=0))) for table in tables] for tables in methods]
    seen = np.mean([np.var(values, ddof=1) for values in scores])
    assert found.skill + found.luck == pytest.approx(max(seen, found.luck))
    luck = []
    for tables, values in zip(methods, scores, strict=True):
        moves = [
            [(2 * tp - f * (pred + gold)) / (t[:, 1:].sum()) for tp, pred, gold in t]
            for t, f in zip(tables, values, strict=True)
        ]
        luck.append(80 / 79 * sum(np.var(column, ddof=1) for column in zip(*moves, strict=True)))
    assert found.luck == pytest.approx(np.mean(luck))


def test_one_seed_tells_nothing_and_one_method_is_taken_twice():
    methods = tied_methods(np.random.default_rng(1), seeds=(3, 3), examples=80, deviation=2)
    assert spread_of(methods[:1]).methods == 1
    for few in ([], [methods[0], methods[1][:1]]):
        with pytest.raises(ValueError, match="at least two seeds"):
            spread_of(few)
