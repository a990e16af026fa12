"""The numbers of the papers, as printed; nothing here corrects one.

``papers().table("mqspn_table1").cell("MQSPN", "gmner").f1`` is 58.76. A cell or row with a
``reason`` must carry it as a footnote wherever it is shown (``paper_tables.py`` does).
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from experiments.papers.published import Papers
from gmbench.core.errors import InputError
from gmbench.core.records import parse_record

try:
    from yaml import CSafeLoader as SafeLoader  # ten times as fast, where it is built
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

FILE = Path(__file__).with_name("papers.yaml")


@cache
def papers(path: Path = FILE) -> Papers:
    """Read and check the file.

    Raises:
        InputError: a key is unknown or missing, or a value is not what it should be.
    """
    plain = yaml.load(path.read_text(encoding="utf-8"), Loader=SafeLoader)
    try:
        filled = {
            "methods": {name: {"note": None, **row} for name, row in plain["methods"].items()},
            "tables": {key: _table(table) for key, table in plain["tables"].items()},
            "claims": [{"flag": "ok", "reason": None, **claim} for claim in plain["claims"]],
        }
    except (KeyError, TypeError, AttributeError) as fault:
        raise InputError(f"{path.name}: not in the shape of its tables: {fault!r}") from fault
    return parse_record(Papers, json.dumps(filled), path.name)


def _table(table: dict[str, Any]) -> dict[str, Any]:
    """The table with everything written out that the file leaves to defaults."""
    rest = dict(table)
    order, average = rest.pop("order"), rest.pop("average")
    reasons = rest.pop("reasons", {})
    (rows_are,) = {"method", "type", "setting"} & rest["rows"][0].keys()
    columns = {
        key: {"method": None, "full": None, "average": average, **column}
        for key, column in rest.pop("columns").items()
    }
    rows = {}
    for listed in rest.pop("rows"):
        row = dict(listed)
        key = row.pop(rows_are)
        cells = {name: _cell(cell, order, reasons) for name, cell in row.pop("cells").items()}
        if key in rows or cells.keys() != columns.keys():
            raise KeyError(f"row {key!r} stands twice or lacks a column")
        reason = reasons["one_list"] if row.get("one_list") is False else None
        defaults = {"title": key, "gold": None, "one_list": None, "reason": reason}
        rows[key] = {**defaults, **row, "cells": cells}
    return {"notes": [], **rest, "rows_are": rows_are, "columns": columns, "rows": rows}


def _cell(cell: str | dict[str, Any], order: str, reasons: dict[str, str]) -> dict[str, Any]:
    given = {"printed": cell} if isinstance(cell, str) else cell
    flag = given.get("flag", "ok")
    return {"order": order, "flag": flag, "reason": reasons.get(flag), **given}
