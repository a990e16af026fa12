"""Candidate regions with irrelevant ones behind them: how much noise does a model stand?"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from gmbench.core.entities import Candidates
from gmbench.core.iou import pairwise_iou
from gmbench.data.regions.vinvl import Missing, Size, VinVL

TRIES = 50
APART = 0.3
"""Greatest IoU of an injected box with a candidate of the detector."""


@dataclass(frozen=True, kw_only=True)
class NoisyRegions:
    """The first ``k`` detections, then random boxes that show none of what they show.

    The injected boxes come last, so ``regions.num`` up to ``k`` in training with a greater
    ``regions.eval_num`` brings noise to the test alone. They depend on the seed, the picture's id
    and their number only: more noise keeps the boxes of less.

    Attributes:
        folder: of the detections, as VinVL's.
        k: detections kept.
        share: injected boxes for each kept one, rounded; 0 = none.
        seed: of the boxes, not of the run.
        missing: what to do where there is no file.

    Raises:
        ValueError: a negative share.
    """

    folder: Path
    k: int = 10
    share: float = 1.0
    seed: int = 1
    missing: Missing = "error"

    def __post_init__(self) -> None:
        if self.share < 0:
            raise ValueError(f"regions.source.share must not be negative, not {self.share}")

    @cached_property
    def _detections(self) -> VinVL:
        return VinVL(folder=self.folder, k=self.k, missing=self.missing)

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """Detections and noise of one picture; None where there are no detections."""
        found = self._detections(id=id, image=image, size=size)
        if found is None or size is None:
            return found
        rng = Random(f"{self.seed}/{id}/noise")
        wanted = round(self.share * len(found.boxes))
        injected = [self._draw(size, found.boxes, rng) for _ in range(wanted)]
        if not injected:
            return Candidates(boxes=found.boxes)
        return Candidates(boxes=np.concatenate([found.boxes, np.stack(injected)]))

    def _draw(self, size: Size, known: NDArray[np.float64], rng: Random) -> NDArray[np.float64]:
        """A box of 5 to 50 % of each side; the least like the known ones of some tries."""
        best, least = np.array([0.0, 0.0, *size]), 2.0
        for _ in range(TRIES):
            width, height = (side * rng.uniform(0.05, 0.5) for side in size)
            left = rng.uniform(0, size[0] - width)
            top = rng.uniform(0, size[1] - height)
            box = np.array([left, top, left + width, top + height])
            alike = float(pairwise_iou(box, known).max()) if len(known) else 0.0
            if alike < least:
                best, least = box, alike
            if least <= APART:
                break
        return best
