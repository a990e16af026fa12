"""Terms of the matching cost: how poorly a query fits a gold entity.

MQSPN (bipartite matching loss) and QGN (eq. 4) both sum weighted terms, one per property of
gold entity ``g`` that query ``q`` predicts::

    C[q, g] = - p_q^c(type_g)                                   TypeCost
              - p_q^s(start_g) - p_q^e(end_g)                   SpanCost
              - max p_q^r(slots that show g)                    RegionCost (proposal-based)
              + l1 |b_q - b_g|_1 + giou (1 - GIoU(b_q, b_g))    BoxCost (proposal-free)

Probabilities replace their logarithms, so that all terms have the same order of magnitude (DETR).
Columns of padded gold entities may hold any finite value: the matcher never reads them.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from gmbench.core.boxes import giou, iou
from gmbench.core.tensors import MASKED, Outputs, Targets

FORBIDDEN = 1e5
"""Cost of a pair that must not be matched: far above any other cost, exact in float64."""

CONSTANT = 1e4
"""QGN's "large constant" for the box of an entity that has none. It is the same for every query,
so it changes no assignment; a larger one would eat the digits of the other terms."""

Activation = Literal["sigmoid", "softmax"]
Overlap = Literal["giou", "iou"]


class CostTerm(Protocol):
    """One named, weighted part of the matching cost."""

    @property
    def weight(self) -> float:
        """Factor of the term in the total."""
        ...

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        """``[B, Q, G]`` costs, lower is better.

        Raises:
            ValueError: the model does not predict what the term reads.
        """
        ...


def total_cost(terms: dict[str, CostTerm], outputs: Outputs, targets: Targets) -> Tensor:
    """Weighted sum of all terms, ``[B, Q, G]``, in double precision outside autocast.

    Whatever the terms, a query whose logit of the gold type is masked never matches.
    """
    device = outputs.type_logits.device
    exact = torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        precise = outputs.map(lambda t: t.detach().to(exact) if t.is_floating_point() else t)
        cost = torch.stack([t.weight * t(precise, targets) for t in terms.values()]).sum(dim=0)
        impossible = gather_slots(precise.type_logits, targets.types) <= MASKED / 2
        return cost + impossible * FORBIDDEN


@dataclass(frozen=True, kw_only=True)
class TypeCost:
    """``-p^c(type)``: the probability of the gold type."""

    weight: float = 1.0

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        return -gather_slots(outputs.type_logits.softmax(dim=-1), targets.types)


@dataclass(frozen=True, kw_only=True)
class SpanCost:
    """``-(p^s(start) + p^e(end))``: the probabilities of both gold ends."""

    weight: float = 1.0
    activation: Activation = "sigmoid"

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        start = gather_slots(activate(outputs.start_logits, self.activation), targets.starts)
        end = gather_slots(activate(outputs.end_logits, self.activation), targets.ends)
        return -(start + end)


@dataclass(frozen=True, kw_only=True)
class RegionCost:
    """``-p^r(slot)`` of the most likely candidate slot that shows the gold entity.

    0 for an entity that no candidate covers.
    """

    weight: float = 1.0
    activation: Activation = "sigmoid"

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        logits, shown = regions_of(outputs, targets)  # [B, Q, K1], [B, G, K1]
        probability = activate(logits, self.activation)[:, :, None]  # [B, Q, 1, K1]
        shown = shown[:, None].to(probability.dtype)  # [B, 1, G, K1]
        return -(probability * shown).amax(dim=-1)  # [B, Q, G, K1] -> [B, Q, G]


@dataclass(frozen=True, kw_only=True)
class BoxCost:
    """``l1 |b - t|_1 + giou (1 - GIoU(b, t))`` with the nearest gold box of the entity.

    Attributes:
        weight: of the whole term.
        l1: factor of the L1 distance (DETR: 5).
        giou: factor of ``1 - GIoU`` (DETR: 2).
        overlap: ``giou``, or ``iou`` as the paper writes in the cost (its loss says GIoU).
        ungroundable: cost of an entity without a box: 0, or the paper's "large constant".
    """

    weight: float = 1.0
    l1: float = 5.0
    giou: float = 2.0
    overlap: Overlap = "giou"
    ungroundable: Literal["zero", "constant"] = "zero"

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        boxes = boxes_of(outputs)[:, :, None, None]  # [B, Q, 1, 1, 4]
        gold = targets.boxes[:, None]  # [B, 1, G, M, 4]
        cost = box_distance(boxes, gold, l1=self.l1, giou_weight=self.giou, overlap=self.overlap)
        cost = nearest(cost, targets.box_mask[:, None])  # [B, Q, G, M] -> [B, Q, G]
        without = 0.0 if self.ungroundable == "zero" else CONSTANT
        return cost.masked_fill(~targets.groundable[:, None], without)


def gather_slots(scores: Tensor, index: Tensor) -> Tensor:
    """Scores ``[B, Q, S]`` at each gold entity's slot ``[B, G]`` -> ``[B, Q, G]``."""
    # Padding may point past the last slot.
    slots = index.clamp(0, scores.shape[-1] - 1)[:, None, :]  # [B, 1, G]
    return scores.gather(2, slots.expand(-1, scores.shape[1], -1))


def activate(logits: Tensor, activation: Activation) -> Tensor:
    """Probabilities over the last axis; padded slots (``MASKED``) get 0."""
    return logits.sigmoid() if activation == "sigmoid" else logits.softmax(dim=-1)


def box_distance(
    boxes: Tensor, gold: Tensor, *, l1: float, giou_weight: float, overlap: Overlap = "giou"
) -> Tensor:
    """Weighted distance of cxcywh boxes ``[..., 4]``, broadcast against each other -> ``[...]``."""
    gold = gold.to(boxes.dtype)
    similarity = giou(boxes, gold) if overlap == "giou" else iou(boxes, gold)
    return l1 * (boxes - gold).abs().sum(dim=-1) + giou_weight * (1 - similarity)


def nearest(distance: Tensor, real: Tensor) -> Tensor:
    """Smallest distance over the last axis among ``real`` boxes; 0 where there is none."""
    far = torch.finfo(distance.dtype).max
    smallest = distance.masked_fill(~real, far).amin(dim=-1)
    return smallest.masked_fill(~real.any(dim=-1), 0.0)


def boxes_of(outputs: Outputs) -> Tensor:
    """The predicted boxes ``[B, Q, 4]``.

    Raises:
        ValueError: the model predicted none.
    """
    if outputs.boxes is None:
        raise ValueError("a box term needs a proposal-free model: its outputs hold no boxes")
    return outputs.boxes


def regions_of(outputs: Outputs, targets: Targets) -> tuple[Tensor, Tensor]:
    """The region logits ``[B, Q, K1]`` and the slots ``[B, G, K1]`` that show each gold entity.

    Raises:
        ValueError: the model predicted no regions, or the data holds no candidates.
    """
    if outputs.region_logits is None or targets.regions is None:
        raise ValueError("a region term needs a proposal-based model and candidate regions")
    return outputs.region_logits, targets.regions
