"""Committed tests are those that their inputs give, and no surer than counts would make them."""

import numpy as np
import pytest

from experiments.rederive import derive, every_test, files
from gmbench.scoring.intervals import f1
from gmbench.scoring.methods import compare_methods
from tests.scoring.coverage import tied_methods


def test_every_committed_test_is_what_its_inputs_give():
    for path, text in files().items():
        assert path.read_text() == text, "python -m experiments.rederive writes it anew"


def test_a_derived_p_and_its_interval_agree():
    for test in every_test():
        low, high, p = test.found.delta.low, test.found.delta.high, test.found.p
        assert low <= test.found.delta.value <= high
        assert (p > 0.05) == (low <= 0 <= high), test


@pytest.mark.parametrize("deviation", [0, 3])
def test_what_is_derived_is_no_surer_than_the_test_of_the_counts(deviation):
    rng = np.random.default_rng(1)
    wider = []
    for _ in range(8):
        methods = tied_methods(rng, seeds=(3, 3), examples=300, deviation=deviation)
        cube = np.stack([np.stack(tables) for tables in methods])  # [2, S, N, 3]
        drawn = []
        for _ in range(300):  # a hierarchical bootstrap
            seeds = rng.integers(3, size=(2, 3))
            tweets = rng.integers(300, size=300)
            sums = np.stack([cube[m, seeds[m]][:, tweets].sum(axis=1) for m in range(2)])
            means = f1(sums).mean(axis=1)
            drawn.append(means[0] - means[1])
        values = f1(cube.sum(axis=2))
        found = derive(*map(list, values), bootstrap=float(np.var(drawn)), tweets=300)
        exact = compare_methods(*methods).delta
        assert found.delta.value == pytest.approx(exact.value)
        wider.append((found.delta.high - found.delta.low) / (exact.high - exact.low))
    assert min(wider) > 0.9  # but for the noise of 300 draws
    assert np.mean(wider) > 1
