"""Terms of the matching cost against slow references in plain Python."""

import math
from dataclasses import replace

import pytest
import torch

from gmbench.objective.costs import (
    CONSTANT,
    FORBIDDEN,
    BoxCost,
    RegionCost,
    SpanCost,
    TypeCost,
    total_cost,
)
from gmbench.objective.matcher import HungarianMatcher
from tests.objective.references import box_distance, softmax
from tests.tensor_builders import free_outputs, make_outputs, make_targets

COSTS = {"type": TypeCost(weight=2.0), "span": SpanCost(weight=2.0), "box": BoxCost()}


def test_cost_is_that_of_the_nearest_gold_box():
    outputs, targets = free_outputs(2), make_targets([3, 1], seed=5)
    g = torch.Generator().manual_seed(7)
    boxes = torch.rand(2, 3, 2, 4, generator=g) * 0.4 + 0.1
    mask = targets.groundable[..., None] & torch.tensor([True, True])
    mask[0, 0, 1] = False
    targets = replace(targets, boxes=boxes, box_mask=mask)
    cost = BoxCost()(outputs, targets)
    for b in range(2):
        for q in range(6):
            for j in range(3):
                real = [boxes[b, j, m] for m in range(2) if mask[b, j, m]]
                wanted = min((box_distance(outputs.boxes[b, q], box) for box in real), default=0.0)
                assert cost[b, q, j].item() == pytest.approx(wanted, abs=1e-5)


def test_iou_in_the_cost_is_the_papers_word():
    outputs, targets = free_outputs(1), make_targets([1], seed=3)
    both = [
        BoxCost(l1=0.0, giou=1.0, overlap=kind)(outputs, targets)[0, :, 0]
        for kind in ("giou", "iou")
    ]
    assert (both[1] <= 1.0).all()
    assert (both[0] >= both[1] - 1e-9).all()
    assert not torch.allclose(both[0], both[1])


def test_a_constant_for_ungroundable_changes_no_match():
    """Acceptance 5: in float64 on 2000 random cases."""
    assert CONSTANT < FORBIDDEN / 2  # else the matcher would refuse those pairs
    generator = torch.Generator().manual_seed(0)
    for seed in range(100):
        outputs = free_outputs(20, queries=12, seed=seed)
        counts = torch.randint(1, 7, (20,), generator=generator).tolist()
        targets = make_targets(counts, seed=seed)
        # Two golds may be equal by chance, and then change places: tell them by what they say.
        names = (targets.types * 7 + targets.starts) * 7 + targets.ends
        names = 2 * names + targets.groundable
        found = []
        for kind in ("zero", "constant"):
            terms = {**COSTS, "box": BoxCost(ungroundable=kind)}
            (matching,) = HungarianMatcher(terms=terms)([outputs], targets)
            matched = matching.gold >= 0
            assert (matched.sum(dim=1) == torch.tensor(counts)).all()
            found.append(names.gather(1, matching.gold.clamp(min=0)).masked_fill(~matched, -1))
        assert found[0].equal(found[1])


def test_costs_are_weighed_and_added():
    outputs, targets = free_outputs(2), make_targets([2, 1])
    parts = [term(outputs, targets) for term in (TypeCost(), SpanCost(), BoxCost())]
    terms = {"type": TypeCost(weight=3.0), "span": SpanCost(weight=0.5), "box": BoxCost(weight=2.0)}
    wanted = 3.0 * parts[0] + 0.5 * parts[1] + 2.0 * parts[2]
    torch.testing.assert_close(total_cost(terms, outputs, targets), wanted.double())


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_the_region_costs_what_the_best_of_its_candidates_costs(activation):
    outputs, targets = make_outputs(2), make_targets([2, 1])
    regions = torch.zeros_like(targets.regions)
    regions[0, 0, [1, 3]] = regions[0, 1, 0] = True  # entity 0 of tweet 1: no candidate shows it
    cost = RegionCost(activation=activation)(outputs, replace(targets, regions=regions))
    for q in range(6):
        row = outputs.region_logits[0, q].tolist()
        odds = [1 / (1 + math.exp(-x)) for x in row] if activation == "sigmoid" else softmax(row)
        assert cost[0, q, 0].item() == pytest.approx(-max(odds[1], odds[3]))
        assert cost[0, q, 1].item() == pytest.approx(-odds[0])
    assert (cost[1] == 0).all()
