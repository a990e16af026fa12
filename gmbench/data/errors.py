"""Faults of the input: one line that names the file, the line, what is wrong and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

TEXT_ORIGIN = (
    "Twitter-GMNER v2.0: txt/ and xml/ are in github.com/NUSTM/GMNER, folder Twitter10000_v2.0; "
    "txt_fine/ is in github.com/NUSTM/FMNERG, folder Twitter10000v2"
)
IMAGE_ORIGIN = (
    "Twitter-GMNER: the archive of the tweets' images is linked in the README of "
    "github.com/NUSTM/GMNER (and of NUSTM/FMNERG)"
)
REGION_ORIGIN = (
    "Twitter-GMNER: VinVL's files <id>.jpg.npz come from github.com/NUSTM/FMNERG, or from running "
    "github.com/pzzhang/VinVL on the images"
)


class DataError(ValueError):
    """Input that cannot be read as it stands; the message is a single line.

    The only argument is the message, so that the error survives the way out of a worker process.
    """


class SizeMismatch(DataError):
    """A picture whose size is not the one its boxes were drawn on."""


class MissingRegions(DataError):
    """A source of candidate regions has nothing on an image."""


def fault(path: Path | str, what: str, todo: str = "", *, line: int | None = None) -> DataError:
    """``file:line: what; what to do``."""
    return DataError(located(path, what, todo, line=line))


def located(path: Path | str, what: str, todo: str = "", *, line: int | None = None) -> str:
    """The text of a fault, on one line whatever the parts contain."""
    place = f"{path}" if line is None else f"{path}:{line}"
    return " ".join(f"{place}: {what}{f'; {todo}' if todo else ''}".split())


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` where something known looks like ``word``, else an empty string."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else ""


def first_ten(items: Iterable[str]) -> str:
    """``a, b, c, ...``: at most ten, for messages on many things."""
    names = list(items)
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
