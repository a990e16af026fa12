"""IoU of boxes in double precision, without torch."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pairwise_iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Xyxy ``[N, 4]`` and ``[M, 4]`` -> ``[N, M]``; 0 where an area is 0, nothing added to it."""
    a = np.asarray(first, dtype=np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, dtype=np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(min=0).prod(axis=-1)
    area_a = (a[..., 2:] - a[..., :2]).clip(min=0).prod(axis=-1)
    area_b = (b[..., 2:] - b[..., :2]).clip(min=0).prod(axis=-1)
    found = (area_a > 0) & (area_b > 0)
    union = np.where(found, area_a + area_b - shared, 1.0)
    return np.where(found, shared / union, 0.0)
