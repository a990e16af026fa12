"""Command lines: one line for what is wrong, with the nearest option or choice."""

import os
import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from gmbench.core.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import SupportsWrite
    from rich.console import Console


def console(width: int = 120) -> "Console":
    """A console on standard output; a file or a pipe, which has no width, gets ``width``."""
    from rich.console import Console

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=width)


def exit_code(work: Callable[[], int]) -> int:
    """The exit code of ``work``; bad input and missing files become one line and exit code 2."""
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return 0
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
    except InputError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    else:
        return code
    return 2


def discard_output() -> None:
    """Discard what is still to be printed: the reader of standard output has closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        """Print the help; no traceback if the reader (``| head``) leaves early."""
        try:
            super().print_help(file)
            sys.stdout.flush()
        except BrokenPipeError:
            discard_output()

    def error(self, message: str) -> NoReturn:
        """Print the message on one line and exit with code 2."""
        print(f"{self.prog}: {self._explained(message)} (--help shows how)", file=sys.stderr)
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
