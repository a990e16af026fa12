import math

import pytest
import torch

from gmbench.objective.costs import RegionCost, SpanCost, TypeCost
from gmbench.objective.losses import RegionLoss, SetLoss, SpanLoss, TypeLoss
from gmbench.objective.matcher import HungarianMatcher, Matching
from tests.tensor_builders import make_batch, make_outputs, make_targets, perfect_outputs

MATCHER = HungarianMatcher(
    terms={"type": TypeCost(), "span": SpanCost(), "region": RegionCost()}, repeat_ratio=0.5
)
TERMS = {"type": TypeLoss(), "span": SpanLoss(), "region": RegionLoss()}


def softmax(row):
    exp = [math.exp(x) for x in row]
    return [x / sum(exp) for x in exp]


def bce(logit, truth):
    p = 1 / (1 + math.exp(-logit))
    return -math.log(p if truth else 1 - p)


@pytest.mark.parametrize("kind", ["bce", "softmax_nll"])
def test_terms_against_a_slow_reference(kind):
    outputs, targets = make_outputs(3, seed=1), make_targets([2, 0, 3], seed=2)
    gold = torch.tensor([[1, -1, 0, -1, -1, 1], [-1] * 6, [2, 0, 1, -1, -1, -1]])
    matching = Matching(gold=gold)
    span, region, matched, shown = 0.0, 0.0, 0, 0
    for b in range(3):
        for q in range(6):
            g = int(gold[b, q])
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
            shown += 1
            if kind == "bce":
                region += sum(bce(x, t) for x, t in zip(row, truth, strict=True))
            else:
                region -= math.log(sum(p for p, t in zip(softmax(row), truth, strict=True) if t))
    assert float(SpanLoss(kind=kind)(outputs, targets, matching)) == pytest.approx(span / matched)
    found = float(RegionLoss(kind=kind)(outputs, targets, matching))
    assert found == pytest.approx(region / shown, rel=1e-6)


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
    uncovered = type(targets)(**{**vars(targets), "regions": torch.zeros_like(targets.regions)})
    matching = Matching(gold=torch.tensor([[0, -1, -1, -1, -1, -1]]))
    assert float(RegionLoss()(outputs, uncovered, matching)) == 0.0


@pytest.mark.parametrize("counts", [[0, 0], [1, 0], [6, 2], [9, 1]])
@pytest.mark.parametrize("ratio", [0.0, 0.75])
def test_every_gold_count_is_finite_with_finite_gradients(counts, ratio):
    matcher = HungarianMatcher(terms=MATCHER.terms, repeat_ratio=ratio)
    outputs = make_outputs(2)
    batch = make_batch(make_targets(counts), rows=2)
    values = SetLoss(matcher=matcher, terms=TERMS)(outputs, batch)
    values.total.backward()
    assert values.total.isfinite()
    for logits in (outputs.type_logits, outputs.start_logits, outputs.region_logits):
        assert logits.grad is not None
        assert logits.grad.isfinite().all()


def test_perfect_outputs_cost_nothing():
    targets = make_targets([2, 3])
    loss = SetLoss(matcher=HungarianMatcher(terms=MATCHER.terms), terms=TERMS)
    assert float(loss(perfect_outputs(targets), make_batch(targets, rows=2)).total) < 1e-5


def test_deep_supervision_adds_every_layer():
    layers = [make_outputs(2, seed=s) for s in (1, 2, 3)]
    batch = make_batch(make_targets([2, 1]), rows=2)
    loss = SetLoss(matcher=MATCHER, terms=TERMS, aux_weight=0.5)
    deep = type(layers[0])(**{**vars(layers[2]), "aux": tuple(layers[:2])})
    alone = [float(loss(layer, batch).total) for layer in layers]
    assert float(loss(deep, batch).total) == pytest.approx(alone[2] + 0.5 * (alone[0] + alone[1]))
    without = SetLoss(matcher=MATCHER, terms=TERMS, aux_weight=0.0)
    assert float(without(deep, batch).total) == pytest.approx(alone[2])


def test_permuting_golds_changes_no_loss():
    outputs, targets = make_outputs(1, seed=9), make_targets([4], seed=9)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = targets.map(lambda t: t[:, order])
    loss = SetLoss(matcher=HungarianMatcher(terms=MATCHER.terms), terms=TERMS)
    one = loss(outputs, make_batch(targets, rows=1)).total
    two = loss(outputs, make_batch(shuffled, rows=1)).total
    assert float(one) == pytest.approx(float(two), abs=1e-9)


def test_batch_without_targets_is_refused():
    with pytest.raises(ValueError, match="targets"):
        SetLoss(matcher=MATCHER, terms=TERMS)(make_outputs(1), make_batch(None, rows=1))
