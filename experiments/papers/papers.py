"""The numbers of the papers, as printed, with what an audit of them finds.

Nothing here corrects a number. ``papers().table("mqspn_table1").cell("MQSPN", "gmner").f1`` is
58.76. A cell or row with a ``reason`` must carry it as a footnote wherever it is shown
(``paper_tables.py`` does).
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from experiments.papers.published import Cell, Claim, Papers, PaperTable, Row
from gmbench.core.errors import InputError
from gmbench.core.records import parse_record
from gmbench.reporting.tables import Table
from gmbench.scoring.audit import COLUMNS, FLAGS, Audit, Flag, Key, Printed, Scores, Stated, audit

try:
    from yaml import CSafeLoader as SafeLoader  # ten times as fast, where it is built
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

FILE = Path(__file__).with_name("papers.yaml")
SHARED = ("columns_swapped", "permuted", "one_list")
"""Flags of many cells: one footnote says what they mean; the audit has the arithmetic of each."""
OPEN = (
    "The other lines of this column are not in the order of its heading, so which of the other two "
    "numbers is P is open."
)


@cache
def papers(path: Path = FILE) -> Papers:
    """Read, check and audit the file.

    Raises:
        InputError: a key is unknown or missing, or a value is not what it should be.
    """
    return _audited(_as_printed(path))


def _as_printed(path: Path) -> Papers:
    """The numbers under their headings, before the audit."""
    plain = yaml.load(path.read_text(encoding="utf-8"), Loader=SafeLoader)
    unflagged = {"flag": "ok", "reason": None}
    try:
        filled = {
            "methods": {name: {"note": None, **row} for name, row in plain["methods"].items()},
            "tables": {key: _table(table) for key, table in plain["tables"].items()},
            "claims": [{**claim, **unflagged} for claim in plain["claims"]],
        }
    except (KeyError, TypeError, AttributeError) as fault:
        raise InputError(f"{path.name}: not in the shape of its tables: {fault!r}") from fault
    return parse_record(Papers, json.dumps(filled), path.name)


def _table(table: dict[str, Any]) -> dict[str, Any]:
    """The table with everything written out that the file leaves to defaults."""
    rest = dict(table)
    order, average = rest.pop("order"), rest.pop("average")
    (rows_are,) = {"method", "type", "setting"} & rest["rows"][0].keys()
    columns = {
        key: {"method": None, "full": None, "average": average, **column}
        for key, column in rest.pop("columns").items()
    }
    rows = {}
    for listed in rest.pop("rows"):
        row = dict(listed)
        key = row.pop(rows_are)
        cells = {name: _cell(cell, order) for name, cell in row.pop("cells").items()}
        if key in rows or cells.keys() != columns.keys():
            raise KeyError(f"row {key!r} stands twice or lacks a column")
        defaults = {"title": key, "gold": None}
        rows[key] = {**defaults, **row, "cells": cells, "one_list": None, "reason": None}
    return {"notes": [], **rest, "rows_are": rows_are, "columns": columns, "rows": rows}


def _cell(cell: str | dict[str, Any], order: str) -> dict[str, Any]:
    given = {"printed": cell} if isinstance(cell, str) else cell
    return {"order": order, **given, "flag": "ok", "reason": None}


# The audit.
def _key(table: PaperTable, row: str, column: str) -> Key:
    """A cell as the audit names it."""
    about = table.columns[column]
    name = f"{table.paper} {table.label}"
    system, type_ = about.method or row, ""
    if table.rows_are == "setting":
        name = f"{name} {about.title}"
        system = system if row == "full" else f"{system} {table.rows[row].title}"
    elif table.rows_are == "type":
        type_ = "" if row == "All" else row
    return Key(table=name, system=system, task=about.task, type=type_)


def _lines(known: Papers) -> Iterator[Scores | Stated]:
    """Every cell and stated difference, for the audit."""
    for table in known.tables.values():
        for place, column in table.columns.items():
            if column.full is not None and "full" not in table.rows:
                full = _key(table, "full", place)
                yield Scores(key=full, f1=Printed.of(column.full))
            for name, row in table.rows.items():
                cell, key = row.cells[place], _key(table, name, place)
                numbers = dict(zip(cell.order, map(Printed.of, cell.printed.split()), strict=True))
                p, r, f1 = (numbers.get(letter) for letter in "PRF")
                yield Scores(key=key, precision=p, recall=r, f1=f1, n_gold=row.gold)
                if "D" in numbers:
                    full = _key(table, "full", place)
                    yield Stated(key=key, difference=numbers["D"], than=full.system)
    for claim in known.claims:
        first, second = _ends(known, claim)
        yield Stated(key=first, difference=Printed.of(claim.value), than=second.system)


def _ends(known: Papers, claim: Claim) -> tuple[Key, Key]:
    first, second = (_key(known.table(t), r, c) for t, r, c in (claim.first, claim.second))
    return first, second


def printed_table() -> Table:
    """Every cell and stated difference as the table that ``gmbench.score --audit`` reads."""
    records = []
    for line in _lines(_as_printed(FILE)):
        cells: dict[str, object] = dict.fromkeys(COLUMNS)
        cells |= {name: getattr(line.key, name) for name in ("table", "system", "task", "type")}
        if isinstance(line, Stated):
            cells |= {"difference": line.difference.text, "than": line.than}
        else:
            figures = zip(("P", "R", "F1"), (line.precision, line.recall, line.f1), strict=True)
            cells |= {name: figure.text if figure else None for name, figure in figures}
            cells["n_gold"] = line.n_gold
        records.append(cells)
    return Table.of_records(records)


def _audited(known: Papers) -> Papers:
    """The same with readings, flags and reasons."""
    lines = list(_lines(known))
    found = audit(
        [line for line in lines if isinstance(line, Scores)],
        [line for line in lines if isinstance(line, Stated)],
    )
    flags = {(flag.key, flag.than): flag for flag in found.flags}
    tables = {}
    for name, table in known.tables.items():
        rows = {key: _audited_row(table, key, found, flags) for key in table.rows}
        tables[name] = replace(table, rows=rows)
    claims = []
    for claim in known.claims:
        first, second = _ends(known, claim)
        flag = flags.get((first, second.system))
        claims.append(replace(claim, flag=flag.flag, reason=_reason(flag)) if flag else claim)
    return replace(known, tables=tables, claims=tuple(claims))


def _audited_row(
    table: PaperTable, name: str, found: Audit, flags: dict[tuple[Key, str], Flag]
) -> Row:
    row = table.rows[name]
    cells = {}
    for column, cell in row.cells.items():
        key = _key(table, name, column)
        full = _key(table, "full", column).system if cell.delta is not None else ""
        cells[column] = _audited_cell(
            cell, found.readings.get(str(key)), flags.get((key, "")) or flags.get((key, full))
        )
    if table.rows_are != "method":
        return replace(row, cells=cells)
    flag = flags.get((Key(table=f"{table.paper} {table.label}", system=name, task=""), ""))
    known = all(cell.order != "???" for cell in cells.values())
    one_list = False if flag else True if known else None
    return replace(row, cells=cells, one_list=one_list, reason=_reason(flag) if flag else None)


def _audited_cell(cell: Cell, reading: str | None, flag: Flag | None) -> Cell:
    order = cell.order
    if reading is not None:  # of the numbers headed P, R and F1, in their order on the page
        order = "".join(reading["PRF".index(letter)] for letter in order)
    reason = _reason(flag) if flag else None
    if order == "??F":
        reason = f"{reason} {OPEN}" if reason else OPEN
    return replace(cell, order=order, flag=flag.flag if flag else "ok", reason=reason)


def _reason(flag: Flag) -> str:
    text = FLAGS[flag.flag] if flag.flag in SHARED else flag.proof
    return f"{text[0].upper()}{text[1:]}."
