"""BIO text -> blocks: the one reader of words, tags and spans.

A block is one example: a line ``IMGID:<id>``, one line per word (``word<TAB>tag[<TAB>tag ...]``),
then a blank line. The tag column is chosen by its number: 1 is the first after the word.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gmbench.core.entities import Entity
from gmbench.core.errors import did_you_mean, fault
from gmbench.core.files import read_lines

READER_VERSION = 1
HEAD = "IMGID:"
MAX_ID = 240
"""Bytes: file systems allow 255, of which ``.jpg.npz`` takes 8."""

Line = tuple[int, str]
"""Number, from 1, and text of a line."""


@dataclass(frozen=True, slots=True)
class Block:
    """An example as the text file gives it; its entities have no boxes yet.

    Attributes:
        line: number of its ``IMGID`` line, from 1.
        stray: number of spans that an I- without a fitting B- opened.
    """

    id: str
    words: tuple[str, ...]
    entities: tuple[Entity, ...]
    line: int
    stray: int = 0

    def surface(self, entity: Entity) -> str:
        """The entity's words joined by one space: the name that its boxes carry."""
        return " ".join(self.words[entity.start : entity.end + 1])


def read_blocks(
    path: Path,
    *,
    tag_column: int,
    types: Collection[str],
    renamed: Mapping[str, str] | None = None,
) -> tuple[Block, ...]:
    """Read every block of a BIO file, in the file's order.

    Byte order mark, CR LF, repeated blank lines and a missing last blank line are accepted. An I-
    that continues nothing (or another type) opens an entity; a B- right after an I- does too.

    Args:
        path: UTF-8 text.
        tag_column: column that holds the tags; 1 is the first one after the word.
        types: the types that may follow ``B-`` and ``I-``.
        renamed: further ones, and the type that each is read as.

    Raises:
        InputError: with file and line; an unknown tag names its nearest match.
    """
    read_as = {name: name for name in types} | dict(renamed or {})
    known = {f"{part}-{name}": f"{part}-{to}" for name, to in read_as.items() for part in "BI"}
    known["O"] = "O"
    blocks: dict[str, Block] = {}
    for (line, text), rows in _paragraphs(path):
        id_ = text.removeprefix(HEAD).strip()
        wrong = partial(fault, path, line=line)
        if not id_ or id_ in {".", ".."} or any(c in id_ for c in "/\\:\0"):
            todo = "the id is the stem of the image's file: no empty id, no slash, no colon"
            raise wrong(f"{id_!r} cannot be an id", todo)
        if len(id_.encode()) > MAX_ID:
            todo = "the id is the stem of file names, which end there"
            raise wrong(f"an id of more than {MAX_ID} bytes, {id_[:40]!r} ...", todo)
        if id_ in blocks:
            todo = "ids name images and must be unique: remove or rename one of the two tweets"
            raise wrong(f"id {id_!r} was used before, in line {blocks[id_].line}", todo)
        if not rows:
            raise wrong(f"tweet {id_!r} has no word", "remove its IMGID line")
        words, tags = _columns(path, rows, tag_column, known)
        entities, stray = spans(tags)
        blocks[id_] = Block(id=id_, words=words, entities=entities, line=line, stray=stray)
    if not blocks:
        raise fault(path, "no tweet in it", f"expected blocks that open with {HEAD}<id>")
    return tuple(blocks.values())


def spans(tags: Iterable[str]) -> tuple[tuple[Entity, ...], int]:
    """BIO tags -> entities without boxes, and the number of them that a stray I- opened."""
    entities: list[Entity] = []
    stray = start = 0
    kind: str | None = None  # type of the open span
    end = -1
    for end, tag in enumerate(tags):
        part, _, name = tag.partition("-")
        if kind is not None and (part != "I" or name != kind):
            entities.append(Entity(start, end - 1, kind))
            kind = None
        if part != "O" and kind is None:
            stray += part == "I"
            start, kind = end, name
    if kind is not None:
        entities.append(Entity(start, end, kind))
    return tuple(entities), stray


def _paragraphs(path: Path) -> Iterator[tuple[Line, list[Line]]]:
    """Head line and word lines of every block."""
    head: Line | None = None
    rows: list[Line] = []
    for number, text in _lines(path):
        wrong = partial(fault, path, line=number)
        if text.startswith(HEAD) and "\t" not in text:
            if head is not None:
                what = f"{text!r} inside the tweet that began in line {head[0]}"
                raise wrong(what, "put a blank line before it")
            head = (number, text)
        elif not text.strip():
            if head is not None:
                yield head, rows
            head, rows = None, []
        elif head is None:
            what = f"a tweet begins with {text[:40]!r} and has no id"
            raise wrong(what, f"put a line {HEAD}<id> before it")
        else:
            rows.append((number, text))
    if head is not None:
        yield head, rows


def _lines(path: Path) -> list[Line]:
    try:
        return list(read_lines(path))
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})", "check the path") from None


def _columns(
    path: Path, rows: list[Line], tag_column: int, known: Mapping[str, str]
) -> tuple[tuple[str, ...], list[str]]:
    """Words and tags of a block."""
    words: list[str] = []
    tags: list[str] = []
    for number, text in rows:
        wrong = partial(fault, path, line=number)
        word, *columns = text.split("\t")
        if not columns:
            todo = "a line is word<TAB>tag; remove the line or give it a tag"
            raise wrong(f"no tab in {text[:40]!r}", todo)
        if not word:
            raise wrong("empty word", "remove the line")
        if not 0 < tag_column <= len(columns):
            what = f"no tag column {tag_column}: the line has {len(columns)} after the word"
            raise wrong(what, f"set data.tag_column to 1..{len(columns)}")
        tag = columns[tag_column - 1].strip()
        if tag not in known:
            names = ", ".join(sorted(name[2:] for name in known if name.startswith("B-")))
            what = f"unknown tag {tag!r} (known are O and B-, I- of {names})"
            raise wrong(what + did_you_mean(tag, known))
        words.append(word)
        tags.append(known[tag])
    return tuple(words), tags
