"""What an importer gives, and the parts that several of them need."""

from dataclasses import dataclass
from typing import Any

from gmbench.scoring.fields import Fields
from gmbench.structures import Box, Prediction

NO_BOX = ("none", "null", "n/a", "-", "")
ZERO: Box = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Imported:
    """Predictions of another system.

    Attributes:
        predictions: by example id, in the order of the gold data.
        notes: one line for everything that was read by a rule rather than found written.
    """

    predictions: dict[str, tuple[Prediction, ...]]
    notes: tuple[str, ...] = ()


def box_or_none(fields: Fields, name: str, value: Any) -> Box | None:
    """A box as other systems write it.

    None is null, an absent value, an empty list, ``[0, 0, 0, 0]`` and the words ``none``, ``null``,
    ``n/a`` and ``-``. A list that holds one box is that box.

    Raises:
        FileError: neither a box nor none, or several boxes: a prediction has one.
    """
    if value is None or value == [] or (isinstance(value, str) and value.strip().lower() in NO_BOX):
        return None
    if isinstance(value, list) and all(isinstance(part, list) for part in value):
        if len(value) > 1:
            raise fields.error(f"{name} holds {len(value)} boxes; a prediction has one or none")
        value = value[0]
    box = fields.box(name, value)
    return None if box == ZERO else box
