"""Plain records that travel between modules: no torch, no configuration, no behaviour.

Spans are word indices, both ends **inclusive**, as in the papers. Boxes are ``x1, y1, x2, y2`` in
pixels of the original image, neither rounded nor clipped.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Entity:
    """A gold entity: words ``start..end`` (inclusive), its type and every box that shows it.

    Attributes:
        boxes: xyxy pixels; empty means *not groundable* (the entity is not in the image).

    Raises:
        ValueError: an index is negative, or the span ends before it starts.
    """

    start: int
    end: int
    type: str
    boxes: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        _check_span(self.start, self.end)

    @property
    def groundable(self) -> bool:
        """Whether the image shows the entity."""
        return bool(self.boxes)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One predicted quadruple.

    Attributes:
        box: xyxy pixels, or None for *not in the image*.
        score: confidence in 0..1; orders duplicates, never used by the strict scorer.
        region: index of the chosen candidate (0 = ungroundable) of a proposal-based model.
        no_target: probability that the entity is not in the image, where the model gives one.

    Raises:
        ValueError: an index is negative, or the span ends before it starts.
    """

    start: int
    end: int
    type: str
    box: Box | None = None
    score: float = 1.0
    region: int | None = None
    no_target: float | None = None

    def __post_init__(self) -> None:
        _check_span(self.start, self.end)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Candidate regions of one image, best first.

    Attributes:
        boxes: ``[K, 4]`` xyxy pixels, float64.
        scores: ``[K]`` detector confidences, or None.
        features: ``[K, D]`` detector features, or None.
        classes: K class names of the detector, or None.

    Raises:
        ValueError: the arrays disagree about K.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64] | None = None
    features: NDArray[np.float32] | None = None
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ValueError(f"candidate boxes must be [K, 4], not {list(self.boxes.shape)}")
        for name, array in (
            ("scores", self.scores),
            ("features", self.features),
            ("classes", self.classes),
        ):
            if array is not None and len(array) != len(self.boxes):
                raise ValueError(f"{len(self.boxes)} candidate boxes but {len(array)} {name}")

    def __len__(self) -> int:
        return len(self.boxes)

    def top(self, k: int) -> "Candidates":
        """The first ``k`` candidates."""
        return Candidates(
            boxes=self.boxes[:k],
            scores=None if self.scores is None else self.scores[:k],
            features=None if self.features is None else self.features[:k],
            classes=None if self.classes is None else self.classes[:k],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One example: its words, gold entities and image.

    Attributes:
        image: its file; None if it is missing and the settings accept that.
        size: ``(width, height)`` in pixels of the original image; None if unknown.
        candidates: candidate regions; None without a source of them.

    Raises:
        ValueError: an entity lies outside the sentence.
    """

    id: str
    words: tuple[str, ...]
    entities: tuple[Entity, ...] = ()
    image: Path | None = None
    size: tuple[int, int] | None = None
    candidates: Candidates | None = None

    def __post_init__(self) -> None:
        for entity in self.entities:
            if entity.end >= len(self.words):
                raise ValueError(
                    f"{self.id}: entity {entity.start}..{entity.end} lies outside the sentence of "
                    f"{len(self.words)} words"
                )


def _check_span(start: int, end: int) -> None:
    if start < 0 or end < start:
        raise ValueError(f"a span needs 0 <= start <= end (both inclusive), not {start}..{end}")
