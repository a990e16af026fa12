"""Findings as JSON and as a table, and what got worse since an earlier file; no torch."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from gmbench.core.files import write_atomically
from tests.speed.measure import Findings, Row, Spread

SCHEMA = 1
NOISE = 0.10
"""A difference below a tenth is noise, whatever the spread says."""


class BadDocument(ValueError):
    """A file is not what ``--json`` writes."""


def document(
    findings: Sequence[Findings], facts: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything found, plain.

    Args:
        findings: of the suites.
        facts: of the machine.
        settings: what was asked for; two documents compare where these agree.
    """
    ratios = {name: spread for found in findings for name, spread in found.ratios.items()}
    return {
        "schema": SCHEMA,
        "settings": dict(settings),
        "machine": dict(facts),
        "rows": [asdict(row) for found in findings for row in found.rows],
        "ratios": {name: spread.median for name, spread in ratios.items()},
        "spread": {name: [spread.low, spread.high] for name, spread in ratios.items()},
        "notes": {name: note for found in findings for name, note in found.notes.items()},
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a document, whole or not at all."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """An earlier document.

    Raises:
        BadDocument: missing, no JSON, or of another schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadDocument(f"{path}: {error}; write one with --json") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise BadDocument(f"{path}: no document of schema {SCHEMA}; write one with --json")
    return content


def regressions(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Ratios whose best repeat is worse than the worst of before, by more than the noise.

    Raises:
        BadDocument: the two were asked for different things.
    """
    if now["settings"] != before["settings"]:
        raise BadDocument(
            f"other settings: {before['settings']} before, {now['settings']} now; "
            "repeat the command of the earlier file"
        )
    lines = []
    for name, value in now["ratios"].items():
        if name not in before["ratios"]:
            continue
        old, worst = before["ratios"][name], before["spread"][name][1]
        best = now["spread"][name][0]
        if best > worst and value > old * (1 + NOISE):
            lines.append(f"{name}: {value:.3g}, {old:.3g} before (less is better)")
    return lines


def machine(threads: int, torch_version: str) -> dict[str, Any]:
    """What the figures depend on, without anything that names the machine or its user."""
    return {
        "cpu": _cpu(),
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch_version,
        "system": platform.system(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def row_table(rows: Sequence[Row]) -> Table:
    """Medians with the spread of the repeats, and the exact companions."""
    table = Table(title="Measured (CPU ms, median; least to greatest)", title_justify="left")
    table.add_column("suite")
    table.add_column("what")
    for column in ("CPU ms", "spread", "wall ms"):
        table.add_column(column, justify="right")
    table.add_column("counted")
    for row in rows:
        spread = "" if row.cpu_ms is None else f"{_short(row.cpu_ms.low)}-{_short(row.cpu_ms.high)}"
        counted = ", ".join(f"{name} {_short(value)}" for name, value in row.facts.items())
        table.add_row(
            row.suite, row.name, _median(row.cpu_ms), spread, _median(row.wall_ms), counted
        )
    return table


def ratio_table(content: Mapping[str, Any]) -> Table:
    """Every ratio with its spread."""
    table = Table(title="Ratios (less is better)", title_justify="left")
    table.add_column("ratio")
    table.add_column("median", justify="right")
    table.add_column("spread", justify="right")
    for name, value in content["ratios"].items():
        low, high = content["spread"][name]
        table.add_row(name, f"{value:.3g}", "" if low == high else f"{low:.3g}-{high:.3g}")
    return table


def _median(spread: Spread | None) -> str:
    return "" if spread is None else _short(spread.median)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
