"""Terms of the training loss against slow references; what SetLoss makes of them."""

import math
from dataclasses import replace

import pytest
import torch

from gmbench.core.tensors import Attention
from gmbench.objective.costs import BoxCost, RegionCost, SpanCost, TypeCost
from gmbench.objective.losses import (
    BoxLoss,
    ConsistencyLoss,
    NoTargetLoss,
    PointLoss,
    RegionLoss,
    SetLoss,
    SpanLoss,
    TypeLoss,
)
from gmbench.objective.matcher import HungarianMatcher, Matching
from tests.objective.references import bce, box_distance, softmax
from tests.tensor_builders import (
    free_outputs,
    make_batch,
    make_outputs,
    make_targets,
    perfect_boxes,
    perfect_outputs,
)

TEXT_COSTS = {"type": TypeCost(weight=2.0), "span": SpanCost(weight=2.0)}
COSTS = {
    "regions": {**TEXT_COSTS, "region": RegionCost()},
    "boxes": {**TEXT_COSTS, "box": BoxCost()},
}
TERMS = {
    "regions": {"type": TypeLoss(), "span": SpanLoss(), "region": RegionLoss()},
    "boxes": {
        "type": TypeLoss(weight=2.0, nil_weight=0.1),
        "span": SpanLoss(weight=2.0),
        "box": BoxLoss(),
        "no_target": NoTargetLoss(),
        "consistency": ConsistencyLoss(),
    },
}
OUTPUTS = {"regions": make_outputs, "boxes": free_outputs}
GOLD = torch.tensor([[1, -1, 0, -1, -1, 1], [-1] * 6, [2, 0, 1, -1, -1, -1]])
"""Gold entity of each query in three examples."""

both = pytest.mark.parametrize("kind", OUTPUTS)


def set_loss(kind: str, ratio: float = 0.0, **settings) -> SetLoss:
    matcher = HungarianMatcher(terms=COSTS[kind], repeat_ratio=ratio)
    return SetLoss(matcher=matcher, terms=TERMS[kind], **settings)


@pytest.mark.parametrize("kind", ["bce", "softmax_nll"])
def test_span_and_region_losses_against_a_slow_reference(kind):
    outputs, targets = make_outputs(3, seed=1), make_targets([2, 0, 3], seed=2)
    matching = Matching(gold=GOLD)
    span, region, matched = 0.0, 0.0, 0
    for b in range(3):
        for q in range(6):
            g = int(GOLD[b, q])
            if g < 0:
                continue
            matched += 1
            for logits, word in (
                (outputs.start_logits, targets.starts),
                (outputs.end_logits, targets.ends),
            ):
                row = logits[b, q].tolist()
                if kind == "bce":
                    span += sum(bce(x, w == int(word[b, g])) for w, x in enumerate(row))
                else:
                    span -= math.log(softmax(row)[int(word[b, g])])
            truth, row = targets.regions[b, g].tolist(), outputs.region_logits[b, q].tolist()
            if kind == "bce":
                region += sum(bce(x, t) for x, t in zip(row, truth, strict=True))
            else:
                region -= math.log(sum(p for p, t in zip(softmax(row), truth, strict=True) if t))
    assert float(SpanLoss(kind=kind)(outputs, targets, matching)) == pytest.approx(span / matched)
    found = float(RegionLoss(kind=kind)(outputs, targets, matching))
    assert found == pytest.approx(region / matched, rel=1e-6)


def test_type_loss_balances_both_sides():
    outputs, targets = make_outputs(2, queries=4), make_targets([1, 1])
    gold = torch.tensor([[0, -1, -1, -1], [-1, -1, -1, 0]])
    value = weights = 0.0
    for b in range(2):
        for q in range(4):
            label = int(targets.types[b, 0]) if gold[b, q] >= 0 else 0
            weight = 1.0 if label else 2 / 6
            value -= weight * math.log(softmax(outputs.type_logits[b, q].tolist())[label])
            weights += weight
    found = TypeLoss(nil_weight="auto")(outputs, targets, Matching(gold=gold))
    assert float(found) == pytest.approx(value / weights, rel=1e-6)


def test_uncovered_entities_teach_no_region():
    outputs, targets = make_outputs(1), make_targets([1])
    uncovered = replace(targets, regions=torch.zeros_like(targets.regions))
    matching = Matching(gold=torch.tensor([[0, -1, -1, -1, -1, -1]]))
    assert float(RegionLoss()(outputs, uncovered, matching)) == 0.0


def test_box_and_no_target_losses_against_a_slow_reference():
    outputs, targets = free_outputs(3, seed=1), make_targets([2, 0, 3], seed=2)
    drafts = tuple(free_outputs(3, seed=seed).boxes for seed in (5, 6))
    outputs = replace(outputs, drafts=drafts)
    boxes, earlier, absent, everyone = [], [], [], []
    for b in range(3):
        for q in range(6):
            g = int(GOLD[b, q])
            logit = float(outputs.no_target_logits[b, q])
            label = 1.0 if g < 0 or not targets.groundable[b, g] else 0.0
            everyone.append(bce(logit, label))
            if g >= 0:
                absent.append(everyone[-1])
                if not label:
                    gold = targets.boxes[b, g, 0]
                    boxes.append(box_distance(outputs.boxes[b, q], gold))
                    earlier += [box_distance(draft[b, q], gold) for draft in drafts]
    matching = Matching(gold=GOLD)
    assert len(boxes) == 3
    found = float(BoxLoss()(outputs, targets, matching))
    assert found == pytest.approx(sum(boxes) / len(boxes), rel=1e-5)
    found = float(BoxLoss(drafts=True)(outputs, targets, matching))
    assert found == pytest.approx(sum(boxes + earlier) / len(boxes), rel=1e-5)
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
                losses += [bce(x, label) for x in logits]
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
    (matching,) = HungarianMatcher(terms=COSTS["boxes"])([outputs], targets)
    one = ConsistencyLoss(members="matched", min_group=1)(outputs, targets, matching)
    assert float(one) == float(NoTargetLoss()(outputs, targets, matching))
    none = ConsistencyLoss(members="matched", min_group=2)(outputs, targets, matching)
    assert float(none) == 0.0


@both
@pytest.mark.parametrize("counts", [[0, 0], [1, 0], [6, 2], [9, 1]])
@pytest.mark.parametrize("ratio", [0.0, 0.75])
def test_every_gold_count_is_finite_with_finite_gradients(kind, counts, ratio):
    outputs = OUTPUTS[kind](2)
    values = set_loss(kind, ratio)(outputs, make_batch(make_targets(counts), rows=2))
    values.total.backward()
    assert values.total.isfinite()
    regions = (outputs.region_logits, outputs.boxes, outputs.no_target_logits)
    for tensor in (outputs.type_logits, outputs.start_logits, *regions):
        assert tensor is None or tensor.grad.isfinite().all()


@pytest.mark.parametrize("perfect", [perfect_outputs, perfect_boxes])
def test_perfect_outputs_cost_nothing(perfect):
    targets = make_targets([3, 0, 2], seed=11)
    loss = set_loss("regions" if perfect is perfect_outputs else "boxes")
    assert float(loss(perfect(targets), make_batch(targets, rows=3)).total) < 1e-5


@both
def test_permuting_golds_permutes_the_match_and_no_loss(kind):
    """Acceptance 8."""
    outputs, targets = OUTPUTS[kind](1, seed=9), make_targets([4], seed=9)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = targets.map(lambda t: t[:, order])
    one, two = (set_loss(kind)(outputs, make_batch(t, rows=1)) for t in (targets, shuffled))
    rows = two.matching.gold[0].tolist()
    assert one.matching.gold[0].tolist() == [int(order[g]) if g >= 0 else -1 for g in rows]
    assert float(one.total) == pytest.approx(float(two.total), abs=1e-6)


def test_deep_supervision_adds_every_layer():
    layers = [make_outputs(2, seed=s) for s in (1, 2, 3)]
    batch = make_batch(make_targets([2, 1]), rows=2)
    loss = set_loss("regions", 0.5, aux_weight=0.5)
    deep = replace(layers[2], aux=tuple(layers[:2]))
    alone = [float(loss(layer, batch).total) for layer in layers]
    assert float(loss(deep, batch).total) == pytest.approx(alone[2] + 0.5 * (alone[0] + alone[1]))
    without = set_loss("regions", 0.5, aux_weight=0.0)
    assert float(without(deep, batch).total) == pytest.approx(alone[2])


@pytest.mark.parametrize(
    ("term", "outputs", "message"),
    [
        (BoxCost(), make_outputs, "proposal-free"),
        (BoxLoss(), make_outputs, "proposal-free"),
        (NoTargetLoss(), make_outputs, "no_target_logits"),
        (RegionCost(), free_outputs, "proposal-based"),
        (RegionLoss(), free_outputs, "proposal-based"),
    ],
)
def test_terms_refuse_a_model_of_the_other_kind(term, outputs, message):
    matching = Matching(gold=torch.tensor([[0, -1, -1, -1, -1, -1]]))
    more = () if isinstance(term, BoxCost | RegionCost) else (matching,)
    with pytest.raises(ValueError, match=message):
        term(outputs(1), make_targets([1]), *more)


def test_batch_without_targets_is_refused():
    with pytest.raises(ValueError, match="targets"):
        set_loss("regions")(make_outputs(1), make_batch(None, rows=1))


def test_a_padded_box_teaches_no_pointing():
    targets = make_targets([1])
    boxes = torch.tensor([[[[0.25, 0.25, 0.5, 0.5], [0.75, 0.75, 0.5, 0.5]]]])  # quarters
    mask = torch.tensor([[[True, False]]])
    targets = replace(targets, boxes=boxes, box_mask=mask)
    weights = torch.full((1, 6, 16), 1 / 16)
    outputs = replace(free_outputs(1), attention=Attention(query_to_patch=weights))
    matching = Matching(gold=torch.tensor([[0, -1, -1, -1, -1, -1]]))
    assert float(PointLoss()(outputs, targets, matching)) == pytest.approx(math.log(4))
    both = replace(targets, box_mask=torch.ones_like(mask))
    assert float(PointLoss()(outputs, both, matching)) == pytest.approx(math.log(2))
