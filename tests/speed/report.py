"""Findings as JSON and as Markdown, targets beside figures, and regressions; no torch."""

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmbench.core.errors import InputError

if TYPE_CHECKING:
    from tests.speed.measure import Findings

SCHEMA = 2
NOISE = 0.10
"""A difference below a tenth is noise, whatever the spread says."""

TARGETS = {
    "mqspn_step_over_text_encoder": 1.9,
    "mqspn_matching_share": 0.01,
    "mqspn_operations": 2500,
    "mqspn_operations_growth": 1.0,
    "mqspn_bf16_over_fp32": 0.56,
    "mqspn_peak_gb": 4.0,
    "qgn_step_over_encoders": 2.0,
    "qgn_flop_over_encoders": 1.9,
    "qgn_matching_share": 0.01,
    "qgn_operations": 3000,
    "qgn_operations_growth": 1.0,
    "qgn_bf16_over_fp32": 0.56,
    "qgn_peak_gb": 7.5,
    "loader_crops_over_decoding_per_region": 0.33,
    "loader_cached_over_decoding_per_region": 0.02,
    "padding_waste": 0.03,
    "score_ms_per_1500": 50,
    "decode_ms_per_1500": 150,
    "region_records_mb": 500,
}
"""What the project aims at: upper limits of figures. The code released with MQSPN's paper takes
12 to 13 times its text encoder's time for a step."""


def document(
    findings: Sequence["Findings"], *, command: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything measured, as plain values.

    Args:
        findings: one per suite.
        command: the command line.
        settings: what was requested; two documents compare where these agree.
    """
    import torch

    figures = {name: spread for each in findings for name, spread in each.figures.items()}
    return {
        "schema": SCHEMA,
        "command": command,
        "settings": dict(settings),
        "machine": {
            "cpu": _cpu(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "system": platform.system(),
        },
        "rows": [asdict(row) for each in findings for row in each.rows],
        "figures": {name: asdict(spread) for name, spread in figures.items()},
    }


def read(path: Path) -> dict[str, Any]:
    """An earlier document.

    Raises:
        InputError: missing, no JSON, or of another schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; write one with --json") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{path}: no document of schema {SCHEMA}; write one with --json")
    return content


def regressions(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Figures whose best repeat is worse than the worst before, by more than the noise.

    Raises:
        InputError: the two were measured under different settings.
    """
    if now["settings"] != before["settings"]:
        raise InputError(
            f"other settings: {before['settings']} before, {now['settings']} now; "
            f"repeat {before['command']}"
        )
    lines = []
    for name in now["figures"].keys() & before["figures"].keys():
        new, old = now["figures"][name], before["figures"][name]
        if new["low"] > old["high"] and new["median"] > old["median"] * (1 + NOISE):
            lines.append(f"{name}: {new['median']:.3g}, {old['median']:.3g} before")
    return sorted(lines)


def page(content: Mapping[str, Any]) -> str:
    """The figures beside their targets, then everything measured, in Markdown."""
    return "\n".join(_lines(content)) + "\n"


def _lines(content: Mapping[str, Any]) -> Iterator[str]:
    machine = ", ".join(f"{key} {value}" for key, value in content["machine"].items())
    yield f"`{content['command']}`: {machine}"
    yield from ("", "| figure (lower is better) | median | spread | target | |")
    yield "|---|---|---|---|---|"
    for name, spread in content["figures"].items():
        target, verdict = TARGETS.get(name), ""
        if target is not None:
            verdict = "met" if spread["median"] <= target else "**missed**"
        shown = "" if target is None else f"<= {_short(target)}"
        yield f"| `{name}` | {_short(spread['median'])} | {_span(spread)} | {shown} | {verdict} |"
    yield from ("", "| suite | task | ms | spread | counts |", "|---|---|---|---|---|")
    for row in content["rows"]:
        spread = row["ms"]
        median = "" if spread is None else _short(spread["median"])
        counts = ", ".join(f"{name} {_short(value)}" for name, value in row["facts"].items())
        yield f"| {row['suite']} | {row['name']} | {median} | {_span(spread)} | {counts} |"


def _span(spread: Mapping[str, float] | None) -> str:
    if spread is None or spread["low"] == spread["high"]:
        return ""
    return f"{_short(spread['low'])} to {_short(spread['high'])}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
