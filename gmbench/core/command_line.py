"""Command lines: one line for what is wrong, with the nearest option or choice."""

import codecs
import io
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

from gmbench.core.errors import InputError, chain, did_you_mean, located
from gmbench.core.locks import launched_rank
from gmbench.core.safe_text import printable

if TYPE_CHECKING:
    from _typeshed import SupportsWrite
    from rich.console import Console


def console(*, stderr: bool = False) -> "Console":
    """A console on standard output or error; a file or pipe is ``COLUMNS`` wide, or 80."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Screen(Console):
        """Prints no control character but its own: texts come from anybody's files."""

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for part in super().render(renderable, options):
                yield part if part.control else Segment(printable(part.text), part.style)

    return Screen(stderr=stderr)


PATIENCE = 2.0
"""Seconds after a signal in which more of them do not disturb the clean-up."""


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP has asked this process to end.

    Not a KeyboardInterrupt, which Lightning turns into exit code 1.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


def stopped_by(error: BaseException | None) -> Stopped | None:
    """The signal behind an error; torch wraps one that arrives during a save in a RuntimeError."""
    return next((link for link in chain(error) if isinstance(link, Stopped)), None)


@contextmanager
def handling_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Hand Ctrl-C, SIGTERM and SIGHUP to ``handle``, unless they are ignored (``nohup``, ``&``)."""
    owner = os.getpid()

    def received(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker of a loader, which expects this
            raise KeyboardInterrupt
        handle(number)

    previous: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # no other may handle signals
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, received)
    try:
        yield
    finally:
        for caught, handler in previous.items():
            signal.signal(caught, handler)


@dataclass
class Ended:
    """How a command ended: its exit code."""

    code: int = 0


def exit_code(work: Callable[[], int]) -> int:
    """The exit code of ``work``, which ends as in :func:`ending`."""
    with ending() as ended:
        ended.code = work()
    return ended.code


@contextmanager
def ending() -> Iterator[Ended]:
    """Hold a command's exit code; bad input and missing files become one line and exit code 2.

    A signal raises :class:`Stopped`, and becomes one line and 128 + its number. Where the reader of
    standard output leaves early (``| head``), the work ends there, without an error. Characters
    that the terminal's encoding lacks are escaped.
    """
    last = -PATIENCE

    def stop(number: int) -> None:
        nonlocal last
        if time.monotonic() > last + PATIENCE:
            last = time.monotonic()
            raise Stopped(number)

    _make_printable()
    ended, message = Ended(), ""
    try:
        with handling_signals(stop):
            yield ended
            sys.stdout.flush()
    except BrokenPipeError:
        ended.code = 0
    except OSError as error:
        named = error.filename and located(error.filename, str(error.strerror))
        ended.code, message = 2, named or str(error)
    except InputError as error:
        ended.code, message = 2, str(error)
    except SystemExit:  # after --help
        lost_output()
        raise
    except BaseException as error:
        if (stopped := stopped_by(error)) is None:
            raise
        ended.code = 128 + stopped.number
        if launched_rank() == 0:  # of processes that train together the first tells
            message = "; ".join([str(stopped), *getattr(stopped, "__notes__", ())])
    if lost := lost_output():
        ended.code, message = ended.code or 2, f"standard output: {lost}"
    if message:
        print(printable(message), file=sys.stderr)


def _make_printable() -> None:
    """Let any character be printed: what the encoding lacks appears as JSON escapes it."""
    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    codecs.register_error("json", _as_json)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="json")


def _as_json(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def lost_output() -> str | None:
    """Discard what standard output does not take (any more); why, unless its reader has left."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return _discard(sys.stdout, error)
    return None


def _discard(stream: TextIO, error: OSError) -> str | None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return None if isinstance(error, BrokenPipeError) else error.strerror


@contextmanager
def unbroken_output() -> Iterator[None]:
    """Let the work go on where standard output or error takes no more text.

    What cannot be printed is discarded. Unless its reader has left (``| head``), standard error
    says so in the end.
    """
    logging.raiseExceptions = False
    streams = sys.stdout, sys.stderr
    kept = [_Unbroken(stream) for stream in streams]
    sys.stdout, sys.stderr = (cast(TextIO, stream) for stream in kept)
    try:
        yield
    finally:
        for stream in kept:
            stream.flush()
        sys.stdout, sys.stderr = streams
        if kept[0].lost:
            print(f"standard output: {kept[0].lost}; the work went on without", file=sys.stderr)


class _Unbroken:
    """A stream whose file is replaced by the null device when it cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: str | None = None

    def write(self, text: str) -> int:
        self._without_error(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._without_error(self._stream.flush)

    def _without_error(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            self.lost = _discard(self._stream, error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class CommandLine(ArgumentParser):
    """An ``ArgumentParser`` without abbreviations, whose errors are one line, exit code 2.

    Args:
        prog: as users type it.
        description: kept as written.
    """

    def __init__(self, prog: str, description: str | None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """Print the help; :func:`exit_code` handles a reader that leaves early."""
        print(self.format_help(), end="", file=file)  # argparse's own hides a full disk
        sys.stdout.flush()

    def error(self, message: str) -> NoReturn:
        """Print the message on one line and exit with code 2."""
        line = f"{self.prog}: {self._explained(message)} (--help shows how)"
        print(printable(line), file=sys.stderr)
        raise SystemExit(2)

    def _explained(self, message: str) -> str:
        """The message of argparse, with the nearest match of a mistyped option or choice."""
        line = " ".join(message.split())
        unknown = re.match(r"unrecognized arguments: (.*)", line)
        if unknown:
            words = unknown[1].split()
            wrong = next((word for word in words if word.startswith("-")), words[0])
            known = [name for action in self._actions for name in action.option_strings]
            return f"no option {wrong}{did_you_mean(wrong.partition('=')[0], known)}"
        choice = re.match(r"argument (.+?): invalid choice: '(.*?)' \(choose from (.*)\)", line)
        if choice:
            known = choice[3].replace("'", "").split(", ")
            hint = did_you_mean(choice[2], known) or f"; choices: {', '.join(known)}"
            return f"{choice[1]}: invalid choice: '{choice[2]}'{hint}"
        return line
