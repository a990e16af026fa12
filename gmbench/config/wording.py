"""How a problem is put: one line, the nearest match, all lines together."""

import difflib
from collections.abc import Iterable, Sequence


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
