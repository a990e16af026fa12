"""Where a model looks, as numbers: pointing game and attention mass inside the gold boxes.

A *heat map* is ``[rows, columns]`` of weights over the whole picture, each cell a rectangle of it.
Patches of a vision transformer are such cells already; weights of candidate regions are painted
back over their boxes. Both kinds of model thus answer the same questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmbench.structures import Box

Heat = NDArray[np.float64]

CELLS = 64
"""Cells a side on which candidate regions are painted."""


@dataclass(frozen=True, slots=True)
class Pointing:
    """Many heat maps against their gold boxes.

    Attributes:
        maps: how many.
        hits: the hottest place lies in a gold box.
        mass: mean share of the weights inside the gold boxes.
        area: mean share of the picture that the gold boxes fill: what looking everywhere earns.
    """

    maps: int
    hits: int
    mass: float
    area: float

    @property
    def hit_rate(self) -> float:
        """``hits / maps``; 0.0 without maps."""
        return self.hits / self.maps if self.maps else 0.0


def patch_heat(weights: NDArray[np.floating]) -> Heat:
    """Weights ``[P]`` of the patches of a square, row by row -> ``[side, side]``.

    Raises:
        ValueError: P is no square.
    """
    side = round(len(weights) ** 0.5)
    if side * side != len(weights):
        raise ValueError(f"{len(weights)} patches are no square")
    return np.asarray(weights, dtype=np.float64).reshape(side, side)


def region_heat(
    weights: NDArray[np.floating],
    boxes: NDArray[np.floating],
    size: tuple[float, float],
    cells: int = CELLS,
) -> Heat:
    """Weights of candidate regions painted back, each spread evenly over its box.

    Args:
        weights: ``[K]``, without that of the blank slot: it looks at nothing, and so what is
            painted may sum to less than 1.
        boxes: ``[K, 4]`` xyxy pixels; one without area is left out.
        size: width, height of the picture in pixels.
        cells: a side.

    Raises:
        ValueError: not one box a weight.
    """
    if len(weights) != len(boxes):
        raise ValueError(f"{len(weights)} weights for {len(boxes)} boxes")
    heat = np.zeros((cells, cells))
    edges = np.linspace(0.0, 1.0, cells + 1)
    for weight, box in zip(weights, np.asarray(boxes, dtype=np.float64), strict=True):
        x1, y1, x2, y2 = np.clip(box / np.array([*size, *size]), 0, 1)
        if x2 <= x1 or y2 <= y1:
            continue
        across, down = _shares(edges, x1, x2), _shares(edges, y1, y2)
        heat += float(weight) * down[:, None] * across[None]
    return heat


def mass_inside(heat: Heat, boxes: Sequence[Box], size: tuple[float, float]) -> float:
    """Share of the heat that lies in any of the boxes, exact to parts of a cell.

    Returns:
        0..1; 0.0 for a map without any heat.
    """
    total = float(heat.sum())
    inside, _ = _inside(heat, boxes, size)
    return inside / total if total > 0 else 0.0


def area_inside(boxes: Sequence[Box], size: tuple[float, float]) -> float:
    """Share of the picture that the boxes fill together."""
    return _inside(np.ones((1, 1)), boxes, size)[1]


def hottest(heat: Heat) -> tuple[float, float]:
    """The hottest place ``x, y`` in 0..1: a cell's centre; amid equal ones, the most central."""
    rows, columns = np.nonzero(heat >= heat.max() * (1 - 1e-9))
    middle = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    height, width = heat.shape
    return float((columns[middle] + 0.5) / width), float((rows[middle] + 0.5) / height)


def points_at(heat: Heat, boxes: Sequence[Box], size: tuple[float, float]) -> bool:
    """The pointing game (Zhang et al. 2016), without tolerance; a cold map points nowhere."""
    if heat.max() <= 0:
        return False
    x, y = hottest(heat)
    x, y = x * size[0], y * size[1]
    return any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in boxes)


def pointing(maps: Sequence[tuple[Heat, Sequence[Box], tuple[float, float]]]) -> Pointing:
    """Judge heat maps with their gold boxes (xyxy pixels, at least one) and picture sizes.

    Raises:
        ValueError: a map without gold boxes has no right place.
    """
    if any(not boxes for _, boxes, _ in maps):
        raise ValueError("the pointing game needs gold boxes: leave out what is not groundable")
    number = max(1, len(maps))
    return Pointing(
        maps=len(maps),
        hits=sum(points_at(*entry) for entry in maps),
        mass=sum(mass_inside(*entry) for entry in maps) / number,
        area=sum(area_inside(boxes, size) for _, boxes, size in maps) / number,
    )


def _shares(edges: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Share of the interval ``low..high`` in each cell."""
    covered = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    shares: NDArray[np.float64] = np.clip(covered, 0, None) / (high - low)
    return shares


def _inside(heat: Heat, boxes: Sequence[Box], size: tuple[float, float]) -> tuple[float, float]:
    """Heat and area in the union of the boxes, over the grid that all edges draw together."""
    corners = np.clip(np.asarray(boxes, dtype=np.float64).reshape(-1, 4) / [*size, *size], 0, 1)
    height, width = heat.shape
    xs = np.unique(np.concatenate([np.linspace(0, 1, width + 1), *corners[:, [0, 2]]]))
    ys = np.unique(np.concatenate([np.linspace(0, 1, height + 1), *corners[:, [1, 3]]]))
    x, y = (xs[1:] + xs[:-1]) / 2, (ys[1:] + ys[:-1]) / 2
    within = np.zeros((len(y), len(x)), dtype=bool)
    for x1, y1, x2, y2 in corners:
        within |= ((y > y1) & (y < y2))[:, None] & ((x > x1) & (x < x2))[None]
    area = np.diff(ys)[:, None] * np.diff(xs)[None]
    column = np.minimum((x * width).astype(int), width - 1)
    row = np.minimum((y * height).astype(int), height - 1)
    density = heat[row[:, None], column[None]] * (width * height)
    return float((density * area)[within].sum()), float(area[within].sum())
