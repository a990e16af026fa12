"""Suite ``matching``: building costs and assigning, against the assignment solver alone."""

from collections.abc import Callable

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gmbench.core.tensors import Outputs
from gmbench.objective.costs import CostTerm, RegionCost, SpanCost, TypeCost, total
from gmbench.objective.matcher import HungarianMatcher
from tests.speed.measure import Findings, take_turns
from tests.speed.sizes import TYPES, Size, targets_of

LAYERS = 3


def run(size: Size, repeats: int) -> Findings:
    """Match three layers of random outputs with the gold of one batch."""
    g = torch.Generator().manual_seed(0)
    slots = size.regions + 1

    def logits(last: int) -> Tensor:
        return torch.randn(size.rows, size.queries, last, generator=g)

    layers = [
        Outputs(
            type_logits=logits(len(TYPES) + 1),
            start_logits=logits(size.words),
            end_logits=logits(size.words),
            region_logits=logits(slots),
        )
        for _ in range(LAYERS)
    ]
    counts = torch.randint(1, 7, (size.rows,), generator=g)
    targets = targets_of(counts, words=size.words, slots=slots)
    terms: dict[str, CostTerm] = {"type": TypeCost(), "span": SpanCost(), "region": RegionCost()}
    costs = [total(terms, layer, targets).numpy() for layer in layers]
    pairs = [(layer[b, :, :n]) for layer in costs for b, n in enumerate(counts.tolist())]

    tasks: dict[str, Callable[[], object]] = {
        "solver alone": lambda: [linear_sum_assignment(pair) for pair in pairs]
    }
    for name, ratio in (("one query a gold", 0.0), ("golds repeated to 75 %", 0.75)):
        matcher = HungarianMatcher(terms=terms, repeat_ratio=ratio)
        tasks[name] = lambda matcher=matcher: matcher(layers, targets)  # type: ignore[misc]
    laps = take_turns(tasks, repeats=repeats, warmup=2, number=5)
    return Findings(
        tuple(lap.row("matching", name) for name, lap in laps.items()),
        {"matching_over_solver": laps["one query a gold"].over(laps["solver alone"])},
    )
