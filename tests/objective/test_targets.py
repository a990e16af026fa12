"""What a query is taught where an entity has several boxes or candidate regions."""

from dataclasses import replace

import pytest
import torch

from gmbench.core.tensors import Batch, Targets
from gmbench.objective.costs import BoxCost, TypeCost
from gmbench.objective.losses import RegionLoss, SetLoss
from gmbench.objective.matcher import HungarianMatcher
from gmbench.objective.targets import GoldBoxes, expand_regions
from tests.tensor_builders import free_outputs, make_batch, make_outputs, make_targets

SMALL, LARGE = [0.2, 0.2, 0.1, 0.1], [0.6, 0.6, 0.4, 0.2]


def two_entities() -> Batch:
    """One tweet: an entity with two boxes and one without any; then a tweet without entities."""
    mask = torch.tensor([[True, True], [False, False]])
    boxes = torch.zeros(2, 2, 2, 4)
    boxes[0, 0] = torch.tensor([SMALL, LARGE])
    box_mask = torch.zeros(2, 2, 2, dtype=torch.bool)
    box_mask[0, 0] = True
    targets = Targets(
        mask=mask,
        types=torch.tensor([[1, 2], [0, 0]]),
        starts=torch.tensor([[0, 3], [0, 0]]),
        ends=torch.tensor([[1, 3], [0, 0]]),
        boxes=boxes,
        box_mask=box_mask,
    )
    return make_batch(targets, rows=2)


def only(targets: Targets) -> list[float]:
    """The one box that the first entity is left with."""
    assert targets.box_mask[0, 0].sum() == 1
    return targets.boxes[0, 0][targets.box_mask[0, 0]][0].tolist()


def test_largest_by_area():
    targets = GoldBoxes(multi_box="largest")(two_entities())
    assert only(targets) == pytest.approx(LARGE)
    assert targets.groundable.tolist() == [[True, False], [False, False]]


def test_union_is_the_hull():
    # x 0.15..0.8, y 0.15..0.7
    hull = [0.475, 0.425, 0.65, 0.55]
    assert only(GoldBoxes(multi_box="union")(two_entities())) == pytest.approx(hull)


def test_random_depends_on_seed_and_epoch_alone():
    def drawn(seed: int) -> list[tuple[float, ...]]:
        policy = GoldBoxes(multi_box="random", seed=seed)
        found = []
        for epoch in range(12):
            policy.epoch = epoch
            found.append(tuple(only(policy(two_entities()))))
        return found

    assert drawn(1) == drawn(1)
    assert len(set(drawn(1))) == 2
    assert drawn(1) != drawn(2)


def test_expand_gives_every_box_an_entity_of_its_own():
    targets = GoldBoxes(multi_box="expand")(two_entities())
    assert targets.mask.tolist() == [[True, True, True], [False, False, False]]
    assert targets.starts[0].tolist() == [0, 0, 3]
    assert targets.types[0].tolist() == [1, 1, 2]
    assert targets.groundable[0].tolist() == [True, True, False]
    assert targets.boxes[0, :2, 0].tolist() == [pytest.approx(SMALL), pytest.approx(LARGE)]


def test_min_cost_takes_the_box_nearest_to_the_query():
    targets = GoldBoxes(multi_box="min_cost")(two_entities())
    outputs = free_outputs(2)
    boxes = outputs.boxes.detach().clone()
    boxes[0, 0], boxes[0, 1] = torch.tensor(SMALL), torch.tensor(LARGE)
    cost = BoxCost()(replace(outputs, boxes=boxes), targets)
    assert cost[0, :2, 0].tolist() == pytest.approx([0.0, 0.0], abs=1e-4)


def test_without_a_picture_nothing_is_in_the_image():
    batch = replace(two_entities(), image_mask=torch.tensor([False, True]))
    for policy in ("largest", "min_cost", "random", "expand", "union"):
        targets = GoldBoxes(multi_box=policy)(batch)
        assert not targets.groundable.any()
        assert int(targets.mask.sum()) == 2
    assert batch.targets.groundable.any()  # what is scored stays


def test_a_batch_without_targets_is_refused():
    with pytest.raises(ValueError, match="targets"):
        GoldBoxes()(make_batch(None, rows=1))


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


def test_the_largest_among_the_real_boxes():
    """A padded box may hold anything, a larger box too."""
    batch = two_entities()
    box_mask = batch.targets.box_mask.clone()
    box_mask[0, 0, 1] = False
    targets = GoldBoxes(multi_box="largest")(
        replace(batch, targets=replace(batch.targets, box_mask=box_mask))
    )
    assert only(targets) == pytest.approx(SMALL)
