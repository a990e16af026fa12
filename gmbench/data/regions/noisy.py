"""Candidate regions followed by irrelevant ones, to test robustness."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from gmbench.core.entities import Candidates
from gmbench.core.iou import pairwise_iou
from gmbench.core.limits import Count, NotNegative
from gmbench.data.regions import Size
from gmbench.data.regions.vinvl import VinVL

TRIES = 50
APART = 0.3
"""Greatest IoU of an injected box with a candidate of the detector."""


@dataclass(frozen=True, kw_only=True)
class NoisyRegions(VinVL):
    """The first ``k`` detections, then random distractor boxes that avoid them.

    The injected boxes come last, so ``regions.num`` up to ``k`` with a greater
    ``regions.eval_num`` adds noise to evaluation only. They depend on the seed, the image's id and
    their number only: more noise keeps the boxes of less.

    Attributes:
        share: injected boxes per kept detection, rounded; 0 = none.
        seed: of the boxes, not of the run.
    """

    k: Count = 10
    share: NotNegative = 1.0
    seed: int = 1

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """Detections and noise of one image; None if there are no detections."""
        detections = super().__call__(id=id, image=image, size=size)
        if detections is None or size is None:
            return detections
        rng = Random(f"{self.seed}/{id}/noise")
        boxes = detections.boxes
        injected = [_draw(size, boxes, rng) for _ in range(round(self.share * len(boxes)))]
        return Candidates(boxes=np.stack([*boxes, *injected]) if injected else boxes)


def _draw(size: Size, known: NDArray[np.float64], rng: Random) -> NDArray[np.float64]:
    """A box of 5 to 50 % of each side: of some tries, the one least like the known boxes."""
    best, least = np.array([0.0, 0.0, *size]), 2.0
    for _ in range(TRIES):
        width, height = (side * rng.uniform(0.05, 0.5) for side in size)
        left = rng.uniform(0, size[0] - width)
        top = rng.uniform(0, size[1] - height)
        box = np.array([left, top, left + width, top + height])
        alike = float(np.max(pairwise_iou(box, known))) if len(known) else 0.0
        if alike < least:
            best, least = box, alike
        if least <= APART:
            break
    return best
