"""Sources of candidate regions for proposal-based models: one module per conf/regions file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from gmbench.core.entities import Candidates

Size = tuple[int, int]
Missing = Literal["error", "none"]


class RegionSource(Protocol):
    """Anything that knows the candidate regions of an image.

    A source is called once per image, never for an image that a lenient policy goes without.

    The boxes are part of what makes two runs the same run. To notice quickly that they cannot have
    changed, a source declares what they depend on: its settings by its ``repr`` (as any dataclass
    does) and the files it reads besides the image by a method ``files(id) -> Iterable[Path]``
    (boxes, weights). Without that method all images are asked for their candidates again.
    """

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """Candidates of one image in its pixels, best first; None if there are none by policy.

        Raises:
            InputError: what the source has on the image is missing or damaged.
        """
        ...


@runtime_checkable
class Batched(Protocol):
    """A source that finds candidates faster, or with progress, for many images at once."""

    def fill(self, images: Sequence[Path]) -> None:
        """Find and keep the candidates of images, before each is asked for."""
        ...


def clipped(found: Candidates, size: Size | None) -> Candidates:
    """Clip boxes to an image of ``size`` (None: unknown) and drop those without area.

    The order stays; scores, features and classes go with their boxes.
    """
    boxes = found.boxes.astype(np.float64)
    if size is not None:
        boxes = boxes.clip(0, [*size, *size])
    keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Candidates(
        boxes=boxes[keep],
        scores=None if found.scores is None else found.scores[keep].astype(np.float64),
        features=None if found.features is None else found.features[keep].astype(np.float32),
        classes=None
        if found.classes is None
        else tuple(
            name
            for name, stays in zip(found.classes, np.asarray(keep).tolist(), strict=True)
            if stays
        ),
    )
