"""What goes into a model and what comes out: posts, answers, and both as JSON."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from PIL import Image

from gmbench.core.entities import Prediction
from gmbench.core.errors import InputError, fault
from gmbench.core.files import read_file
from gmbench.core.records import Fields, parse_line, well_formed

KEYS = ("text", "words", "image", "size", "entities")
PICTURES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif"),  # not read, but told: a post should not lose them silently
)
"""Endings of pictures in any case, the preferred ones first."""
MAX_LINE = 10_000_000
"""Bytes of a line of posts."""
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]{8}"
)
"""Thai, Lao, Burmese, Khmer, Japanese or Chinese without a space."""
ONE_WORD = (
    "the text is written without spaces, and words are split at these: give its words yourself"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One sentence and its picture.

    Attributes:
        id: names it in answers; candidates are looked up by it.
        text: as written.
        words: what the model reads; each occurs in ``text``.
        places: of each word in ``text``, in characters, from inclusive to exclusive.
        image: a file, a picture in memory, or None.
        size: of the picture that boxes refer to; if given, its EXIF orientation is ignored.
        notes: what is odd about the text.
    """

    id: str
    text: str
    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    image: Path | Image.Image | None = None
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The entities that a model finds in one post.

    Attributes:
        post: the question.
        predictions: best first; boxes in pixels of the picture as a viewer shows it.
        size: ``(width, height)`` of that picture; None without one.
        notes: what was odd: no picture, a bad one, no candidates, too many words.
        faults: those of ``notes`` that may cost entities or boxes that were asked for.
        turned: whether the picture was turned upright by its EXIF orientation.
    """

    post: Post
    predictions: tuple[Prediction, ...] = ()
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    turned: bool = False

    def with_fault(self, what: str) -> "Answer":
        """The same answer with a fault more, told first."""
        return replace(self, notes=(what, *self.notes), faults=(what, *self.faults))

    def characters(self, entity: Prediction) -> tuple[int, int]:
        """Where an entity lies in the text, from inclusive to exclusive."""
        return self.post.places[entity.start][0], self.post.places[entity.end][1]

    def text_of(self, entity: Prediction) -> str:
        """An entity as the text has it."""
        start, end = self.characters(entity)
        return self.post.text[start:end]

    def full(self) -> dict[str, Any]:
        """Everything, for JSON: words, entities with text and places, notes.

        ``start`` and ``end`` are words, both inclusive; ``chars`` are characters of ``text``, the
        second exclusive; ``box`` is xyxy pixels of the picture of ``size``, null for none.
        """
        return {
            "id": self.post.id,
            "text": self.post.text,
            "words": list(self.post.words),
            "size": None if self.size is None else list(self.size),
            "entities": [
                {
                    "start": entity.start,
                    "end": entity.end,
                    "type": entity.type,
                    "text": self.text_of(entity),
                    "chars": list(self.characters(entity)),
                    "box": entity.box and [round(side, 2) for side in entity.box],
                    "score": round(entity.score, 4),
                }
                for entity in self.predictions
            ],
            "notes": list(self.notes),
        }

    def scorable(self) -> dict[str, Any]:
        """A line of predictions as ``gmbench.score`` reads it, nothing rounded."""
        return {
            "id": self.post.id,
            "entities": [
                {"start": p.start, "end": p.end, "type": p.type, "box": p.box, "score": p.score}
                for p in self.predictions
            ],
        }


def post(
    text: str | None,
    *,
    words: Sequence[str] | None = None,
    image: Path | Image.Image | None = None,
    id: str = "post",
    size: tuple[int, int] | None = None,
) -> Post:
    """A post from a text, which is split at white space, from words, or from both.

    Halves of surrogate pairs become U+FFFD, which tokenizers and JSON can hold.

    Raises:
        InputError: there is no word, or a given word does not occur in the text.
    """
    words = None if words is None else [well_formed(word) for word in words]
    text = " ".join(words or ()) if text is None else well_formed(text)
    notes: tuple[str, ...] = ()
    if words is None:
        notes = (ONE_WORD,) if UNSPACED.search(text) else ()
        places = tuple(match.span() for match in re.finditer(r"\S+", text))
        words = [text[start:end] for start, end in places]
    else:
        places = word_places(text, words)
    if not words:
        raise InputError("the text has no word")
    return Post(
        id=well_formed(id),
        text=text,
        words=tuple(words),
        places=places,
        image=image,
        size=size,
        notes=notes,
    )


def word_places(text: str, words: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Find each word in the text, one after the other.

    Raises:
        InputError: a word is empty or does not occur behind the one before it.
    """
    places, reached = [], 0
    for number, word in enumerate(words):
        start = text.find(word, reached) if word else -1
        if start < 0:
            raise InputError(
                f"word {number} ({word!r}) does not stand in the text from character {reached} on"
            )
        reached = start + len(word)
        places.append((start, reached))
    return tuple(places)


def _raise(error: InputError) -> None:
    raise error


def read_posts(
    lines: IO[bytes],
    name: Path,
    images: Path | None = None,
    refuse: Callable[[InputError], None] = _raise,
) -> Iterator[Post]:
    """Posts from JSON lines, one at a time: nothing of the file is kept.

    A line is ``{"id", "text" and/or "words", "image", "size"}``; only ``id`` and the sentence are
    required. ``image`` is a path from the file's own folder (or from ``images``); without it the
    picture is ``<id>.jpg`` (or png ...) of ``images`` if that exists. Lines of gold data are read
    too.

    Args:
        lines: an open file, or standard input.
        name: of the file, for messages and as the place that paths start from.
        images: folder of the pictures.
        refuse: called with the error of a line that is no post; if it returns, the next is read.

    Raises:
        InputError: of a line that is no post, by default; the message names file, line and problem.
            Always: a line of more than 10 MB.
    """
    beside = {} if images is None else pictures_in(images)
    number = 0
    while line := lines.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise fault(name, f"a line of more than {MAX_LINE // 10**6} MB", line=number)
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if text.strip():
                yield _post(
                    Fields(parse_line(name, number, text), f"{name}:{number}"),
                    images or name.parent,
                    beside,
                )
        except UnicodeDecodeError as error:
            refuse(fault(name, f"not UTF-8 at byte {error.start}", line=number))
        except InputError as error:
            refuse(error)


def _post(fields: Fields, folder: Path, beside: Mapping[str, Path]) -> Post:
    """The post of one line: pictures by path from ``folder``, or by the id from ``beside``."""
    fields.check_keys(("id",), KEYS)
    id_ = fields.text("id")
    image = beside.get(id_)
    if fields.has("image") and fields.value("image") is not None:
        image = folder / fields.text("image")
    text = fields.text("text") if fields.has("text") else None
    words = fields.texts("words") if fields.has("words") else None
    size = fields.size("size") if fields.has("size") else None
    try:
        return post(text, words=words, image=image, id=id_, size=size)
    except InputError as error:
        raise fields.error(str(error)) from None


def pictures_in(folder: Path) -> dict[str, Path]:
    """Every picture of a folder by its name without ending; of several the preferred ending."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES]
    files.sort(key=lambda path: -PICTURES.index(path.suffix.lower()))
    return {path.stem: path for path in files}


def texts_in(folder: Path) -> list[Path]:
    """Every ``NAME.txt`` of a folder."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt")


def read_folder(folder: Path, refuse: Callable[[InputError], None] = _raise) -> Iterator[Post]:
    """A post for every ``NAME.txt`` of a folder, with the picture ``NAME.jpg`` (or png ...) if any.

    Args:
        folder: of texts and pictures.
        refuse: as in :func:`read_posts`.

    Raises:
        InputError: no text there, or pictures without text; by default also one that is not UTF-8
            or has no word.
    """
    texts, pictures = texts_in(folder), pictures_in(folder)
    if not texts:
        raise fault(folder, "no NAME.txt in it", "put the sentence of NAME.jpg into NAME.txt")
    alone = sorted(pictures.keys() - {path.stem for path in texts})
    if alone:
        name = pictures[alone[0]].name
        raise fault(folder, f"{len(alone)} pictures without text, such as {name}", "add it")
    for path in texts:
        try:
            text = read_file(path, MAX_LINE).decode("utf-8-sig")
            yield post(text, image=pictures.get(path.stem), id=path.stem)
        except UnicodeDecodeError as error:
            refuse(fault(path, f"not UTF-8 at byte {error.start}"))
        except InputError as error:
            refuse(error if str(path) in str(error) else fault(path, str(error)))
