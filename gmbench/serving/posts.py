"""What goes into a model and what comes out: posts, answers, and both as JSON."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image

from gmbench.core.entities import Prediction
from gmbench.core.errors import InputError, fault
from gmbench.core.records import Fields, parse_line

KEYS = ("text", "words", "image", "size", "entities")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


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
    """

    id: str
    text: str
    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    image: Path | Image.Image | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The entities that a model finds in one post.

    Attributes:
        post: the question.
        predictions: best first; boxes in pixels of the picture as a viewer shows it.
        size: ``(width, height)`` of that picture; None without one.
        notes: what was odd: no picture, a bad one, no candidates, too many words.
        turned: whether the picture was turned upright by its EXIF orientation.
    """

    post: Post
    predictions: tuple[Prediction, ...] = ()
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    turned: bool = False

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

    Raises:
        InputError: there is no word, or a given word does not occur in the text.
    """
    if text is None:
        text = " ".join(words or ())
    if words is None:
        places = tuple(match.span() for match in re.finditer(r"\S+", text))
        words = [text[start:end] for start, end in places]
    else:
        places = word_places(text, words)
    if not words:
        raise InputError("the text has no word")
    return Post(id=id, text=text, words=tuple(words), places=places, image=image, size=size)


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


def read_posts(lines: IO[bytes], name: Path, images: Path | None = None) -> Iterator[Post]:
    """Posts from JSON lines, one at a time: nothing of the file is kept.

    A line is ``{"id", "text" and/or "words", "image", "size"}``; only ``id`` and the sentence are
    required. ``image`` is a path from the file's own folder (or from ``images``); without it the
    picture is ``<images>/<id>.jpg`` if that exists. Lines of gold data are read too.

    Args:
        lines: an open file, or standard input.
        name: of the file, for messages and as the place that paths start from.
        images: folder of the pictures.

    Raises:
        InputError: a line is no post; the message names file, line and problem.
    """
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not content.strip():
            continue
        fields = Fields(parse_line(name, number, content), f"{name}:{number}")
        fields.check_keys(("id",), KEYS)
        id_ = fields.text("id")
        image = None
        if fields.has("image") and fields.value("image") is not None:
            image = (images or name.parent) / fields.text("image")
        elif images is not None and Path(id_).name == id_ and (images / f"{id_}.jpg").is_file():
            image = images / f"{id_}.jpg"
        text = fields.text("text") if fields.has("text") else None
        words = fields.texts("words") if fields.has("words") else None
        size = fields.size("size") if fields.has("size") else None
        try:
            read = post(text, words=words, image=image, id=id_, size=size)
        except InputError as error:
            raise fields.error(str(error)) from None
        yield read


def read_folder(folder: Path) -> Iterator[Post]:
    """A post for every ``NAME.txt`` of a folder, with the picture ``NAME.jpg`` (or png ...) if any.

    Raises:
        InputError: no text there, one that is not UTF-8 or has no word, or pictures without text.
    """
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    texts = [path for name, path in files.items() if name.endswith(".txt")]
    if not texts:
        raise fault(folder, "no NAME.txt in it", "put the sentence of NAME.jpg into NAME.txt")
    stems = {path.stem for path in texts}
    alone = [p.name for p in files.values() if p.suffix.lower() in PICTURES and p.stem not in stems]
    if alone:
        raise fault(folder, f"{len(alone)} pictures without text, such as {alone[0]}", "add it")
    for path in texts:
        names = (f"{path.stem}{ending}" for ending in PICTURES)
        image = next((files[name] for name in names if name in files), None)
        try:
            read = post(path.read_text(encoding="utf-8-sig"), image=image, id=path.stem)
        except UnicodeDecodeError as error:
            raise fault(path, f"not UTF-8 at byte {error.start}") from None
        except InputError as error:
            raise fault(path, str(error)) from None
        yield read
