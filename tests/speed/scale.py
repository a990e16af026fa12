"""Suite ``scale``: what every part costs as the data grows, on the built-in world."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.speed.measure import Findings, Row, Spread
from tests.speed.processes import in_a_process
from tests.speed.scale_parts import PARTS, Cost, train

if TYPE_CHECKING:
    from tests.speed.sizes import Size

FACTORS = (1, 4, 16)
POSTS = 100
"""Training posts of the smallest size; scoring is measured on ``MORE`` times as many."""
MORE = 20
RUNS = 4
"""Runs that are reported at the smallest size."""


def run(size: "Size", parts: Sequence[str] | None = None) -> Findings:
    """Measure parts at every size.

    Args:
        size: the shapes; tiny ones take a handful of posts.
        parts: names in :data:`PARTS`; all by default.
    """
    posts, factors = (POSTS, FACTORS) if size.paper else (8, (1, 2))
    names = tuple(PARTS) if parts is None else tuple(parts)
    costs: dict[str, list[tuple[int, Cost, float]]] = {name: [] for name in names}
    with TemporaryDirectory() as folder:
        trained = Path(folder) / "trained"
        if {"predict", "report"} & set(names):
            in_a_process(train, trained, posts)
        for factor in factors:
            place = Path(folder) / f"x{factor}"
            place.mkdir()
            for name in names:
                number = factor * {"score": MORE * posts, "report": RUNS}.get(name, posts)
                cost, peak = in_a_process(PARTS[name], place, number, trained)
                costs[name].append((number, cost, peak))
    rows, ratios = [], {}
    for name, found in costs.items():
        unit = "runs" if name == "report" else "posts"
        for number, cost, peak in found:
            facts = {"peak_mb": peak, "own_mb": peak - cost.before}
            facts[f"ms_a_{unit[:-1]}"] = 1e3 * cost.cpu / number
            cpu, wall = (Spread.of([1e3 * seconds]) for seconds in (cost.cpu, cost.wall))
            rows.append(Row("scale", f"{name}: {number:,} {unit}", cpu, wall, facts))
        (least, first, low), (most, last, high) = found[0], found[-1]
        growth = (last.cpu / most) / (first.cpu / least)
        ratios[f"scale_{name}_time"] = Spread.of([growth])
        ratios[f"scale_{name}_peak"] = Spread.of([high / low])
        rows.append(
            Row(
                "scale",
                f"{name}: growth",
                facts={"kb_a_" + unit[:-1]: 1024 * (high - low) / (most - least)},
            )
        )
    notes = {
        "scale_*_time": f"CPU time a post at {factors[-1]} times the data over that at once",
        "scale_*_peak": "peak memory of the process, likewise; 1 = flat",
    }
    return Findings(tuple(rows), ratios, notes)
