"""Candidate regions without a detector: windows of several sizes over the whole image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Gt, Le, MinLen

from gmbench.core.entities import Candidates
from gmbench.core.limits import Count
from gmbench.data.regions import Size

LEVELS = ((1.0, 1), (2 / 3, 2), (1 / 2, 3))
"""14 windows: the whole image, four of two thirds of its sides, nine of half."""


@dataclass(frozen=True, kw_only=True)
class Pyramid:
    """Windows of fixed shares of the image, coarsest level first, row by row.

    Attributes:
        levels: per level, the share of a window's sides in the image's (0..1) and the number of
            windows in each direction, evenly spaced from edge to edge.
    """

    levels: Annotated[Sequence[tuple[Annotated[float, Gt(0), Le(1)], Count]], MinLen(1)] = LEVELS

    def files(self, id: str) -> tuple[Path, ...]:
        """None."""
        return ()

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """The windows on an image of ``size``; None if the size is unknown."""
        if size is None:
            return None
        windows = [
            (left, top, left + share, top + share)
            for share, count in self.levels
            for top in _starts(share, count)
            for left in _starts(share, count)
        ]
        return Candidates(boxes=np.asarray(windows, dtype=np.float64) * [*size, *size])


def _starts(share: float, count: int) -> list[float]:
    """Where windows start: the first and the last touch the edges, a single one is centred."""
    if count == 1:
        return [(1 - share) / 2]
    return [(1 - share) * step / (count - 1) for step in range(count)]
