"""Images with pieces of other images pasted in, to test robustness.

The counterpart of injected candidates (regions/noisy.py) for models that read none (QGN.md, N2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from random import Random

import numpy as np
from PIL import Image

from gmbench.core.entities import Example
from gmbench.core.limits import Share
from gmbench.data.images import Pictures, open_image, picture_of

CELLS = 8
"""Cells per side of the grid of pieces."""


@dataclass(frozen=True, kw_only=True)
class ForeignPatches:
    """A share of what lies outside all gold boxes shows another example's image.

    The image is cut into 8 x 8 cells. Of those that touch no gold box, the share, rounded, is
    covered by the same cells of one other image of the split, stretched to this one's size. The
    choice depends on the seed and the example only, and a greater share keeps the cells of a
    smaller one. Gold stays true: nothing that it names is covered.

    Attributes:
        share: of the free cells, 0 to 1.
        splits: whose images are changed.
        seed: of the cells, not of the run.
    """

    share: Share
    splits: Sequence[str] = ("train", "dev", "test")
    seed: int = 1

    def __post_init__(self) -> None:
        # Configuration files give their own kind of list.
        object.__setattr__(self, "splits", tuple(self.splits))

    def pictures(self, split: str, examples: Sequence[Example]) -> Pictures:
        """Where the images of these examples of a split come from."""
        donors = [example for example in examples if example.image is not None]
        if split not in self.splits or len({donor.id for donor in donors}) < 2:
            return picture_of
        return partial(self._pasted, donors=donors)

    def _pasted(self, example: Example, donors: Sequence[Example]) -> Image.Image:
        picture = picture_of(example)
        name = f"{self.seed}/{example.id}"
        donor = Random(f"{name}/donor").choice([d for d in donors if d.id != example.id])
        cells = free_cells(example, picture.size)
        Random(f"{name}/cells").shuffle(cells)
        assert donor.image is not None
        other = open_image(donor.image).resize(picture.size, Image.Resampling.BILINEAR)
        for cell in cells[: round(self.share * len(cells))]:
            picture.paste(other.crop(cell), cell[:2])
        return picture


def free_cells(example: Example, size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Cells of the grid that touch no gold box, row by row: xyxy in whole pixels.

    Args:
        example: with gold boxes in pixels.
        size: width and height of its image.
    """
    across, down = (np.linspace(0, side, CELLS + 1).round().astype(int).tolist() for side in size)
    gold = [box for entity in example.entities for box in entity.boxes]
    grid = [
        (left, top, right, bottom)
        for top, bottom in pairwise(down)
        for left, right in pairwise(across)
        if left < right and top < bottom
    ]
    return [cell for cell in grid if not any(touches(cell, box) for box in gold)]


def touches(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes (xyxy) have area in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
