from dataclasses import replace
from functools import partial
from itertools import permutations

import pytest
import torch

from gmbench.core.tensors import MASKED, Outputs
from gmbench.objective.costs import RegionCost, SpanCost, TypeCost, total_cost
from gmbench.objective.matcher import (
    HungarianMatcher,
    NoMatching,
    NonFiniteCost,
    repeat_targets,
    stack_layers,
)
from tests.speed.measure import operations
from tests.tensor_builders import make_outputs, make_targets

TERMS = {"type": TypeCost(), "span": SpanCost(weight=2.0), "region": RegionCost()}


def test_optimal_against_brute_force():
    outputs, targets = make_outputs(5, queries=5, seed=3), make_targets([3, 0, 1, 4, 2], seed=4)
    (matching,) = HungarianMatcher(terms=TERMS)([outputs], targets)
    cost = total_cost(TERMS, outputs, targets)
    for b in range(5):
        count = int(targets.mask[b].sum())
        best = min(
            (
                sum(float(cost[b, q, g]) for g, q in enumerate(order))
                for order in permutations(range(5), count)
            ),
            default=0.0,
        )
        rows = matching.gold[b]
        chosen = sum(float(cost[b, q, rows[q]]) for q in range(5) if rows[q] >= 0)
        assert chosen == pytest.approx(best, abs=1e-12)
        assert sorted(rows[rows >= 0].tolist()) == list(range(count))


def test_no_gold_matches_nothing():
    (matching,) = HungarianMatcher(terms=TERMS)([make_outputs(2)], make_targets([0, 0]))
    assert (matching.gold == -1).all()
    assert matching.unmatched == 0


def test_more_golds_than_queries_are_counted():
    (matching,) = HungarianMatcher(terms=TERMS)([make_outputs(1, queries=2)], make_targets([5]))
    assert (matching.gold >= 0).all()
    assert matching.unmatched == 3


def test_repetition_fills_its_share_evenly():
    matcher = HungarianMatcher(terms=TERMS, repeat_ratio=0.75)
    (matching,) = matcher([make_outputs(1, queries=8)], make_targets([4]))
    counts = torch.bincount(matching.gold[matching.gold >= 0], minlength=4)
    assert counts.sum() == 6
    assert counts.min() >= 1
    assert counts.max() <= 2


def test_each_layer_is_matched_on_its_own():
    layers = [make_outputs(3, seed=1), make_outputs(3, seed=2)]
    targets = make_targets([2, 3, 1])
    matcher = HungarianMatcher(terms=TERMS)
    together = matcher(layers, targets)
    for layer, matching in zip(layers, together, strict=True):
        assert torch.equal(matcher([layer], targets)[0].gold, matching.gold)


def test_layers_in_one_batch_cost_what_each_costs_alone():
    layers, targets = [make_outputs(3, seed=s) for s in range(3)], make_targets([2, 0, 3])
    layers[0] = replace(layers[0], drafts=(torch.zeros(3, 6, 4),))  # match by the final boxes
    together = total_cost(TERMS, stack_layers(layers), repeat_targets(targets, 3))
    alone = torch.cat([total_cost(TERMS, layer, targets) for layer in layers])
    assert torch.equal(together, alone)
    counted = []
    for number in (1, 3):
        task = partial(HungarianMatcher(terms=TERMS), layers[:number], targets)
        counted.append(operations(task)[1])
    assert counted[1] - counted[0] < 20  # joining the layers, not costing each


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_a_type_that_a_query_cannot_answer_is_never_matched(weight):
    outputs, targets = make_outputs(1, queries=3), make_targets([2])
    logits = outputs.type_logits.detach().clone()
    logits[0, :2, 1:] = MASKED  # only query 2 can answer with a type at all
    outputs = replace(outputs, type_logits=logits)
    terms = {**TERMS, "type": TypeCost(weight=weight)}
    (matching,) = HungarianMatcher(terms=terms, repeat_ratio=1.0)([outputs], targets)
    assert matching.gold[0, :2].tolist() == [-1, -1]
    assert matching.gold[0, 2] >= 0


def test_nan_names_term_and_example():
    outputs, targets = make_outputs(2), make_targets([1, 2])
    with torch.no_grad():
        outputs.start_logits[1] = float("nan")
    with pytest.raises(NonFiniteCost, match=r"tweet7: .*term span"):
        HungarianMatcher(terms=TERMS)([outputs], targets, ids=["tweet3", "tweet7"])


def test_costs_are_double_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cost = total_cost(
            TERMS, make_outputs(1).map(lambda t: t.detach().bfloat16()), make_targets([2])
        )
    assert cost.dtype == torch.float64


def test_padding_of_golds_changes_nothing():
    outputs = make_outputs(2, seed=5)
    targets = make_targets([1, 4], seed=6)
    (both,) = HungarianMatcher(terms=TERMS, repeat_ratio=0.5)([outputs], targets)
    single = targets.map(lambda t: t[:1, :1])
    (alone,) = HungarianMatcher(terms=TERMS, repeat_ratio=0.5)(
        [outputs.map(lambda t: t[:1])], single
    )
    assert torch.equal(both.gold[:1], alone.gold)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"terms": {}}, "at least one"), ({"terms": TERMS, "repeat_ratio": 1.5}, "repeat_ratio")],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        HungarianMatcher(**arguments)


def typed(kinds: list[int], types: int = 3) -> Outputs:
    """Outputs in which query i can answer with type ``kinds[i]`` only."""
    outputs = make_outputs(1, queries=len(kinds), types=types)
    logits = outputs.type_logits.detach().clone()
    for q, kind in enumerate(kinds):
        for other in range(1, types + 1):
            logits[0, q, other] = 0.0 if other == kind else MASKED
    return replace(outputs, type_logits=logits)


def test_order_goes_by_the_first_word():
    targets = replace(make_targets([3]), starts=torch.tensor([[4, 0, 2]]))
    (matching,) = HungarianMatcher(terms=TERMS, solver="order")([make_outputs(1)], targets)
    assert matching.gold[0].tolist() == [1, 2, 0, -1, -1, -1]


def test_a_drawn_order_is_the_examples_own_and_stays():
    targets = make_targets([3])
    matcher = HungarianMatcher(terms=TERMS, solver="drawn_order", order_seed=3)
    found = {
        name: matcher([make_outputs(1)], targets, [name])[0].gold[0, :3].tolist()
        for name in map(str, range(20))
    }
    assert all(sorted(rows) == [0, 1, 2] for rows in found.values())
    assert len({tuple(rows) for rows in found.values()}) > 3
    again = matcher([make_outputs(1)], targets, ["7"])[0].gold[0, :3].tolist()
    assert again == found["7"]
    other = HungarianMatcher(terms=TERMS, solver="drawn_order", order_seed=4)
    rows = [other([make_outputs(1)], targets, [n])[0].gold[0, :3].tolist() for n in found]
    assert rows != list(found.values())


def test_order_keeps_to_queries_of_the_type():
    targets = make_targets([3])
    targets = replace(
        targets,
        types=torch.tensor([[2, 1, 2]]),
        starts=torch.tensor([[0, 1, 2]]),
        ends=torch.tensor([[0, 1, 2]]),
    )
    (matching,) = HungarianMatcher(terms=TERMS, solver="order")([typed([1, 2, 3, 1, 2])], targets)
    assert matching.gold[0].tolist() == [1, 0, -1, -1, 2]


def test_repetition_keeps_to_queries_of_the_type():
    """Copies of one type never crowd out another entity, and fill its share of the queries."""
    targets = replace(make_targets([3]), types=torch.tensor([[1, 1, 2]]))
    matcher = HungarianMatcher(terms=TERMS, repeat_ratio=0.75)
    (matching,) = matcher([typed([1, 2, 3] * 4)], targets)
    counts = torch.bincount(matching.gold[matching.gold >= 0], minlength=3)
    assert counts.tolist() in ([2, 1, 3], [1, 2, 3])
    assert (matching.gold[0, 2::3] == -1).all()


def test_more_golds_of_a_type_than_its_queries_are_counted():
    targets = replace(make_targets([3]), types=torch.tensor([[1, 1, 2]]))
    (matching,) = HungarianMatcher(terms=TERMS)([typed([1, 2, 3])], targets)
    assert matching.unmatched == 1
    assert matching.gold[0, 1] == 2


def test_no_matching_matches_no_query():
    outputs, targets = make_outputs(2), make_targets([3, 0])
    (first, second) = NoMatching()((outputs, outputs), targets)
    assert (first.gold == -1).all()
    assert first.gold.shape == outputs.type_logits.shape[:2] == second.gold.shape
    assert first.unmatched == 0
