"""Finished runs as rows below a paper's table of methods."""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.papers.published import PaperTable
from gmbench.reporting.leaderboard import Board, BoardRow, League


@dataclass(frozen=True, slots=True)
class OurRow:
    """A row of ours below the paper's.

    Attributes:
        title: of the row, say the method and the number of seeds.
        cells: by column of the paper's table: what to print, say ``59.1 ± 0.4``.
        protocol: by which it was counted.
    """

    title: str
    cells: Mapping[str, str]
    protocol: str = "strict"


def our_rows(table: PaperTable, board: Board) -> list[OurRow]:
    """The rows of a leaderboard that are about the table's data: the whole test split of it.

    Means over seeds of P, R and F1, each by itself, with the sample deviation of F1. Tables whose
    rows are not methods get none.
    """
    if table.rows_are != "method":
        return []
    data = {column.data for column in table.columns.values()}
    rows = []
    for league in board.leagues:
        if not data >= _data(league):
            continue
        for row in league.rows:
            seeds = len(row.entries)
            title = f"{row.label} ({seeds} seed{'s' if seeds > 1 else ''})"
            cells = {key: _cell(row, column.task) for key, column in table.columns.items()}
            protocol = row.entries[0].result.protocol.name
            rows.append(OurRow(title, cells, protocol))
    return rows


def _data(league: League) -> set[str]:
    """The data set of a league; something no paper has where it is not a whole test split."""
    data = league.rows[0].entries[0].result.data
    whole = data.split == "test" and data.limit is None and not data.synthetic
    return {data.name if whole else f"part of {data.name}"}


def _cell(row: BoardRow, task: str) -> str:
    found = [getattr(entry.result.metrics, task) for entry in row.entries]
    if None in found:
        return "not reported  "
    names = ("precision", "recall", "f1")
    means = [sum(getattr(figures, name) for figures in found) / len(found) for name in names]
    summary = row.figures[task]  # type: ignore[index]
    spread = summary.sd if summary is not None else None
    text = "".join(f"{100 * mean:>6.2f} " for mean in means)
    return f"{text} " if spread is None else f"{text}± {100 * spread:.2f}"
