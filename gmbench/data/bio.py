"""BIO text -> blocks: the one reader of tweets, words, tags and spans.

A block is a tweet: a line ``IMGID:<id>``, one line a word (``word<TAB>tag[<TAB>tag ...]``), then a
blank line. Which tag column counts is chosen by its number: 1 is the first after the word.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gmbench.core.entities import Entity
from gmbench.core.errors import did_you_mean, fault

READER_VERSION = 1
HEAD = "IMGID:"


@dataclass(frozen=True, slots=True)
class Block:
    """A tweet as the text file gives it; its entities have no boxes yet.

    Attributes:
        line: number of its ``IMGID`` line, from 1.
        stray: how many spans an I- without a fitting B- opened.
    """

    id: str
    words: tuple[str, ...]
    entities: tuple[Entity, ...]
    line: int
    stray: int = 0

    def surface(self, entity: Entity) -> str:
        """The entity's words joined by one space: the name its boxes carry."""
        return " ".join(self.words[entity.start : entity.end + 1])


def read_blocks(path: Path, *, tag_column: int, types: Collection[str]) -> tuple[Block, ...]:
    """Every tweet of a BIO file, in the file's order.

    Byte order mark, CR LF, repeated blank lines and a missing last blank line are accepted. An I-
    that continues nothing (or another type) opens an entity; a B- right after an I- does too.

    Args:
        path: UTF-8 text.
        tag_column: which column holds the tags; 1 is the first one after the word.
        types: the types that may follow ``B-`` and ``I-``.

    Raises:
        InputError: with file and line; an unknown tag names its nearest match.
    """
    blocks: list[Block] = []
    lines_of: dict[str, int] = {}
    known = frozenset(f"{part}-{name}" for name in types for part in "BI") | {"O"}
    for head, rows in _paragraphs(path):
        number, text = head
        tweet = _identity(path, number, text)
        if tweet in lines_of:
            raise fault(
                path,
                f"id {tweet!r} was used before, in line {lines_of[tweet]}",
                "ids name images and must be unique: remove or rename one of the two tweets",
                line=number,
            )
        lines_of[tweet] = number
        if not rows:
            raise fault(path, f"tweet {tweet!r} has no word", "remove its IMGID line", line=number)
        blocks.append(_block(path, tweet, number, rows, tag_column=tag_column, known=known))
    if not blocks:
        raise fault(path, "no tweet in it", f"expected blocks that open with {HEAD}<id>")
    return tuple(blocks)


def spans(tags: Iterable[str]) -> tuple[tuple[Entity, ...], int]:
    """BIO tags -> entities without boxes, and how many of them a stray I- opened."""
    found: list[Entity] = []
    stray = start = 0
    kind: str | None = None  # type of the open span
    end = -1
    for end, tag in enumerate(tags):
        part, _, name = tag.partition("-")
        if kind is not None and (part != "I" or name != kind):
            found.append(Entity(start, end - 1, kind))
            kind = None
        if part != "O" and kind is None:
            stray += part == "I"
            start, kind = end, name
    if kind is not None:
        found.append(Entity(start, end, kind))
    return tuple(found), stray


Line = tuple[int, str]


def _paragraphs(path: Path) -> Iterator[tuple[Line, list[Line]]]:
    """Head line and word lines of every block, each with its line number."""
    head: Line | None = None
    rows: list[Line] = []
    for number, text in enumerate(_lines(path), start=1):
        if text.startswith(HEAD) and "\t" not in text:
            if head is not None:
                raise fault(
                    path,
                    f"{text!r} inside the tweet that began in line {head[0]}",
                    "put a blank line before it",
                    line=number,
                )
            head = (number, text)
        elif not text.strip():
            if head is not None:
                yield head, rows
            head, rows = None, []
        elif head is None:
            raise fault(
                path,
                f"a tweet begins with {text[:40]!r} and has no id",
                f"put a line {HEAD}<id> before it",
                line=number,
            )
        else:
            rows.append((number, text))
    if head is not None:
        yield head, rows


def _lines(path: Path) -> list[str]:
    # str.splitlines would also cut at the invisible separators that real tweets contain.
    try:
        data = path.read_bytes()
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})", "check the path") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fault(
            path,
            f"byte {error.start} is not UTF-8",
            "save the file as UTF-8",
            line=data.count(b"\n", 0, error.start) + 1,
        ) from None
    return [line.removesuffix("\r") for line in text.split("\n")]


def _identity(path: Path, number: int, text: str) -> str:
    tweet = text.removeprefix(HEAD).strip()
    if not tweet or tweet in {".", ".."} or any(c in tweet for c in "/\\:\0"):
        raise fault(
            path,
            f"{tweet!r} cannot be an id",
            "the id is the stem of the image's file: no empty id, no slash, no colon",
            line=number,
        )
    return tweet


def _block(
    path: Path, tweet: str, head: int, rows: list[Line], *, tag_column: int, known: frozenset[str]
) -> Block:
    words: list[str] = []
    tags: list[str] = []
    for number, text in rows:
        columns = text.split("\t")
        if len(columns) == 1:
            raise fault(
                path,
                f"no tab in {text[:40]!r}",
                "a line is word<TAB>tag; remove the line or give it a tag",
                line=number,
            )
        if not columns[0]:
            raise fault(path, "empty word", "remove the line", line=number)
        if not 0 < tag_column < len(columns):
            raise fault(
                path,
                f"no tag column {tag_column}: the line has {len(columns) - 1} after the word",
                f"set data.tag_column to 1..{len(columns) - 1}",
                line=number,
            )
        tag = columns[tag_column].strip()
        if tag not in known:
            raise fault(
                path,
                f"unknown tag {tag!r} (known are O and B-, I- of {', '.join(_types(known))})"
                f"{did_you_mean(tag, known)}",
                line=number,
            )
        words.append(columns[0])
        tags.append(tag)
    entities, stray = spans(tags)
    return Block(id=tweet, words=tuple(words), entities=entities, line=head, stray=stray)


def _types(known: frozenset[str]) -> list[str]:
    return sorted({tag[2:] for tag in known if tag != "O"})
