"""Gold rows that point at one candidate each."""

from dataclasses import replace

import pytest
import torch

from gmbench.objective.costs import TypeCost
from gmbench.objective.losses import RegionLoss, SetLoss
from gmbench.objective.matcher import HungarianMatcher
from gmbench.objective.targets import expand_regions
from tests.tensor_builders import make_batch, make_outputs, make_targets


def several():
    """Sample 0: two candidates, not groundable, covered by none; sample 1: nothing."""
    targets = make_targets([3, 0], slots=5)
    regions = torch.zeros(2, 3, 5, dtype=torch.bool)
    regions[0, 0, [2, 4]] = True
    regions[0, 1, 0] = True
    return replace(targets, regions=regions)


def test_each_candidate_gets_a_row_of_its_own():
    targets = several()
    wide = expand_regions(targets)
    assert wide.mask.tolist() == [[True] * 4, [False] * 4]
    assert wide.types[0].tolist() == targets.types[0][[0, 0, 1, 2]].tolist()
    assert wide.starts[0].tolist() == targets.starts[0][[0, 0, 1, 2]].tolist()
    rows = [row.nonzero().flatten().tolist() for row in wide.regions[0]]
    assert rows == [[2], [4], [0], []]
    assert not wide.regions[1].any()


def test_without_any_entity_one_empty_row_is_left():
    assert not expand_regions(make_targets([0, 0])).mask.any()


def test_without_candidates_it_is_refused():
    with pytest.raises(ValueError, match="needs candidate regions"):
        expand_regions(replace(make_targets([1]), regions=None))


def test_the_loss_counts_a_row_a_candidate():
    loss = SetLoss(
        matcher=HungarianMatcher(terms={"type": TypeCost()}),
        terms={"region": RegionLoss()},
        region_target="expand",
    )
    values = loss(make_outputs(2, slots=5), make_batch(several(), rows=2, slots=5))
    assert (values.matching.gold[0] >= 0).sum() == 4
    assert values.total.isfinite()
