"""CoNLL text with boxes: what a tagger and a grounder put behind it write together.

A tweet is a line ``IMGID:<id>``, one line a word and a blank line, as in Twitter-GMNER. A word has
``word<TAB>tag`` and on the first word of an entity a third column may hold its box,
``x1,y1,x2,y2`` in pixels of the original image.

*None* is a third column that is absent or empty, ``-`` or ``none``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from gmbench.core.entities import Box, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.core.files import read_lines
from gmbench.core.records import Fields
from gmbench.scoring.files import check_complete, example_of
from gmbench.scoring.importers.common import Imported, box_or_none

Row = tuple[int, list[str]]
HEAD = "IMGID:"


def read_conll(path: Path, gold: Sequence[Example]) -> Imported:
    """Tagged words with boxes. An I- that continues nothing opens an entity.

    Raises:
        InputError: a malformed line, words that are not the gold data's, a tweet that is missing,
            unknown or there twice.
        OSError: the file cannot be read.
    """
    known = {example.id: example for example in gold}
    found: dict[str, tuple[Prediction, ...]] = {}
    for number, id_, rows in _tweets(path):
        fields = Fields({}, f"{path}:{number}: id {id_!r}")
        example = example_of(id_, known, fields)
        if id_ in found:
            raise fields.error("this id stands twice")
        found[id_] = tuple(_entities(path, id_, rows, example.words))
    check_complete(path, found, known)
    return Imported({id_: found[id_] for id_ in known})


def _tweets(path: Path) -> Iterator[tuple[int, str, list[Row]]]:
    """Line, id and word rows of each tweet."""
    head: tuple[int, str] | None = None
    rows: list[Row] = []
    for number, text in [*read_lines(path), (0, "")]:
        if text.startswith(HEAD) and "\t" not in text:
            if head is not None:
                raise InputError(
                    f"{path}:{number}: {text!r} inside a tweet; put a blank line before"
                )
            head = number, text.removeprefix(HEAD).strip()
        elif not text.strip():
            if head is not None:
                yield *head, rows
            head, rows = None, []
        elif head is None:
            raise InputError(f"{path}:{number}: a tweet begins without a line {HEAD}<id>")
        else:
            rows.append((number, text.split("\t")))


def _entities(
    path: Path, id_: str, rows: Sequence[Row], words: Sequence[str]
) -> Iterator[Prediction]:
    if len(rows) != len(words):
        place = f"{path}:{rows[0][0]}: " if rows else f"{path}: "
        raise InputError(
            f"{place}id {id_!r}: {len(rows)} words, but the gold data have {len(words)}"
        )
    start, kind, box = 0, "", None
    for at, (number, columns) in enumerate(rows):
        fields = Fields({}, f"{path}:{number}: id {id_!r}")
        word, tag, here = _columns(fields, columns)
        if word != words[at]:
            raise fields.error(f"word {word!r}, but the gold data have {words[at]!r}")
        part, _, name = tag.partition("-")
        if part == "I" and name == kind:
            if here is not None:
                raise fields.error("a box stands on the first word of its entity")
            continue
        if kind:
            yield Prediction(start, at - 1, kind, box)
        start, kind, box = at, name, here
        if not kind and here is not None:
            raise fields.error("a box on a word that is no entity")
    if kind:
        yield Prediction(start, len(rows) - 1, kind, box)


def _columns(fields: Fields, columns: Sequence[str]) -> tuple[str, str, Box | None]:
    """Word, tag and box of a line."""
    if not 2 <= len(columns) <= 3:
        raise fields.error(f"{len(columns)} columns; a line is word<TAB>tag[<TAB>x1,y1,x2,y2]")
    tag = columns[1].strip()
    part, _, name = tag.partition("-")
    if tag != "O" and (part not in ("B", "I") or not name):
        raise fields.error(f"tag {tag!r} is neither O nor B- or I- with a type")
    text = columns[2].strip() if len(columns) == 3 else ""
    numbers: list[float | str] | None = None
    if text.lower() not in ("", "-", "none"):
        numbers = [_number(piece) for piece in text.strip("[]").split(",")]
    return columns[0], tag, box_or_none(fields, "box", numbers)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
