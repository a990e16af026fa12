"""Intersection over union (IoU) of xyxy boxes in double precision, without torch.

No ``+ 1`` and no epsilon: a threshold is met exactly. A box without area, or one whose corners are
swapped, has IoU 0 with every box.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def iou(first: Sequence[float], second: Sequence[float]) -> float:
    """IoU of two boxes."""
    # float() keeps a float32 that reached a record from dragging the arithmetic down with it.
    ax1, ay1, ax2, ay2 = map(float, first)
    bx1, by1, bx2, by2 = map(float, second)
    area_a = max(0.0, ax2 - ax1) * max(0.0, ay2 - ay1)
    area_b = max(0.0, bx2 - bx1) * max(0.0, by2 - by1)
    if area_a == 0.0 or area_b == 0.0:
        return 0.0
    width = max(0.0, min(ax2, bx2) - max(ax1, bx1))
    inter = width * max(0.0, min(ay2, by2) - max(ay1, by1))
    return inter / (area_a + area_b - inter)


def pairwise_iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """IoU of every pair: ``[N, 4]`` and ``[M, 4]`` -> ``[N, M]``; one box alone counts as N = 1."""
    ax1, ay1, ax2, ay2 = np.asarray(first, dtype=np.float64).reshape(-1, 4).T[..., None]  # [N, 1]
    bx1, by1, bx2, by2 = np.asarray(second, dtype=np.float64).reshape(-1, 4).T  # [M]
    inter = (np.minimum(ax2, bx2) - np.maximum(ax1, bx1)).clip(min=0)  # [N, M]
    inter *= (np.minimum(ay2, by2) - np.maximum(ay1, by1)).clip(min=0)
    area_a = (ax2 - ax1).clip(min=0) * (ay2 - ay1).clip(min=0)
    area_b = (bx2 - bx1).clip(min=0) * (by2 - by1).clip(min=0)
    union = area_a + area_b - inter
    has_area = (area_a > 0) & (area_b > 0)
    overlap: NDArray[np.float64] = np.zeros_like(inter)
    np.divide(inter, union, out=overlap, where=has_area)
    return overlap
