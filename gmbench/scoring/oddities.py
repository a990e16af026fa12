"""What looks wrong in predictions though every line can be read: told once each, with counts."""

from collections.abc import Iterable, Mapping, Sequence

from gmbench.core.entities import Box, Example, Prediction
from gmbench.core.errors import did_you_mean


def without_area(box: Box) -> bool:
    """Whether a box is empty or has its corners swapped."""
    x1, y1, x2, y2 = box
    return x2 <= x1 or y2 <= y1


def oddities(
    examples: Iterable[Example], predictions: Mapping[str, Sequence[Prediction]]
) -> list[str]:
    """One line for each kind of mistake that lets every prediction of its kind count as wrong.

    Args:
        examples: the gold data.
        predictions: by example id.
    """
    known: set[str] = set()
    found: list[Prediction] = []
    right = shifted = 0
    for example in examples:
        spans = {(entity.start, entity.end) for entity in example.entities}
        known |= {entity.type for entity in example.entities}
        for guess in predictions[example.id]:
            found.append(guess)
            right += (guess.start, guess.end) in spans
            shifted += (guess.start, guess.end - 1) in spans
    boxes = [guess.box for guess in found if guess.box is not None]
    notes = []
    if flat := sum(map(without_area, boxes)):
        notes.append(f"{flat} of {len(boxes)} predicted boxes are empty or turned: always wrong")
    if boxes and all(max(map(abs, box)) <= 1 for box in boxes):
        notes.append(f"all {len(boxes)} predicted boxes lie in 0..1: boxes are xyxy in pixels")
    if shifted > right:
        notes.append(
            f"{shifted} of {len(found)} predicted spans end one word behind a gold span, {right} "
            "with one: end is inclusive"
        )
    for name in sorted({guess.type for guess in found} - known) if known else ():
        count = sum(guess.type == name for guess in found)
        notes.append(
            f"{count} of {len(found)} predictions have type {name!r}, which the gold data has not"
            f"{did_you_mean(name, known)}"
        )
    return notes
