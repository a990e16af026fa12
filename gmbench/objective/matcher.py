"""One-to-one matching between queries and gold entities: one cost matrix, scipy solves it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gmbench.core.distributed import NonFinite
from gmbench.core.tensors import Outputs, Targets, TensorRecord
from gmbench.objective.costs import FORBIDDEN, CostTerm, total


# Several layers' outputs as those of one larger batch: fewer and larger operations.
def stack_layers(layers: Sequence[Outputs]) -> Outputs:
    """Outputs of L layers, ``[B, ...]`` each, as ``[L * B, ...]``, one layer after another.

    Attention, earlier layers and what a layer lacks are left out.
    """

    def joined(name: str) -> Any:
        values = [getattr(layer, name) for layer in layers]
        if not all(isinstance(value, Tensor) for value in values):
            return None
        return torch.cat(values) if len(values) > 1 else values[0]

    names = [f.name for f in dataclasses.fields(layers[0]) if f.name not in ("aux", "attention")]
    return dataclasses.replace(
        layers[0], aux=(), attention=None, **{name: joined(name) for name in names}
    )


def repeat_targets(targets: Targets, times: int) -> Targets:
    """The gold of a batch for each of several layers: ``[B, ...]`` -> ``[times * B, ...]``."""
    if times == 1:
        return targets
    return targets.map(lambda values: values.repeat(times, *[1] * (values.ndim - 1)))


class NonFiniteCost(NonFinite):
    """A cost is NaN or infinite; the message names the term and the samples."""


@dataclass(frozen=True, eq=False)
class Matching(TensorRecord):
    """Which gold entity each query answers for.

    Attributes:
        gold: row of the gold entity, or -1 for *no entity*.
        unmatched: gold entities that found no query (more golds than queries).
    """

    gold: Int[Tensor, "B Q"]
    unmatched: int = 0


class Matcher(Protocol):
    """Whatever says which query answers for which gold entity."""

    def __call__(
        self, layers: Sequence[Outputs], targets: Targets, ids: Sequence[str] = ()
    ) -> tuple[Matching, ...]:
        """One matching a layer, on the outputs' device."""
        ...


class NoMatching:
    """For terms that read the gold entities themselves: no query is matched with any.

    Of a model whose queries name a type rather than an entity, say, and answer with all its spans.
    """

    def __call__(
        self, layers: Sequence[Outputs], targets: Targets, ids: Sequence[str] = ()
    ) -> tuple[Matching, ...]:
        """An empty matching a layer."""
        return tuple(
            Matching(gold=torch.full_like(layer.type_logits[..., 0], -1, dtype=torch.long))
            for layer in layers
        )


class HungarianMatcher:
    """Optimal assignment of gold entities to queries (MQSPN, bipartite matching loss; QGN eq. 4).

    Invariants: a query answers for at most one gold entity; without repetition a gold entity has
    at most one query; the total cost is minimal; with no gold nothing is matched; with more golds
    than queries, as many golds as there are queries are matched and the rest is counted.
    """

    def __init__(
        self,
        *,
        terms: Mapping[str, CostTerm],
        repeat_ratio: float = 0.0,
        solver: Literal["hungarian", "order", "drawn_order"] = "hungarian",
        order_seed: int = 0,
    ) -> None:
        """Keep the cost terms.

        Args:
            terms: named cost terms; at least one.
            repeat_ratio: gold entities are repeated in turn until they fill this share of the
                queries (MQSPN's *replicating Y*); 0 leaves every gold entity with one query. Where
                queries can answer for some entities only (for one type), the share is of those.
            solver: ``order`` gives the i-th gold entity (by its first word) to the i-th query, or
                to the first free one that can answer for it, without any search or repetition:
                the ablation *w/o BML*. ``drawn_order`` does so by an order of its own for each
                example, drawn once for all epochs.
            order_seed: of drawn orders.

        Raises:
            ValueError: no terms, or a ratio outside 0..1.
        """
        if not terms:
            raise ValueError("a matcher needs at least one cost term")
        if not 0 <= repeat_ratio <= 1:
            raise ValueError(f"repeat_ratio must lie in 0..1, not {repeat_ratio}")
        self.terms = dict(terms)
        self.repeat_ratio = repeat_ratio
        self.solver = solver
        self.order_seed = order_seed

    def __call__(
        self, layers: Sequence[Outputs], targets: Targets, ids: Sequence[str] = ()
    ) -> tuple[Matching, ...]:
        """Match every layer's queries to the gold entities of the batch.

        All layers' costs travel to the host in one copy: the only synchronisation.

        Args:
            layers: outputs of the same queries at several depths.
            targets: gold entities.
            ids: examples' ids, for error messages.

        Returns:
            One matching a layer, on the outputs' device.

        Raises:
            NonFiniteCost: a cost is NaN or infinite.
        """
        number = len(layers)
        with torch.no_grad():
            together = stack_layers(layers), repeat_targets(targets, number)
        costs = total(self.terms, *together)
        costs = costs.view(number, -1, *costs.shape[1:])  # [L * B, Q, G] -> [L, B, Q, G]
        sizes = torch.cat([targets.mask.sum(dim=1, keepdim=True), targets.starts], dim=1)
        packed = torch.cat([costs.flatten(), sizes.flatten().to(costs.dtype)]).cpu().numpy()
        matrix = packed[: costs.numel()].reshape(costs.shape)
        golds, starts = np.split(packed[costs.numel() :].reshape(sizes.shape), [1], axis=1)

        results = []
        for layer, costs_of_layer in zip(layers, matrix, strict=True):
            rows = np.full(costs_of_layer.shape[:2], -1, dtype=np.int64)
            unmatched = 0
            for b, count in enumerate(golds[:, 0].astype(np.int64)):
                cost = costs_of_layer[b, :, :count]
                if not np.isfinite(cost).all():
                    raise NonFiniteCost(self._explain(layer, targets, b, ids))
                places = starts[b, :count]
                if self.solver == "drawn_order":
                    places = drawn(int(count), self.order_seed, ids[b] if ids else str(b))
                queries, columns = self._solve(cost, places)
                rows[b, queries] = columns
                unmatched += int(count) - len(set(columns.tolist()))
            gold = torch.from_numpy(rows).to(costs.device, non_blocking=True)
            results.append(Matching(gold=gold, unmatched=unmatched))
        return tuple(results)

    def _solve(
        self, cost: NDArray[np.float64], starts: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cost ``[Q, G]`` and first words ``[G]`` -> matched queries and their gold rows."""
        if cost.shape[1] == 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        allowed = cost < FORBIDDEN / 2
        if self.solver != "hungarian":
            return in_order(allowed, starts)
        repeated = repeat(allowed, self.repeat_ratio)
        queries, columns = linear_sum_assignment(cost[:, repeated])
        fits = allowed[queries, repeated[columns]]
        return queries[fits], repeated[columns][fits]

    def _explain(self, layer: Outputs, targets: Targets, b: int, ids: Sequence[str]) -> str:
        count = int(targets.mask[b].sum())
        bad = [
            name
            for name, term in self.terms.items()
            if not total({name: term}, layer, targets)[b, :, :count].isfinite().all()
        ]
        where = ids[b] if ids else f"sample {b} of the batch"
        return (
            f"{where}: the matching cost is not finite (term {', '.join(bad) or 'unknown'}); "
            "lower the learning rate or look at this example's boxes"
        )


def drawn(count: int, seed: int, name: str) -> NDArray[np.float64]:
    """Places ``[count]`` of an example's gold entities in an order that seed and name decide."""
    order = list(range(count))
    Random(f"{seed}/{name}").shuffle(order)
    return np.array(order, dtype=np.float64)


def in_order(
    allowed: NDArray[np.bool_], starts: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each gold entity, by its place, takes the first free query that is allowed it.

    Args:
        allowed: ``[Q, G]``.
        starts: ``[G]`` places, such as first words.

    Returns:
        Matched queries and their gold rows.
    """
    free = np.ones(len(allowed), dtype=bool)
    pairs = []
    for gold in np.argsort(starts, kind="stable"):
        fitting = np.flatnonzero(allowed[:, gold] & free)
        if len(fitting):
            free[fitting[0]] = False
            pairs.append((fitting[0], gold))
    queries, rows = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return queries, rows


def repeat(allowed: NDArray[np.bool_], ratio: float) -> NDArray[np.int64]:
    """Gold rows, each at least once, repeated in turn up to a share of the queries.

    Args:
        allowed: ``[Q, G]``; entities that the same queries can answer for share those queries, so
            that no entity's copies crowd another's out.
        ratio: of such queries.
    """
    if allowed.all():  # the usual case, and np.unique costs more than the assignment itself
        rows = np.arange(max(allowed.shape[1], math.floor(ratio * len(allowed))))
        return np.remainder(rows, allowed.shape[1])
    patterns, group = np.unique(allowed, axis=1, return_inverse=True)
    parts = []
    for index, queries in enumerate(patterns.sum(axis=0)):
        rows = np.flatnonzero(group.reshape(-1) == index)
        slots = max(len(rows), math.floor(ratio * queries))
        parts.append(rows[np.arange(slots) % len(rows)])
    return np.concatenate(parts)
