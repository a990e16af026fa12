"""The commands in the pages: every line of a fenced ``sh`` block, every command in running text."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

PAGES = tuple(
    sorted(
        path
        for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "experiments/*.md")
        for path in REPOSITORY.glob(pattern)
        if path.name != "CHANGELOG.md"
    )
)
SHELLS = ("sh", "bash", "shell", "console")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
OURS = re.compile(r"(\w+=\S+ )*(python -m (gmbench|experiments|tests)\b|gmbench [a-z])")


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
        text: on one line, without its comment; the shell's own ``&&`` parts commands.
        after: the commands of the same block before it.
        fenced: False: it stands in running text or a table.
    """

    page: str
    text: str
    after: tuple[str, ...] = ()
    fenced: bool = True

    @property
    def words(self) -> list[str]:
        """As a shell would split it."""
        return shlex.split(self.text)


def commands(page: Path) -> list[Command]:
    """All commands of a page, in its order."""
    name, text = page.relative_to(REPOSITORY).as_posix(), page.read_text()
    found = []
    for language, block in FENCE.findall(text):
        if language in SHELLS:
            lines = lines_of(block)
            found += [Command(name, line, tuple(lines[:n])) for n, line in enumerate(lines)]
    for code in INLINE.findall(FENCE.sub("", text)):
        line = " ".join(code.split())
        if OURS.match(line):
            found.append(Command(name, line, fenced=False))
    return found


def lines_of(block: str) -> list[str]:
    """The commands of a block: continued lines joined, comments gone, ``&&`` split."""
    joined = block.replace("\\\n", " ")
    lines = [re.sub(r"(^|\s)#.*", "", line) for line in joined.splitlines()]
    parts = (part for line in lines for part in line.split("&&"))
    return [" ".join(part.split()) for part in parts if part.strip()]


def unmarked(page: Path) -> list[str]:
    """Lines that look like commands and stand in no ``sh`` block: nobody would test them."""
    text = page.read_text()
    blocks = [block for language, block in FENCE.findall(text) if language not in SHELLS]
    rest = FENCE.sub("", text)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [line for line in rest.splitlines() if line.startswith("    ")]
    return [line for line in lines if OURS.match(line.strip())]
