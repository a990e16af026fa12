"""The bipartite matching loss of MQSPN against the paper's two equations, by brute force."""

import math
from itertools import permutations

import pytest
import torch

from gmbench.objective.costs import RegionCost, SpanCost, TypeCost
from gmbench.objective.losses import RegionLoss, SetLoss, SpanLoss, TypeLoss
from gmbench.objective.matcher import HungarianMatcher
from tests.tensor_builders import make_batch, make_outputs, make_targets

U = 5


def probabilities(logits: torch.Tensor) -> list[float]:
    return logits.double().softmax(dim=-1).tolist()


@pytest.mark.parametrize("solver", ["hungarian", "order"])
@pytest.mark.parametrize("golds", [0, 1, 3])
def test_matching_loss_follows_its_equations(golds, solver):
    """Softmax scores, no repetition, *no entity* weighing as much as a type."""
    outputs, targets = make_outputs(1, queries=U, seed=5), make_targets([golds], seed=6)
    assert targets.regions is not None
    assert outputs.region_logits is not None
    answers = [
        [probabilities(logits[0, q]) for logits in (outputs.type_logits, outputs.start_logits)]
        + [probabilities(logits[0, q]) for logits in (outputs.end_logits, outputs.region_logits)]
        for q in range(U)
    ]
    gold = [
        (
            int(targets.types[0, g]),
            int(targets.starts[0, g]),
            int(targets.ends[0, g]),
            int(targets.regions[0, g].int().argmax()),
        )
        for g in range(golds)
    ]
    filled = gold + [None] * (U - golds)  # the gold set with *no entity* up to u

    def cost(order):
        """sum_i L_cost(Y_i, Y^_pi(i)), pi(i) = order[i]."""
        pairs = zip(filled, order, strict=True)
        return -sum(
            sum(p[index] for p, index in zip(answers[q], y, strict=True))
            for y, q in pairs
            if y is not None
        )

    if solver == "hungarian":
        best = min(permutations(range(U)), key=cost)
    else:
        first = sorted(range(golds), key=lambda g: gold[g][1])
        best = tuple([first.index(g) for g in range(golds)] + list(range(golds, U)))
    existence, located = 0.0, 0.0
    for y, q in zip(filled, best, strict=True):
        existence -= math.log(answers[q][0][0 if y is None else y[0]])
        if y is not None:
            located -= sum(math.log(answers[q][i][y[i]]) for i in (1, 2, 3))

    loss = SetLoss(
        matcher=HungarianMatcher(
            terms={
                "type": TypeCost(),
                "span": SpanCost(activation="softmax"),
                "region": RegionCost(activation="softmax"),
            },
            solver=solver,
        ),
        terms={
            "type": TypeLoss(nil_weight=1.0),
            "span": SpanLoss(kind="softmax_nll"),
            "region": RegionLoss(kind="softmax_nll"),
        },
    )
    found = loss(outputs, make_batch(targets, rows=1)).parts
    assert float(found["type"]) * U == pytest.approx(existence, rel=1e-6)
    assert float(found["span"] + found["region"]) * golds == pytest.approx(located, rel=1e-6)
