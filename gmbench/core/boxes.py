"""Boxes: pixel <-> model coordinates, IoU and GIoU, all over ``torchvision.ops``.

Images are squashed to a square, so a point ``(x, y)`` of a ``W x H`` image becomes
``(x / W, y / H)``: the identity on normalised boxes, exactly invertible, and no box is ever cut.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_convert

EPS = 1e-7


def to_unit(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Pixels to model coordinates.

    Args:
        boxes: ``[..., 4]`` xyxy in pixels.
        sizes: ``[..., 2]`` width, height in pixels, broadcast against ``boxes``.

    Returns:
        ``[..., 4]`` cxcywh in 0..1 of the image.
    """
    unit: Tensor = box_convert(boxes / _twice(sizes), "xyxy", "cxcywh")
    return unit


def to_pixels(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Model coordinates back to pixels, clipped to the image.

    Args:
        boxes: ``[..., 4]`` cxcywh in 0..1.
        sizes: ``[..., 2]`` width, height in pixels, broadcast against ``boxes``.

    Returns:
        ``[..., 4]`` xyxy in pixels.
    """
    xyxy: Tensor = box_convert(boxes, "cxcywh", "xyxy").clamp(0, 1)
    return xyxy * _twice(sizes)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU, element by element, of cxcywh boxes broadcast against each other; 0 without area."""
    intersection, union, _ = _areas(first, second)
    return intersection / (union + EPS)


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU, element by element, of cxcywh boxes broadcast against each other.

    Equal to torchvision's ``generalized_box_iou_loss`` (tested), but without its boolean indexing,
    which makes the host wait for the device at every call. Two boxes without area give 0, not NaN
    (QGN section 6: eps 1e-7 in both denominators).
    """
    intersection, union, hull = _areas(first, second)
    return intersection / (union + EPS) - (hull - union) / (hull + EPS)


def _areas(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Area of the intersection, of the union and of the smallest box that holds both."""
    a, b = box_convert(first, "cxcywh", "xyxy"), box_convert(second, "cxcywh", "xyxy")
    overlap = torch.minimum(a, b)[..., 2:] - torch.maximum(a, b)[..., :2]
    intersection = overlap.clamp(min=0).prod(dim=-1)
    union = first[..., 2] * first[..., 3] + second[..., 2] * second[..., 3] - intersection
    hull = (torch.maximum(a, b)[..., 2:] - torch.minimum(a, b)[..., :2]).prod(dim=-1)
    return intersection, union, hull


def patch_centres(side: int, device: torch.device | None = None) -> Tensor:
    """Centres ``x, y`` of the patches of a square in 0..1, row by row: ``[side^2, 2]``."""
    axis = (torch.arange(side, device=device) + 0.5) / side
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def patches_inside(boxes: Tensor, patches: int) -> Tensor:
    """Which patches of a square lie in each box: cxcywh ``[..., 4]`` -> ``[..., P]`` bool.

    A box that holds no patch's centre is shown by the patch nearest to its own.
    """
    centres = patch_centres(round(patches**0.5), boxes.device)  # [P, 2]
    apart = (centres - boxes[..., None, :2]).abs()  # [..., P, 2]
    within = (apart <= boxes[..., None, 2:] / 2).all(dim=-1)
    nearest = F.one_hot(apart.pow(2).sum(dim=-1).argmin(dim=-1), patches).bool()
    return within | nearest


def _twice(sizes: Tensor) -> Tensor:
    """``[..., 2]`` (w, h) -> ``[..., 4]`` (w, h, w, h)."""
    return sizes[..., [0, 1, 0, 1]]
