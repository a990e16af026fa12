"""Named cost terms of the bipartite matching: each gives one number a (query, gold) pair.

A term is any callable ``(outputs, targets) -> [B, Q, G]`` with a ``name`` and a ``weight``; columns
of padded golds may hold anything finite, the matcher never looks at them.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from gmbench.core.boxes import giou, iou
from gmbench.core.tensors import MASKED, Outputs, Targets

FORBIDDEN = 1e5
"""Cost of a pair that must not be matched: far above any other cost, exact in float64."""

Activation = Literal["sigmoid", "softmax"]


class CostTerm(Protocol):
    """One named, weighted part of the matching cost."""

    @property
    def weight(self) -> float:
        """Factor of the term in the total."""
        ...

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        """``[B, Q, G]`` costs, lower is better."""
        ...


def gather_slots(scores: Tensor, index: Tensor) -> Tensor:
    """Scores ``[B, Q, S]`` at each gold's slot ``[B, G]`` -> ``[B, Q, G]``."""
    wanted = index.clamp(0, scores.shape[-1] - 1)[:, None, :].expand(-1, scores.shape[1], -1)
    return scores.gather(2, wanted)


def activate(logits: Tensor, activation: Activation) -> Tensor:
    """Probabilities over the last axis; padded slots (``MASKED``) get 0."""
    return logits.sigmoid() if activation == "sigmoid" else logits.softmax(dim=-1)


@dataclass(frozen=True, kw_only=True)
class TypeCost:
    """``-p^c(Y^t)`` (MQSPN, bipartite matching; QGN eq. 4).

    A type whose logit is masked cannot be answered by that query: the pair is forbidden.
    """

    weight: float = 1.0

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        """``[B, Q, G]``."""
        probability = gather_slots(outputs.type_logits.softmax(dim=-1), targets.types)
        impossible = gather_slots(outputs.type_logits, targets.types) <= MASKED / 2
        return -probability + impossible * (FORBIDDEN / self.weight)


@dataclass(frozen=True, kw_only=True)
class SpanCost:
    """``-(p^s(Y^s) + p^e(Y^e))``: the probabilities of both gold ends."""

    weight: float = 1.0
    activation: Activation = "sigmoid"

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        """``[B, Q, G]``."""
        start = gather_slots(activate(outputs.start_logits, self.activation), targets.starts)
        end = gather_slots(activate(outputs.end_logits, self.activation), targets.ends)
        return -(start + end)


@dataclass(frozen=True, kw_only=True)
class RegionCost:
    """``-p^r(Y^r)``: the best probability among the candidate slots that show the gold entity.

    0 for an entity that no candidate covers.
    """

    weight: float = 1.0
    activation: Activation = "sigmoid"

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        """``[B, Q, G]``.

        Raises:
            ValueError: the model predicted no regions, or the data holds no candidates.
        """
        if outputs.region_logits is None or targets.regions is None:
            raise ValueError("the region cost needs a proposal-based model and candidate regions")
        probability = activate(outputs.region_logits, self.activation)
        shown = targets.regions[:, None].to(probability.dtype)  # [B, 1, G, K1]
        return -(probability[:, :, None, :] * shown).amax(dim=-1)


def total(terms: dict[str, CostTerm], outputs: Outputs, targets: Targets) -> Tensor:
    """Weighted sum of all terms, ``[B, Q, G]``, in double precision outside autocast."""
    device = outputs.type_logits.device
    exact = torch.float32 if device.type == "mps" else torch.float64
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        precise = outputs.map(lambda t: t.detach().to(exact) if t.is_floating_point() else t)
        return torch.stack([t.weight * t(precise, targets) for t in terms.values()]).sum(dim=0)


# The matching cost of predicted boxes (QGN eq. 4): L1 and generalised IoU.
Overlap = Literal["giou", "iou"]

CONSTANT = 1e4
"""Cost of a region where the entity has none, read literally. It is the same for every query, so
it changes no assignment; larger ones would eat the digits of the other terms."""


@dataclass(frozen=True, kw_only=True)
class BoxCost:
    """``l1 * |b - t|_1 + overlap * (1 - GIoU(b, t))`` with the nearest gold box of the entity.

    Attributes:
        weight: of the whole term.
        l1, giou: factors of the two parts (DETR: 5 and 2).
        overlap: ``iou`` = the paper's word in the cost; its loss says GIoU.
        ungroundable: what an entity without a box costs: nothing, or the paper's "large constant".
    """

    weight: float = 1.0
    l1: float = 5.0
    giou: float = 2.0
    overlap: Overlap = "giou"
    ungroundable: Literal["zero", "constant"] = "zero"

    def __call__(self, outputs: Outputs, targets: Targets) -> Tensor:
        """``[B, Q, G]``.

        Raises:
            ValueError: the model predicted no boxes.
        """
        boxes = boxes_of(outputs)[:, :, None, None]  # [B, Q, 1, 1, 4]
        cost = box_distance(
            boxes, targets.boxes[:, None], l1=self.l1, giou_weight=self.giou, overlap=self.overlap
        )
        cost = nearest(cost, targets.box_mask[:, None])
        without = 0.0 if self.ungroundable == "zero" else CONSTANT
        return cost.masked_fill(~targets.groundable[:, None], without)


def boxes_of(outputs: Outputs) -> Tensor:
    """The predicted boxes ``[B, Q, 4]``.

    Raises:
        ValueError: the model predicted none.
    """
    if outputs.boxes is None:
        raise ValueError("a box term needs a proposal-free model: its outputs hold no boxes")
    return outputs.boxes


def box_distance(
    boxes: Tensor, gold: Tensor, *, l1: float, giou_weight: float, overlap: Overlap = "giou"
) -> Tensor:
    """Weighted distance of cxcywh boxes ``[..., 4]``, broadcast against each other -> ``[...]``."""
    gold = gold.to(boxes.dtype)
    likeness = giou(boxes, gold) if overlap == "giou" else iou(boxes, gold)
    return l1 * (boxes - gold).abs().sum(dim=-1) + giou_weight * (1 - likeness)


def nearest(distance: Tensor, real: Tensor) -> Tensor:
    """Least distance over the last axis among ``real`` boxes; finite where there is none."""
    far = torch.finfo(distance.dtype).max
    least = distance.masked_fill(~real, far).amin(dim=-1)
    return least.masked_fill(~real.any(dim=-1), 0.0)
