"""Input that cannot be used: one exception, one format of messages, one nearest-name search."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gmbench.core.safe_text import printable

ADDRESS = re.compile(r"((?:^|/)(?:https?|ftp|s3|gs):)/{1,2}(?=[^/])")
"""The beginning of a web address, from which a path takes one slash."""


class InputError(ValueError):
    """A configuration, file, folder or command line that the user has to correct.

    The message lists the problems, one per line. It is the only argument, so that the error
    survives pickling on its way out of a worker process.

    Args:
        problems: one message, or one per problem.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        text = problems if isinstance(problems, str) else "\n".join(problems)
        super().__init__(printable(text))

    @property
    def problems(self) -> tuple[str, ...]:
        """The lines of the message."""
        return tuple(str(self).splitlines())


class NonFinite(ArithmeticError):
    """A loss, gradient norm, cost or score is NaN or infinite; weights are as before the step."""


class SizeMismatch(InputError):
    """An image whose size is not the one its boxes were drawn on."""


class MissingRegions(InputError):
    """A source of candidate regions has nothing for an image."""


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, and so on; a circle of them ends."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def located(path: Path | str, what: str, todo: str = "", *, line: int | None = None) -> str:
    """Format ``file:line: what; what to do`` on one line, whatever the parts contain."""
    place = f"{path}"
    if ADDRESS.search(place):
        place = ADDRESS.sub(r"\1//", place)
        todo = "a web address is no file: download it first"
    place = place if line is None else f"{place}:{line}"
    return " ".join(f"{place}: {what}{f'; {todo}' if todo else ''}".split())


def fault(path: Path | str, what: str, todo: str = "", *, line: int | None = None) -> InputError:
    """An error whose message is ``located(...)``."""
    return InputError(located(path, what, todo, line=line))


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` is most likely a typo of, ignoring case; None if none is close."""
    if len(word) > 100:  # no typo, and the search takes the square of its length
        return None
    by_lower = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=0.6)
    if not matches:
        return None
    swapped = [match for match in matches if sorted(match) == sorted(word.lower())]
    return by_lower[(swapped or matches)[0]]


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """``; did you mean PREFIXchoice?``, or an empty string where no choice is close."""
    match = nearest(word, choices)
    return f"; did you mean {prefix}{match}?" if match else ""


def near_names(missing: Iterable[str], there: Iterable[str]) -> list[str]:
    """Each absent file name, with the one that differs from it in capitals or ending only.

    Args:
        missing: names of files that are not there.
        there: names of those that are.
    """

    def stem(name: str) -> str:
        return Path(name).stem.lower()

    near = {stem(name): f" (but there is {name})" for name in there}
    return [f"{name}{near.get(stem(name), '')}" for name in missing]


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class name where the message is empty."""
    return printable(next(iter(str(error).strip().splitlines()), type(error).__name__))


def first_ten(items: Iterable[str]) -> str:
    """Join at most ten items by commas, for messages about many things."""
    names = list(items)
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
