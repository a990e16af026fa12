"""Posts: a sentence with its words in their places, and a picture perhaps."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image

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
        words: what the model reads; every one stands in ``text``.
        places: of each word in ``text``, in characters, from inclusive to exclusive.
        image: a file, a picture in memory, or None.
        size: of the picture that boxes are counted on; then its EXIF orientation is left alone.
    """

    id: str
    text: str
    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    image: Path | Image.Image | None = None
    size: tuple[int, int] | None = None


def post(
    text: str | None,
    *,
    words: Sequence[str] | None = None,
    image: Path | Image.Image | None = None,
    id: str = "post",
    size: tuple[int, int] | None = None,
) -> Post:
    """A post from a text (words are what stands between white space), from words, or from both.

    Raises:
        ValueError: there is no word, or a given word does not stand in the text.
    """
    if text is None:
        text = " ".join(words or ())
    if words is None:
        places = tuple(match.span() for match in re.finditer(r"\S+", text))
        words = [text[start:end] for start, end in places]
    else:
        places = located(text, words)
    if not words:
        raise ValueError("the text has no word")
    return Post(id=id, text=text, words=tuple(words), places=places, image=image, size=size)


def located(text: str, words: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Where each word stands in the text, one after the other.

    Raises:
        ValueError: a word is empty or does not stand behind the one before it.
    """
    places, reached = [], 0
    for number, word in enumerate(words):
        start = text.find(word, reached) if word else -1
        if start < 0:
            raise ValueError(
                f"word {number} ({word!r}) does not stand in the text from character {reached} on"
            )
        reached = start + len(word)
        places.append((start, reached))
    return tuple(places)


def read_posts(lines: IO[bytes], name: Path, images: Path | None = None) -> Iterator[Post]:
    """Posts from JSON lines, one at a time: nothing of the file is kept.

    A line is ``{"id", "text" and/or "words", "image", "size"}``; ``id`` alone is a must beside the
    sentence. ``image`` is a path from the file's own folder (or from ``images``); without it the
    picture is ``<images>/<id>.jpg`` if that is there. Gold lines are read too.

    Args:
        lines: an open file, or standard input.
        name: of the file, for messages and as the place that paths start from.
        images: folder of the pictures.

    Raises:
        InputError: a line has a fault; it names file, line and what.
    """
    base = images if images is not None else name.parent
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not content.strip():
            continue
        fields = Fields(parse_line(name, number, content), f"{name}:{number}")
        fields.check_keys(("id",), KEYS)
        yield _of_line(fields, base, images)


def _of_line(fields: Fields, base: Path, images: Path | None) -> Post:
    id_ = fields.text("id")
    if fields.has("image") and fields.value("image") is not None:
        image: Path | None = base / fields.text("image")
    elif images is not None and Path(id_).name == id_ and (images / f"{id_}.jpg").is_file():
        image = images / f"{id_}.jpg"
    else:
        image = None
    try:
        return post(
            fields.text("text") if fields.has("text") else None,
            words=fields.texts("words") if fields.has("words") else None,
            image=image,
            id=id_,
            size=fields.size("size") if fields.has("size") else None,
        )
    except InputError:
        raise
    except ValueError as error:
        raise fields.error(str(error)) from None


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
            yield post(path.read_text(encoding="utf-8-sig"), image=image, id=path.stem)
        except UnicodeDecodeError as error:
            raise fault(path, f"not UTF-8 at byte {error.start}") from None
        except ValueError as error:
            raise fault(path, str(error)) from None
