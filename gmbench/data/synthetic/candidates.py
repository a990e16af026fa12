"""A simulated detector: candidate boxes with scores, and a recall that is exact by construction."""

from collections.abc import Callable, Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from gmbench.core.iou import iou

FloatBox = tuple[float, float, float, float]

COVERS = 0.55
"""A covering candidate reaches at least this IoU: clear of the threshold 0.5 after rounding."""
MISSES = 0.45
"""No candidate reaches this IoU with a box that is to stay uncovered."""


def choose_covered(counts: Sequence[int], recall: float, rng: Random) -> list[set[int]]:
    """Which gold boxes the detector finds.

    Args:
        counts: gold boxes of each picture of a split.
        recall: wanted share; exactly ``round(recall * sum(counts))`` boxes are covered.
        rng: the split's generator.

    Returns:
        For each picture the indices of its covered boxes.
    """
    every = [(picture, box) for picture, count in enumerate(counts) for box in range(count)]
    covered: list[set[int]] = [set() for _ in counts]
    for picture, box in rng.sample(every, round(recall * len(every))):
        covered[picture].add(box)
    return covered


def detect(
    gold: Sequence[FloatBox],
    covered: set[int],
    others: Sequence[FloatBox],
    *,
    size: tuple[int, int],
    count: int,
    rng: Random,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Candidates of one picture, best score first.

    Args:
        gold: boxes of named things, pairwise below the IoU ``scenes.CROWDED``.
        covered: indices of the gold boxes that get a candidate.
        others: boxes of things that no word names.
        size: width and height of the picture.
        count: how many candidates; at least as many as there are covered boxes.
        rng: the tweet's generator.

    Returns:
        Boxes ``[count, 4]`` xyxy pixels and scores ``[count]``. No candidate equals a gold box.
    """
    missed = [box for index, box in enumerate(gold) if index not in covered]
    sure: list[tuple[float, FloatBox]] = []
    extra: list[tuple[float, FloatBox]] = []

    def allowed(box: FloatBox) -> bool:
        return all(iou(box, other) < MISSES for other in missed)

    for index in sorted(covered):
        sure.append((rng.uniform(0.35, 0.99), _cover(gold[index], size, allowed, rng)))
        if rng.random() < 0.25:
            extra.append((rng.uniform(0.2, 0.8), _jitter(gold[index], 0.12, size, rng)))
    for box in missed:
        extra.append((rng.uniform(0.2, 0.8), _jitter(box, 0.4, size, rng)))
    for box in others:
        if rng.random() < 0.85:
            extra.append((rng.uniform(0.3, 0.97), _jitter(box, 0.06, size, rng)))
    extra = [scored for scored in extra if allowed(scored[1])]
    while len(sure) + len(extra) < count:
        box = _anywhere(size, rng)
        if allowed(box):
            extra.append((rng.uniform(0.02, 0.6), box))
    extra.sort(reverse=True)
    found = sorted(sure + extra[: count - len(sure)], reverse=True)
    boxes = np.array([box for _, box in found], dtype=np.float32).reshape(-1, 4)
    return boxes, np.array([score for score, _ in found], dtype=np.float32)


def _cover(
    box: FloatBox, size: tuple[int, int], allowed: Callable[[FloatBox], bool], rng: Random
) -> FloatBox:
    """A jittered copy that still covers ``box`` and, by ever smaller jitter, nothing forbidden."""
    spread = 0.09
    while True:
        candidate = _jitter(box, spread, size, rng)
        if COVERS <= iou(candidate, box) < 1.0 and allowed(candidate):
            return candidate
        spread *= 0.9


def _jitter(box: FloatBox, spread: float, size: tuple[int, int], rng: Random) -> FloatBox:
    """Every side moved by a normal share of the box's own extent, kept inside the picture."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    x0, x1 = sorted((x0 + rng.gauss(0, spread) * w, x1 + rng.gauss(0, spread) * w))
    y0, y1 = sorted((y0 + rng.gauss(0, spread) * h, y1 + rng.gauss(0, spread) * h))
    x0, y0 = min(max(x0, 0.0), size[0] - 2.0), min(max(y0, 0.0), size[1] - 2.0)
    return x0, y0, max(min(x1, float(size[0])), x0 + 1), max(min(y1, float(size[1])), y0 + 1)


def _anywhere(size: tuple[int, int], rng: Random) -> FloatBox:
    """A box that looks at nothing in particular."""
    w, h = size[0] * rng.uniform(0.06, 0.7), size[1] * rng.uniform(0.06, 0.7)
    x, y = rng.uniform(0, size[0] - w), rng.uniform(0, size[1] - h)
    return x, y, x + w, y + h
