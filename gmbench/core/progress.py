"""Progress bars, which ``callbacks.progress`` turns on and off; durations in words."""

from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")

_wanted: ContextVar[bool] = ContextVar("bars", default=True)


def show_bars(wanted: bool) -> None:
    """Show progress bars from now on, or none."""
    _wanted.set(wanted)


def track(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """The items; on a terminal with a bar that disappears at the end, if bars are wanted."""
    from rich import get_console, progress

    screen = get_console()
    hidden = not (_wanted.get() and (screen.is_terminal or screen.is_jupyter))
    yield from progress.track(items, label, total, transient=True, disable=hidden)


def time_left(seconds: float, done: float, total: float) -> float:
    """Seconds until ``total`` is done, at the pace of ``done`` in ``seconds``."""
    return seconds / done * (total - done)


def in_words(seconds: float) -> str:
    """A duration for people: ``40 s``, ``7 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
