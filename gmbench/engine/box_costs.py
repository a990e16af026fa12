"""The matching cost of predicted boxes (QGN eq. 4): L1 and generalised IoU."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gmbench.boxes import giou, iou
from gmbench.tensors import Outputs, Targets

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
