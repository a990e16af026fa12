"""Findings as a page of documentation: goals, ratios and everything measured; no torch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.speed.goals import goals_table


def page(contents: Sequence[Mapping[str, Any]]) -> str:
    """The tables of one or several documents in Markdown.

    Args:
        contents: what runs of the bench found; of two with the same ratio the later one is shown.
    """
    return "\n".join(_lines(contents, joined(contents))) + "\n"


def joined(contents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The findings of several runs as those of one."""
    whole: dict[str, Any] = {"rows": [row for content in contents for row in content["rows"]]}
    for key in ("ratios", "spread", "notes"):
        whole[key] = {name: value for c in contents for name, value in c[key].items()}
    return whole


def _lines(contents: Sequence[Mapping[str, Any]], content: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        "# Benchmarks",
        "",
        "*How long does it take, and how much memory, beside what cannot be had for less?*",
        "",
    )
    yield from ("Written by `python -m tests.speed --markdown FILE`, from:", "")
    for one in contents:
        machine = ", ".join(f"{key} {value}" for key, value in one["machine"].items())
        yield f"- `{one.get('command', 'an earlier file')}`: {machine}"
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
