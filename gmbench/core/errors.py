"""How a problem is put: one line, the nearest match, all lines together."""

import difflib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path


class ConfigError(ValueError):
    """A configuration that cannot run; the message lists every problem, one a line."""

    def __init__(self, found: Sequence[str]) -> None:
        super().__init__("\n".join(found))
        self.problems = tuple(found)


def near(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` probably meant, letter case aside."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=0.6)
    if not found:
        return None
    swapped = [match for match in found if sorted(match) == sorted(word.lower())]
    return by_lower[(swapped or found)[0]]


def hint(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """``; did you mean ...?``, or nothing where no choice is near."""
    match = near(word, choices)
    return f"; did you mean {prefix}{match}?" if match else ""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


# Faults of the input: one line that names the file, the line, what is wrong and what to do.
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
