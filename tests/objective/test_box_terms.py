"""Box cost and losses of a proposal-free model against slow references in plain Python."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torchvision.ops import box_convert, generalized_box_iou

from gmbench.core.tensors import Attention, Outputs, Targets
from gmbench.objective.costs import CONSTANT, FORBIDDEN, BoxCost, SpanCost, TypeCost, total_cost
from gmbench.objective.decode import Decoder
from gmbench.objective.losses import (
    BoxLoss,
    ConsistencyLoss,
    NoTargetLoss,
    PointLoss,
    SetLoss,
    SpanLoss,
    TypeLoss,
)
from gmbench.objective.matcher import HungarianMatcher, Matching
from tests.tensor_builders import make_batch, make_outputs, make_targets, perfect_outputs

COSTS = {"type": TypeCost(weight=2.0), "span": SpanCost(weight=2.0), "box": BoxCost()}
LOSSES = {
    "type": TypeLoss(weight=2.0, nil_weight=0.1),
    "span": SpanLoss(weight=2.0),
    "box": BoxLoss(),
    "no_target": NoTargetLoss(),
    "consistency": ConsistencyLoss(),
}


def free_outputs(rows: int, *, queries: int = 6, seed: int = 0) -> Outputs:
    """Random float64 outputs of a proposal-free model."""
    plain = make_outputs(rows, queries=queries, seed=seed)
    g = torch.Generator().manual_seed(seed + 100)
    boxes = torch.rand(rows, queries, 4, generator=g, dtype=torch.float64) * 0.5 + 0.2
    absent = torch.randn(rows, queries, generator=g, dtype=torch.float64)
    return replace(
        plain,
        region_logits=None,
        boxes=boxes.requires_grad_(),
        no_target_logits=absent.requires_grad_(),
    )


def perfect_boxes(targets: Targets, queries: int = 8) -> Outputs:
    """Outputs that say exactly what the targets hold, boxes included."""
    plain = perfect_outputs(targets, queries=queries)
    rows, golds = targets.mask.shape
    boxes = torch.full((rows, queries, 4), 0.5)
    absent = torch.full((rows, queries), 20.0)
    boxes[:, :golds] = targets.boxes[:, :, 0]
    absent[:, :golds] = torch.where(targets.groundable, -20.0, 20.0)
    start, end = plain.start_logits, plain.end_logits
    start[:, golds:, -1] = end[:, golds:, 0] = 0.0  # the others name no span at all
    return replace(plain, region_logits=None, boxes=boxes, no_target_logits=absent)


def distance(box: torch.Tensor, gold: torch.Tensor, l1: float = 5.0, weight: float = 2.0) -> float:
    gold = gold.double()
    corners = [box_convert(b[None], "cxcywh", "xyxy") for b in (box, gold)]
    apart = sum(abs(float(x) - float(y)) for x, y in zip(box, gold, strict=True))
    return l1 * apart + weight * (1 - float(generalized_box_iou(*corners)[0, 0]))


def softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


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
                wanted = min((distance(outputs.boxes[b, q], box) for box in real), default=0.0)
                assert float(cost[b, q, j]) == pytest.approx(wanted, abs=1e-5)


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


def test_permuting_golds_permutes_the_match_and_no_loss():
    """Acceptance 8."""
    outputs, targets = free_outputs(1, seed=9), make_targets([4], seed=9)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = targets.map(lambda t: t[:, order])
    matcher = HungarianMatcher(terms=COSTS)
    one, two = (matcher([outputs], t)[0].gold[0] for t in (targets, shuffled))
    assert one.tolist() == [int(order[g]) if g >= 0 else -1 for g in two.tolist()]
    loss = SetLoss(matcher=matcher, terms=LOSSES)
    values = [float(loss(outputs, make_batch(t, rows=1)).total) for t in (targets, shuffled)]
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_box_and_no_target_losses_against_a_slow_reference():
    outputs, targets = free_outputs(3, seed=1), make_targets([2, 0, 3], seed=2)
    gold = torch.tensor([[1, -1, 0, -1, -1, -1], [-1] * 6, [2, 0, 1, -1, -1, -1]])
    boxes, absent, everyone = [], [], []
    for b in range(3):
        for q in range(6):
            g = int(gold[b, q])
            logit = float(outputs.no_target_logits[b, q])
            label = 1.0 if g < 0 or not targets.groundable[b, g] else 0.0
            everyone.append(softplus(logit) - label * logit)
            if g >= 0:
                absent.append(everyone[-1])
                if not label:
                    boxes.append(distance(outputs.boxes[b, q], targets.boxes[b, g, 0]))
    matching = Matching(gold=gold)
    assert len(boxes) == 3
    found = float(BoxLoss()(outputs, targets, matching))
    assert found == pytest.approx(sum(boxes) / len(boxes), rel=1e-5)
    found = float(NoTargetLoss()(outputs, targets, matching))
    assert found == pytest.approx(sum(absent) / len(absent), rel=1e-6)
    found = float(NoTargetLoss(unmatched="no_target")(outputs, targets, matching))
    assert found == pytest.approx(sum(everyone) / len(everyone), rel=1e-6)


def test_pointing_is_taught_by_the_weight_inside():
    targets = replace(make_targets([2]), boxes=torch.full((1, 2, 1, 4), 0.5))
    matching = Matching(gold=torch.tensor([[0, 1, -1, -1, -1, -1]]))
    weights = torch.full((1, 6, 16), 1 / 16)
    outputs = replace(free_outputs(1), attention=Attention(query_to_patch=weights))
    assert float(PointLoss()(outputs, targets, matching)) == pytest.approx(math.log(4))
    assert float(PointLoss()(free_outputs(1), targets, matching)) == 0.0


def consistency(outputs, targets, gold, *, key="span", members="span", least=2) -> float:
    """The definition of QGN.md section 7, one query at a time."""
    losses = []
    for b in range(len(gold)):
        groups: dict[tuple, list[int]] = {}
        for j in range(targets.mask.shape[1]):
            if targets.mask[b, j]:
                name = (int(targets.starts[b, j]), int(targets.ends[b, j]))
                if key == "span_region":
                    shown = targets.boxes[b, j][targets.box_mask[b, j]]
                    name += (str(shown.tolist()),)
                groups.setdefault(name, []).append(j)
        inside: dict[tuple, list[int]] = {name: [] for name in groups}
        for q in range(gold.shape[1]):
            span = (
                int(outputs.start_logits[b, q].argmax()),
                int(outputs.end_logits[b, q].argmax()),
            )
            for name, golds in groups.items():
                if int(gold[b, q]) in golds:
                    inside[name].append(q)
                elif gold[b, q] < 0 and members == "span" and name[:2] == span:
                    inside[name].append(q)
                    break
        for name, queries in inside.items():
            label = 0.0 if any(targets.groundable[b, j] for j in groups[name]) else 1.0
            if len(queries) >= least:
                logits = [float(outputs.no_target_logits[b, q]) for q in queries]
                losses += [softplus(x) - label * x for x in logits]
    return sum(losses) / max(1, len(losses))


@pytest.mark.parametrize("key", ["span", "span_region"])
@pytest.mark.parametrize("members", ["span", "matched"])
@pytest.mark.parametrize("least", [1, 2])
def test_consistency_against_a_slow_reference(key, members, least):
    term = ConsistencyLoss(group_by=key, members=members, min_group=least)
    seen = 0.0
    for seed in range(12):
        outputs, targets = free_outputs(3, queries=9, seed=seed), make_targets([3, 0, 4], seed=seed)
        starts, ends = targets.starts.clone(), targets.ends.clone()
        starts[0, 1], ends[0, 1] = starts[0, 0], ends[0, 0]  # one span, with and without a box
        starts[2, 2], ends[2, 2] = starts[2, 0], ends[2, 0]
        targets = replace(targets, starts=starts, ends=ends)
        gold = torch.full((3, 9), -1)
        gold[0, :4], gold[2, 3:8] = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 2, 3, 1])
        found = float(term(outputs, targets, Matching(gold=gold)))
        wanted = consistency(outputs, targets, gold, key=key, members=members, least=least)
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12)
        seen += wanted
    assert seen > 0


def test_consistency_is_the_no_target_loss_where_every_group_is_one_query():
    """Acceptance 6: one entity a span, one query an entity, no further members."""
    outputs, targets = free_outputs(2), make_targets([2, 3], seed=2)
    targets = replace(
        targets, starts=torch.arange(3).repeat(2, 1), ends=torch.arange(3).repeat(2, 1)
    )
    (matching,) = HungarianMatcher(terms=COSTS)([outputs], targets)
    one = ConsistencyLoss(members="matched", min_group=1)(outputs, targets, matching)
    assert float(one) == float(NoTargetLoss()(outputs, targets, matching))
    none = ConsistencyLoss(members="matched", min_group=2)(outputs, targets, matching)
    assert float(none) == 0.0


@pytest.mark.parametrize("counts", [[0, 0], [1, 0], [6, 2], [9, 1]])
@pytest.mark.parametrize("ratio", [0.0, 0.75])
def test_every_gold_count_is_finite_with_gradients_everywhere(counts, ratio):
    outputs = free_outputs(2)
    loss = SetLoss(matcher=HungarianMatcher(terms=COSTS, repeat_ratio=ratio), terms=LOSSES)
    values = loss(outputs, make_batch(make_targets(counts), rows=2))
    values.total.backward()
    assert values.total.isfinite()
    for tensor in (outputs.type_logits, outputs.boxes, outputs.no_target_logits):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


def test_perfect_outputs_cost_nothing_and_decode_to_exactly_the_gold():
    targets = make_targets([3, 0, 2], seed=11)
    batch = make_batch(targets, rows=3)
    outputs = perfect_boxes(targets)
    loss = SetLoss(matcher=HungarianMatcher(terms=COSTS), terms=LOSSES)
    assert float(loss(outputs, batch).total) < 1e-5
    answers = Decoder(types=("PER", "LOC", "ORG"), overlap="none")(outputs, batch)
    scale = torch.tensor([200.0, 100.0, 200.0, 100.0])
    for b, found in enumerate(answers):
        gold = {}
        for g in range(targets.mask.shape[1]):
            if targets.mask[b, g]:
                corners = box_convert(targets.boxes[b, g, 0], "cxcywh", "xyxy") * scale
                key = (int(targets.starts[b, g]), int(targets.ends[b, g]))
                gold[key] = corners.tolist() if targets.groundable[b, g] else None
        assert {(p.start, p.end) for p in found} == set(gold)
        for p in found:
            wanted = gold[p.start, p.end]
            assert (p.box is None) == (wanted is None)
            if wanted is not None:
                assert p.box == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("corner", [0.0, 1.0, 1e-9, -3.0, 4.0])
@pytest.mark.parametrize("side", [0.0, 1e-12, 1.0])
def test_decoded_boxes_lie_inside_and_have_area(corner, side):
    outputs = perfect_boxes(make_targets([1]))
    outputs = replace(
        outputs,
        boxes=torch.tensor([corner, corner, side, side]).expand(1, 8, 4),
        no_target_logits=torch.full((1, 8), -9.0),
    )
    batch = replace(make_batch(None, rows=1), image_sizes=torch.tensor([[3.0, 5000.0]]))
    ((answer,),) = Decoder(types=("PER", "LOC", "ORG"))(outputs, batch)
    x1, y1, x2, y2 = answer.box
    assert 0 <= x1 < x2 <= 3
    assert 0 <= y1 < y2 <= 5000


@pytest.mark.parametrize(("threshold", "none"), [(0.0, True), (1.1, False)])
def test_thresholds_that_expose_the_floors(threshold, none):
    outputs = replace(perfect_boxes(make_targets([3])), no_target_logits=torch.zeros(1, 8))
    decoder = Decoder(types=("PER", "LOC", "ORG"), no_target_threshold=threshold)
    (answers,) = decoder(outputs, make_batch(None, rows=1))
    assert answers
    assert all((p.box is None) == none for p in answers)


def test_box_terms_refuse_a_proposal_based_model():
    outputs, targets = make_outputs(1), make_targets([1])
    matching = Matching(gold=torch.tensor([[0, -1, -1, -1, -1, -1]]))
    with pytest.raises(ValueError, match="proposal-free"):
        BoxCost()(outputs, targets)
    with pytest.raises(ValueError, match="proposal-free"):
        BoxLoss()(outputs, targets, matching)
    with pytest.raises(ValueError, match="no_target_logits"):
        NoTargetLoss()(outputs, targets, matching)


def test_the_match_is_scipys_on_equation_4():
    outputs, targets = free_outputs(1, seed=4), make_targets([5], seed=4)
    cost = total_cost(COSTS, outputs, targets)[0].numpy()
    queries, golds = linear_sum_assignment(cost)
    (matching,) = HungarianMatcher(terms=COSTS)([outputs], targets)
    assert {(q, int(matching.gold[0, q])) for q in queries} == set(zip(queries, golds, strict=True))
