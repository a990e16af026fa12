"""Bipartite matching between queries and gold entities: one cost matrix, solved by scipy.

MQSPN (bipartite matching loss) and QGN (eq. 4) compare a set of ``Q`` answers with a set of ``G``
gold entities, filled up with *no entity* to ``Q``. The assignment of least total cost decides which
entity each query learns::

    pi = argmin over one-to-one assignments of  sum over g of C[pi(g), g]

``C`` is the weighted sum of the terms in ``costs.py``; *no entity* costs nothing, so it is left out
of the matrix, and every query without an entity learns *no entity*. MQSPN first repeats the gold
entities ("replicating Y"), so that several queries learn each of them.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gmbench.core.errors import NonFinite
from gmbench.core.orders import drawn
from gmbench.core.tensors import Outputs, Targets, TensorRecord
from gmbench.objective.costs import FORBIDDEN, CostTerm, total_cost

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Matched queries, and the row of the gold entity of each."""


@dataclass(frozen=True, eq=False)
class Matching(TensorRecord):
    """Gold entity assigned to each query.

    Attributes:
        gold: row of the gold entity, or -1 for *no entity*.
        unmatched: number of gold entities without a query (more golds than queries).
    """

    gold: Int[Tensor, "B Q"]
    unmatched: int = 0


class NonFiniteCost(NonFinite):
    """A cost is NaN or infinite; the message names the term and the example."""


class Matcher(Protocol):
    """Assigns gold entities to queries."""

    def __call__(
        self, layers: Sequence[Outputs], targets: Targets, ids: Sequence[str] = ()
    ) -> tuple[Matching, ...]:
        """One matching a layer, on the outputs' device.

        Args:
            layers: outputs of the same queries at several depths.
            targets: gold entities.
            ids: the examples' ids, for error messages.
        """
        ...


class HungarianMatcher:
    """Optimal assignment of gold entities to queries.

    Invariants: a query is matched to at most one gold entity; without repetition a gold entity
    has at most one query; the total cost is minimal; without gold nothing is matched; of more gold
    entities than queries, as many as there are queries are matched and the rest is counted.

    Args:
        terms: named cost terms; at least one.
        repeat_ratio: gold entities are repeated in turn until they fill this share of the queries;
            0 leaves every gold entity with one query. Where queries can answer for some entities
            only (for one type), the share is of those.
        solver: ``order`` assigns the i-th gold entity (by its first word) to the i-th query, or to
            the first free one that can answer for it, without any search or repetition: the
            ablation *w/o BML*. ``drawn_order`` does so in a random order of each example, drawn
            once for all epochs.
        order_seed: of drawn orders.

    Raises:
        ValueError: no terms, or a ratio outside 0..1.
    """

    def __init__(
        self,
        *,
        terms: Mapping[str, CostTerm],
        repeat_ratio: float = 0.0,
        solver: Literal["hungarian", "order", "drawn_order"] = "hungarian",
        order_seed: int = 0,
    ) -> None:
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

        Raises:
            NonFiniteCost: a cost is NaN or infinite.
        """
        depth = len(layers)
        with torch.no_grad():
            stacked, repeated = stack_layers(layers), repeat_targets(targets, depth)
        costs = total_cost(self.terms, stacked, repeated)
        costs = costs.view(depth, -1, *costs.shape[1:])  # [L * B, Q, G] -> [L, B, Q, G]
        counts = targets.mask.sum(dim=1, keepdim=True)  # [B, 1]
        gold = torch.cat([counts, targets.starts], dim=1)  # [B, 1 + G]
        # Costs and gold travel to the host in one copy: the only synchronisation of a step.
        host = torch.cat([costs.flatten(), gold.flatten().to(costs.dtype)]).cpu().numpy()
        matrices = host[: costs.numel()].reshape(costs.shape)
        counts_and_starts = host[costs.numel() :].reshape(gold.shape).astype(np.int64)

        matchings = []
        for layer, matrix in zip(layers, matrices, strict=True):  # [B, Q, G]
            rows = np.full(matrix.shape[:2], -1, dtype=np.int64)  # [B, Q]
            unmatched = 0
            for b, (count, *starts) in enumerate(counts_and_starts.tolist()):
                cost = matrix[b, :, :count]  # without padding
                if not np.isfinite(cost).all():
                    raise NonFiniteCost(self._explain(layer, targets, b, ids))
                places = np.array(starts[:count])
                if self.solver == "drawn_order":
                    places = drawn(count, self.order_seed, ids[b] if ids else str(b))
                queries, golds = self._solve(cost, places)
                rows[b, queries] = golds
                unmatched += count - len(set(golds.tolist()))
            on_device = torch.from_numpy(rows).to(costs.device, non_blocking=True)
            matchings.append(Matching(gold=on_device, unmatched=unmatched))
        return tuple(matchings)

    def _solve(self, cost: NDArray[np.float64], places: NDArray[np.int64]) -> Pairs:
        """Cost ``[Q, G]`` and places in the order ``[G]`` -> matched queries and their golds."""
        if cost.shape[1] == 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        allowed = cost < FORBIDDEN / 2
        if self.solver != "hungarian":
            return in_order(allowed, places)
        repeated = repeat(allowed, self.repeat_ratio)  # [R], rows of gold
        queries, columns = linear_sum_assignment(cost[:, repeated])  # [Q, G] -> [Q, R]
        # Where queries run short the solver also hands out forbidden pairs: they do not count.
        fits = allowed[queries, repeated[columns]]
        return queries[fits], repeated[columns][fits]

    def _explain(self, layer: Outputs, targets: Targets, b: int, ids: Sequence[str]) -> str:
        count = int(targets.mask[b].sum())
        bad = [
            name
            for name, term in self.terms.items()
            if not total_cost({name: term}, layer, targets)[b, :, :count].isfinite().all()
        ]
        where = ids[b] if ids else f"sample {b} of the batch"
        return (
            f"{where}: the matching cost is not finite (term {', '.join(bad) or 'unknown'}); "
            "lower the learning rate or look at this example's boxes"
        )


class NoMatching:
    """Match no query, for loss terms that read the gold entities themselves.

    For models with one query per type, which predict all spans of that type.
    """

    def __call__(
        self, layers: Sequence[Outputs], targets: Targets, ids: Sequence[str] = ()
    ) -> tuple[Matching, ...]:
        """An empty matching a layer."""
        return tuple(
            Matching(gold=torch.full_like(layer.type_logits[..., 0], -1, dtype=torch.long))
            for layer in layers
        )


def stack_layers(layers: Sequence[Outputs]) -> Outputs:
    """Outputs of L layers, ``[B, ...]`` each, as ``[L * B, ...]``, one layer after another.

    One larger batch needs fewer and larger operations. Attention, drafts, earlier layers and what a
    layer lacks are left out.
    """

    def joined(name: str) -> Any:
        values = [getattr(layer, name) for layer in layers]
        if not all(isinstance(value, Tensor) for value in values):
            return None
        return torch.cat(values) if len(values) > 1 else values[0]

    left_out: dict[str, Any] = {"aux": (), "attention": None, "drafts": ()}
    names = [f.name for f in dataclasses.fields(layers[0]) if f.name not in left_out]
    return dataclasses.replace(layers[0], **left_out, **{name: joined(name) for name in names})


def repeat_targets(targets: Targets, times: int) -> Targets:
    """The gold of a batch for each of several layers: ``[B, ...]`` -> ``[times * B, ...]``."""
    if times == 1:
        return targets
    return targets.map(lambda values: values.repeat(times, *[1] * (values.ndim - 1)))


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
    patterns, group = np.unique(allowed, axis=1, return_inverse=True)  # [Q, P], [G]
    parts = []
    for index, queries in enumerate(patterns.sum(axis=0)):
        rows = np.flatnonzero(group.reshape(-1) == index)
        slots = max(len(rows), math.floor(ratio * queries))
        parts.append(rows[np.arange(slots) % len(rows)])
    return np.concatenate(parts)


def in_order(allowed: NDArray[np.bool_], places: NDArray[np.int64]) -> Pairs:
    """Each gold entity, by its place ``[G]``, takes the first free query allowed it ``[Q, G]``."""
    free = np.ones(len(allowed), dtype=bool)
    pairs = []
    for gold in np.argsort(places, kind="stable"):
        candidates = np.flatnonzero(allowed[:, gold] & free)
        if len(candidates):
            free[candidates[0]] = False
            pairs.append((candidates[0], gold))
    queries, golds = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return queries, golds
