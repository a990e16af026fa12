"""What tests found of each promise of docs/reliability.md, printed as one table at the end."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

KEY = "promise"
Promise = Callable[..., None]


@pytest.fixture
def promise(record_property) -> Promise:
    """``promise("R2", "kills with a whole checkpoint", 50, of=50)``: added up over all tests.

    A figure that is no count is a text: ``promise("R9", "memory grew by", "3 MiB")``.
    """

    def kept(name: str, what: str, found: int | str, *, of: int | None = None) -> None:
        record_property(KEY, [name, what, found, found if of is None else of])

    return kept


def added_up(reports: Iterable[Any]) -> list[tuple[str, str, str, str]]:
    """Promise, what, figure and files of the tests that passed, by number."""
    counts: dict[tuple[str, str], list[int]] = {}
    texts: dict[tuple[str, str], list[str]] = {}
    files: dict[tuple[str, str], set[str]] = {}
    for report in reports:
        for key, value in report.user_properties:
            if key != KEY:
                continue
            name, what, found, of = value
            files.setdefault((name, what), set()).add(report.nodeid.partition("::")[0])
            if isinstance(found, str):
                texts.setdefault((name, what), []).append(found)
            else:
                both = counts.setdefault((name, what), [0, 0])
                both[0], both[1] = both[0] + found, both[1] + of
    figures = {key: f"{n:,} of {of:,}" for key, (n, of) in counts.items()}
    figures |= {key: ", ".join(sorted(set(found))) for key, found in texts.items()}
    return [
        (*key, figures[key], ", ".join(sorted(files[key])))
        for key in sorted(figures, key=lambda key: (int(key[0][1:]), key[1]))
    ]


def show(terminal: Any) -> None:
    """Print the table, where there is anything to tell."""
    rows = added_up(r for r in terminal.stats.get("passed", []) if r.when == "call")
    if not rows:
        return
    terminal.section("promises of docs/reliability.md, as found in this run")
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        terminal.write_line("  ".join((*cells, row[3])))
