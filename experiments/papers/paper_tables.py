"""Tables of the papers, ours beside them.

``python -m experiments.papers.paper_tables [TABLE ...]``:

``--runs FOLDER`` shows finished runs on the same data set below a table of methods; tables of an
ablation have a module of their own, say ``experiments.papers.qgn_table3``.

``--csv FILE`` writes the tables as one that ``python -m gmbench.score --audit FILE`` reads.

Every number that something is known against carries a footnote with the reason, and every row says
by which protocol it was counted. Ours follow below a rule, since two protocols are never ranked
together.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from experiments.papers.footnotes import Footnotes
from experiments.papers.our_rows import OurRow, our_rows
from experiments.papers.papers import papers, printed_table
from experiments.papers.published import Cell, Column, PaperTable
from gmbench.core.command_line import console
from gmbench.core.files import write_atomically
from gmbench.reporting.index import read_index
from gmbench.reporting.leaderboard import leaderboard

RAISED = "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖ𐞥ʳˢᵗᵘᵛʷˣʸᶻ"


def paper_table(table: PaperTable, ours: Sequence[OurRow] = ()) -> Group:
    """A table for the terminal: title, rows, ours below a rule, notes and footnotes."""
    notes = Footnotes()
    shown = Table(box=box.ROUNDED, header_style="bold")
    shown.add_column(table.rows_are)
    for column in table.columns.values():
        shown.add_column(_heads(column), justify="right", no_wrap=True)
    by_row = table.rows_are == "method"
    if by_row:
        shown.add_column("protocol", no_wrap=True)
    for number, (name, row) in enumerate(table.rows.items(), start=1):
        cells: list[Text | str] = [_cell(row.cells[key], notes) for key in table.columns]
        if by_row:
            cells.append(papers().methods[name].protocol)
        title = Text.assemble(row.title, (_raised(notes.mark(row.reason)), "yellow"))
        shown.add_row(title, *cells, end_section=number == len(table.rows))
    for our in ours:
        values = [our.cells.get(key, "") for key in table.columns]
        title = Text(our.title if by_row else f"{our.title} ({our.protocol})", style="bold green")
        shown.add_row(title, *values, *([our.protocol] if by_row else []))
    title = Text(f"{table.paper} {table.label}: {table.shows}", style="bold")
    return Group(title, shown, Text("\n".join(captions(table, notes)) + "\n", style="dim"))


def captions(table: PaperTable, notes: Footnotes) -> list[str]:
    """What stands below a table: how to read it, its notes, its footnotes."""
    averages = {column.average for column in table.columns.values()}
    if len(averages) > 1:
        over = ", ".join(f"{c.title} {c.average}" for c in table.columns.values())
    else:
        (over,) = averages
    read = f"In %. Headings of the paper: {table.header}. Average over types: {over}."
    footnotes = (f"{letter}  {reason}" for reason, letter in notes.letters.items())
    return [read, *table.notes, *footnotes]


def _heads(column: Column) -> Text:
    """The title, and below it P, R, F1 where the cells are triples, else the protocol."""
    if column.method is None:
        return Text(f"{column.title}\n{'P':>6} {'R':>6} {'F1':>6}  ", justify="right")
    protocol = papers().methods[column.method].protocol
    return Text(f"{column.title}  \nprotocol {protocol}  ", justify="right")


def _cell(cell: Cell, notes: Footnotes) -> Text:
    mark = (f"{_raised(notes.mark(cell.reason)):<2}", "yellow")
    if len(cell.order) == 3:
        known = [cell.precision, cell.recall, cell.f1]
        if None in known:  # which number is which is open: as printed, and said so
            return Text.assemble((cell.printed.replace(" ", "  ") + "?", "italic"), mark)
        return Text.assemble("".join(f"{value:>6.2f} " for value in known if value), mark)
    value = "?" if cell.f1 is None else f"{cell.f1:.2f}"
    delta = "" if cell.delta is None else f" ({cell.delta:+.2f})"
    return Text.assemble(f"{value}{delta}", mark)


def _raised(mark: str) -> str:
    return mark.translate(str.maketrans("abcdefghijklmnopqrstuvwxyz", RAISED))


def main() -> int:
    """Print the tables named on the command line, all of them without a name."""
    parser = argparse.ArgumentParser(prog="python -m experiments.papers.paper_tables")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="; ".join(papers().tables))
    parser.add_argument("--runs", type=Path, help="a folder of finished runs, shown below")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all of them to audit")
    args = parser.parse_args()
    if args.csv:
        write_atomically(args.csv, printed_table().csv().encode())
        return 0
    screen = console()
    board = leaderboard(read_index(args.runs), tests=0) if args.runs else None
    for name in args.tables or papers().tables:
        try:
            table = papers().table(name)
        except KeyError as fault:
            print(fault.args[0], file=sys.stderr)
            return 2
        screen.print(paper_table(table, our_rows(table, board) if board else ()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
