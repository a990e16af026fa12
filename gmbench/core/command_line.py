"""Command lines: one line for what is wrong, with the nearest option or choice."""

import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, NoReturn

from gmbench.core.errors import did_you_mean

if TYPE_CHECKING:
    from rich.console import Console


def console(width: int = 120) -> "Console":
    """A console on standard output; a file or a pipe, which has no width, gets ``width``."""
    from rich.console import Console

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=width)


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

    def error(self, message: str) -> NoReturn:
        """Print the line and leave."""
        print(f"{self.prog}: {self.explained(message)} (--help shows how)", file=sys.stderr)
        raise SystemExit(2)

    def explained(self, message: str) -> str:
        """What argparse says, on one line, with the nearest match of what was mistyped."""
        told = " ".join(message.split())
        unknown = re.match(r"unrecognized arguments: (.*)", told)
        if unknown:
            words = unknown[1].split()
            wrong = next((word for word in words if word.startswith("-")), words[0])
            known = [name for action in self._actions for name in action.option_strings]
            return f"no option {wrong}{did_you_mean(wrong.partition('=')[0], known)}"
        choice = re.match(r"argument (.+?): invalid choice: '(.*?)' \(choose from (.*)\)", told)
        if choice:
            known = choice[3].replace("'", "").split(", ")
            hint = did_you_mean(choice[2], known) or f"; choices: {', '.join(known)}"
            return f"{choice[1]}: invalid choice: '{choice[2]}'{hint}"
        return told
