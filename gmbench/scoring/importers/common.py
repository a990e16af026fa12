"""What an importer returns, and what several of them need: boxes, and names in sentences."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmbench.core.entities import Box, Example, Prediction
from gmbench.core.records import Fields
from gmbench.scoring.files import lines_for

Span = tuple[int, int]

NO_BOX = ("none", "null", "n/a", "-", "")
ZERO: Box = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Imported:
    """Predictions of another system.

    Attributes:
        predictions: by example id, in the order of the gold data.
        notes: one line for everything that was read by a rule rather than as written.
    """

    predictions: dict[str, tuple[Prediction, ...]]
    notes: tuple[str, ...] = ()


def import_lines(
    path: Path,
    gold: Sequence[Example],
    key: str,
    read: Callable[[Fields, "Places"], Iterable[Prediction]],
) -> Imported:
    """Read a file of JSON lines ``{"id", key}``, one for each example.

    ``read`` gives the predictions of one line; names become positions in its sentence.

    Raises:
        InputError: a malformed line, or an id that is missing, unknown or there twice.
        OSError: the file cannot be read.
    """
    predictions, notes = {}, []
    for fields, example in lines_for(path, gold):
        fields.check_keys(("id", key))
        places = Places(example.words, fields.where)
        predictions[example.id] = tuple(read(fields, places))
        notes += places.notes
    return Imported(predictions, tuple(notes))


def box_or_none(fields: Fields, name: str, value: Any) -> Box | None:
    """A box as other systems write it.

    None is null, an absent value, an empty list, ``[0, 0, 0, 0]`` and the words ``none``, ``null``,
    ``n/a`` and ``-``. A list that holds one box is that box.

    Raises:
        InputError: neither a box nor none, or several boxes: a prediction has one.
    """
    if value is None or value == [] or (isinstance(value, str) and value.strip().lower() in NO_BOX):
        return None
    if isinstance(value, list) and all(isinstance(part, list) for part in value):
        if len(value) > 1:
            raise fields.error(f"{name} holds {len(value)} boxes; a prediction has one or none")
        value = value[0]
    box = fields.box(name, value)
    return None if box == ZERO else box


class Places:
    """The positions of names in one sentence, assigned from left to right.

    Args:
        words: the sentence.
        where: the place named in notes: file, line and id.

    A name that occurs several times is ambiguous: it gets the first occurrence that no earlier
    prediction took, and a note. A name that does not occur cannot be right: it is put behind the
    last word, where it counts as a prediction and matches nothing, with a note.
    """

    def __init__(self, words: Sequence[str], where: str) -> None:
        self.words = words
        self._where = where
        self._taken: set[Span] = set()
        self.notes: list[str] = []

    def place(self, surface: str) -> Span:
        """Start and end (inclusive) of a name."""
        found = occurrences(surface, self.words)
        if not found:
            self.notes.append(
                f"{self._where}: {surface!r} is not in the sentence; it counts as a wrong answer"
            )
            return len(self.words), len(self.words)
        span = next((span for span in found if span not in self._taken), found[0])
        if len(found) > 1:
            self.notes.append(
                f"{self._where}: {surface!r} is ambiguous, it occurs {len(found)} times; read as "
                f"words {span[0]}..{span[1]}"
            )
        self._taken.add(span)
        return span


def occurrences(surface: str, words: Sequence[str]) -> list[Span]:
    """Every span whose words, joined by one space, are ``surface``; case matters.

    If there is none: every span whose letters are those of ``surface`` with all spaces left out.
    """
    wanted = " ".join(surface.split())
    return _spans(wanted, words, " ") or _spans(wanted.replace(" ", ""), words, "")


def _spans(wanted: str, words: Sequence[str], joint: str) -> list[Span]:
    found = []
    for start in range(len(words)):
        text = ""
        for end in range(start, len(words)):
            text = words[end] if end == start else text + joint + words[end]
            if text == wanted:
                found.append((start, end))
            if len(text) >= len(wanted):
                break
    return found if wanted else []
