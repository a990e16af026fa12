"""The annotated boxes themselves as candidates: what a model chooses when nothing is missed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gmbench.core.entities import Candidates
from gmbench.data.regions import Size, clipped
from gmbench.data.voc import read_voc


@dataclass(frozen=True, kw_only=True)
class GoldBoxes:
    """Every annotated box of an image, the largest first; for diagnosis, never for a leaderboard.

    Attributes:
        folder: of the annotations, ``<id>.xml``; an image without one has no candidates.
    """

    folder: Path

    def __post_init__(self) -> None:
        # Configuration files give strings.
        object.__setattr__(self, "folder", Path(self.folder))

    def files(self, id: str) -> tuple[Path, ...]:
        """The image's annotations."""
        return (self.folder / f"{id}.xml",)

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """The boxes, each once."""
        (path,) = self.files(id)
        found = read_voc(path).objects if path.is_file() else ()
        boxes = np.array(sorted({one.box for one in found}), dtype=np.float64).reshape(-1, 4)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        return clipped(Candidates(boxes=boxes[np.argsort(-area, kind="stable")]), size)
