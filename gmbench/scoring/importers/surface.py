"""Generated names with boxes, in the three ways in which systems write them.

``surface``: ``{"id", "entities": [{"text", "type", "box"}]}``, one tweet a line.

``e2e`` (E2E-GMNER): ``{"id", "answer": "Kevin Durant|PER|[x1,y1,x2,y2]; NBA|ORG|None"}``; what
stands in ``<answer>`` counts where the tag is there, and full-width separators are read too. Its
boxes are in the resized image: they must have been scaled back.

``riveg`` (RiVEG): a text line for each entity,
``ID.jpg###Kevin Durant(PER)###description###flag###&[x1, y1, x2, y2]``. A tweet without a line has
no prediction, since the format has no other way to say so; how many is noted.

*None* is ``null``, ``None``, ``[]`` or ``[0, 0, 0, 0]``, and for RiVEG a flag of 0. Boxes are xyxy
pixels of the original image. ``Places`` turns names into positions.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from gmbench.core.entities import Example, Prediction
from gmbench.core.errors import InputError
from gmbench.core.files import read_lines
from gmbench.core.records import Fields
from gmbench.scoring.files import example_of
from gmbench.scoring.importers.common import Imported, Places, box_or_none, import_lines

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
FULL_WIDTH = str.maketrans("\uff1b\uff5c", ";|")
"""Separators as models write them that were trained on Chinese."""
RIVEG = re.compile(
    # The number behind the image's name counts its entities, in hexadecimal in the released files.
    r"(?:Imageid:)?(?P<id>.+?)\.jpg(?:#[0-9A-Fa-f]+)?###(?P<text>.+)\((?P<type>[^()]+)\)###.*"
    r"###(?P<flag>\d+)###&(?P<box>\[[^]]*\])"
)


def read_surface(path: Path, gold: Sequence[Example]) -> Imported:
    """Names, types and boxes as JSON; errors as of ``import_lines``."""

    def entities(fields: Fields, places: Places) -> Iterator[Prediction]:
        for row in fields.rows("entities", ("text", "type", "box"), ("score",)):
            yield Prediction(
                *places.place(row.text("text")),
                row.text("type"),
                box_or_none(row, "box", row.value("box")),
                row.number("score") if row.has("score") else 1.0,
            )

    return import_lines(path, gold, "entities", entities)


def read_e2e(path: Path, gold: Sequence[Example]) -> Imported:
    """Answers of ``name|type|box`` separated by semicolons or line ends.

    Raises:
        InputError: as of ``import_lines``; a part is not ``name|type|box``.
    """
    return import_lines(path, gold, "answer", _triples)


def _triples(fields: Fields, places: Places) -> Iterator[Prediction]:
    answer = fields.value("answer")
    if not isinstance(answer, str):
        raise fields.error("answer must be a string")
    inside = ANSWER.search(answer)
    text = (inside[1] if inside else answer).translate(FULL_WIDTH)
    for part in re.split(r"[;\n]+", text):
        if part.strip().lower() in ("", "none"):
            continue
        pieces = [piece.strip() for piece in part.rsplit("|", 2)]
        if len(pieces) != 3 or not all(pieces[:2]):
            raise fields.error(f"{part.strip()!r} is not name|type|box")
        box = box_or_none(fields, f"the box of {pieces[0]!r}", _json(pieces[2]))
        yield Prediction(*places.place(pieces[0]), pieces[1], box)


def read_riveg(path: Path, gold: Sequence[Example]) -> Imported:
    """Text lines, one for each entity.

    Raises:
        InputError: a malformed line, or an image that no example has.
        OSError: the file cannot be read.
    """
    known = {example.id: example for example in gold}
    places: dict[str, Places] = {}
    found: dict[str, list[Prediction]] = {id_: [] for id_ in known}
    for number, text in read_lines(path):
        where = f"{path}:{number}"
        if not text.strip():
            continue
        match = RIVEG.fullmatch(text.strip())
        if match is None:
            raise InputError(f"{where}: not ID.jpg###name(TYPE)###description###flag###&[box]")
        id_ = match["id"]
        fields = Fields({}, f"{where}: id {id_!r}")
        words = example_of(id_, known, fields).words
        sentence = places.setdefault(id_, Places(words, fields.where))
        box = None if match["flag"] == "0" else box_or_none(fields, "box", _json(match["box"]))
        found[id_].append(Prediction(*sentence.place(match["text"].strip()), match["type"], box))
    notes = [note for sentence in places.values() for note in sentence.notes]
    silent = len(known) - len(places)
    if silent:
        notes.append(f"{path}: {silent} of {len(known)} tweets have no line: read as no prediction")
    return Imported({id_: tuple(guesses) for id_, guesses in found.items()}, tuple(notes))


def _json(text: str) -> object:
    """The value if the text is JSON, otherwise the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
