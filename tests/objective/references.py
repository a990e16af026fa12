"""Slow references of the objective in plain Python."""

import math

import torch
from torchvision.ops import box_convert, generalized_box_iou


def softmax(row: list[float]) -> list[float]:
    exp = [math.exp(x) for x in row]
    return [x / sum(exp) for x in exp]


def bce(logit: float, truth: float) -> float:
    return math.log1p(math.exp(-abs(logit))) + max(logit, 0.0) - truth * logit


def box_distance(box: torch.Tensor, gold: torch.Tensor) -> float:
    """``5 |b - t|_1 + 2 (1 - GIoU)`` of cxcywh boxes."""
    box, gold = box.detach().double(), gold.double()
    corners = [box_convert(b[None], "cxcywh", "xyxy") for b in (box, gold)]
    apart = sum(abs(float(x) - float(y)) for x, y in zip(box, gold, strict=True))
    return 5 * apart + 2 * (1 - float(generalized_box_iou(*corners)[0, 0]))
