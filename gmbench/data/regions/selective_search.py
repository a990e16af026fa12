"""Candidate regions by OpenCV's selective search (fast mode), for images without a detector.

Uijlings et al., "Selective Search for Object Recognition", IJCV 2013. The set of boxes that OpenCV
returns is reproducible, its order is not: they are sorted here.
"""

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from gmbench.core.entities import Candidates
from gmbench.core.errors import InputError
from gmbench.core.iou import pairwise_iou
from gmbench.core.limits import Count
from gmbench.data.cache import kept
from gmbench.data.images import open_image
from gmbench.data.regions import Size

VERSION = 2
LEAST_SIDE, MOST_AREA, APART = 16, 0.95, 0.6


@dataclass(frozen=True, kw_only=True)
class SelectiveSearch:
    """The largest boxes that differ: about a second of CPU per image of 600 x 400.

    Dropped are boxes with a side below 16 pixels or more than 95 % of the image; the others,
    largest first, are kept unless one kept before overlaps them at IoU 0.6 or more.

    Attributes:
        k: number of boxes to keep.
        max_side: images are scaled down to it before the search, and the boxes scaled back.
        cache: folder that keeps the boxes by the image's content; None keeps nothing.

    Raises:
        InputError: OpenCV with its contributed modules is not installed.
    """

    k: Count = 50
    max_side: Annotated[int, Ge(2 * LEAST_SIDE)] = 512
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.cache is not None:
            object.__setattr__(self, "cache", Path(self.cache))
        _opencv()

    def files(self, id: str) -> tuple[Path, ...]:
        """None besides the image."""
        return ()

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """Boxes of an image in its pixels, largest first; None without an image."""
        if image is None:
            return None
        if self.cache is None:
            return Candidates(boxes=self._search(image, size)[: self.k])
        with image.open("rb") as stream:
            content = file_digest(stream, "sha256").hexdigest()
        file = self.cache / f"{VERSION}-{self.max_side}-{size}-{content[:32]}.npy"
        boxes = kept(file, lambda: self._search(image, size))
        return Candidates(boxes=boxes[: self.k])

    def _search(self, image: Path, size: Size | None) -> NDArray[np.float64]:
        """Every box ``[N, 4]`` that is kept, xyxy in pixels of the image, largest first."""
        picture = open_image(image, size)
        scale = min(1.0, self.max_side / max(picture.size))
        small = picture.resize([max(1, round(side * scale)) for side in picture.size])
        kept = _apart(_proposals(np.asarray(small)[..., ::-1]), small.size)
        back = np.asarray([picture.width / small.width, picture.height / small.height] * 2)
        return np.asarray(kept * back)


def _proposals(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """OpenCV's boxes ``[N, 4]`` xyxy of a BGR image ``[H, W, 3]``."""
    search = _opencv().createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(pixels))
    search.switchToSelectiveSearchFast()
    boxes = np.asarray(search.process(), dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _apart(boxes: NDArray[np.float64], size: Size) -> NDArray[np.float64]:
    """Drop boxes that are tiny, nearly the whole image, or like a larger one; largest first."""
    sides = boxes[:, 2:] - boxes[:, :2]
    area = sides.prod(axis=1)
    fits = (sides.min(axis=1) >= LEAST_SIDE) & (area <= MOST_AREA * size[0] * size[1])
    boxes = np.unique(boxes[fits], axis=0)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    order = np.lexsort((*boxes.T[::-1], -area))
    chosen: list[NDArray[np.float64]] = []
    for box in boxes[order]:
        if not chosen or np.max(pairwise_iou(box, np.stack(chosen))) < APART:
            chosen.append(box)
    return np.stack(chosen) if chosen else np.zeros((0, 4))


def _opencv() -> Any:
    """OpenCV's segmentation module."""
    try:
        import cv2

        return cv2.ximgproc.segmentation
    except (ImportError, AttributeError):
        raise InputError(
            "regions selective_search: OpenCV with its contributed modules is not installed; "
            "pip install 'gmbench[regions]' (opencv-contrib-python-headless, in place of any other "
            "opencv package)"
        ) from None
