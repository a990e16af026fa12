"""Findings as a page of documentation: goals, ratios and everything measured; no torch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gmbench.benching.goals import goals_table


def page(content: Mapping[str, Any], command: str) -> str:
    """The tables of a document in Markdown.

    Args:
        content: a document, or several joined by :func:`joined`.
        command: that measured it.
    """
    return "\n".join(_lines(content, command)) + "\n"


def joined(contents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Documents of several runs as one; the first's machine is told, the later's ratios win."""
    first = dict(contents[0])
    first["rows"] = [row for content in contents for row in content["rows"]]
    for key in ("ratios", "spread", "notes"):
        first[key] = {name: value for c in contents for name, value in c[key].items()}
    return first


def _lines(content: Mapping[str, Any], command: str) -> Iterator[str]:
    machine = ", ".join(f"{key} {value}" for key, value in content["machine"].items())
    yield f"Written by `{command}`; {machine}."
    goals = goals_table(content)
    if goals:
        yield from ("", "| goal | limit | measured | |", "|---|---|---|---|")
        yield from (f"| {' | '.join(line)} |" for line in goals)
    yield from ("", "| ratio (less is better) | median | spread |", "|---|---|---|")
    for name, value in content["ratios"].items():
        low, high = content["spread"][name]
        spread = "" if low == high else f"{low:.3g} to {high:.3g}"
        yield f"| `{name}` | {value:.3g} | {spread} |"
    yield from (
        "",
        "| suite | what | CPU ms | spread | wall ms | counted |",
        "|---|---|---|---|---|---|",
    )
    for row in content["rows"]:
        cpu, wall = row["cpu_ms"], row["wall_ms"]
        spread = "" if cpu is None else f"{_short(cpu['low'])} to {_short(cpu['high'])}"
        cells = [
            row["suite"],
            row["name"],
            "" if cpu is None else _short(cpu["median"]),
            spread,
            "" if wall is None else _short(wall["median"]),
            ", ".join(f"{name} {_short(value)}" for name, value in row["facts"].items()),
        ]
        yield f"| {' | '.join(cells)} |"
    for name, note in content["notes"].items():
        yield from ("", f"`{name}`: {note}.")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
