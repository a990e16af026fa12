"""Suite ``matching``: building costs and assigning, against the assignment solver alone."""

from collections.abc import Callable
from functools import partial

from scipy.optimize import linear_sum_assignment

from gmbench.objective.costs import CostTerm, RegionCost, SpanCost, TypeCost, total_cost
from gmbench.objective.matcher import HungarianMatcher
from tests.speed.measure import Findings, take_turns
from tests.speed.sizes import TYPES, Size, batch_of
from tests.tensor_builders import make_outputs

LAYERS = 3


def run(size: Size, repeats: int) -> Findings:
    """Match three layers of random outputs with the gold of one batch."""
    targets = batch_of(size, features=1, pixels=False).targets
    assert targets is not None
    layers = [
        make_outputs(
            size.rows,
            queries=size.queries,
            words=size.words,
            types=len(TYPES),
            slots=size.regions + 1,
            seed=seed,
        ).map(lambda logits: logits.detach().float())
        for seed in range(LAYERS)
    ]
    terms: dict[str, CostTerm] = {"type": TypeCost(), "span": SpanCost(), "region": RegionCost()}
    costs = [total_cost(terms, layer, targets).numpy() for layer in layers]
    counts = targets.mask.sum(dim=1).tolist()
    pairs = [layer[b, :, :n] for layer in costs for b, n in enumerate(counts)]
    tasks: dict[str, Callable[[], object]] = {
        "solver alone": lambda: [linear_sum_assignment(pair) for pair in pairs]
    }
    for name, ratio in (("one query per gold", 0.0), ("golds repeated to 75 %", 0.75)):
        tasks[name] = partial(HungarianMatcher(terms=terms, repeat_ratio=ratio), layers, targets)
    laps = take_turns(tasks, repeats=repeats, warmup=2, calls=5)
    return Findings(
        tuple(lap.row("matching", name) for name, lap in laps.items()),
        {"matching_over_solver": laps["one query per gold"].over(laps["solver alone"])},
    )
