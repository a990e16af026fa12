"""The charts of a run as data. ``plots`` draws them as pictures, the site draws them in its pages.

One look for all: the colours of Okabe and Ito, which colour-blind readers can tell apart, and never
colour alone (markers, line styles or words say the same).
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gmbench.scoring.analysis import Analysis
from gmbench.scoring.calibration import Calibration
from gmbench.scoring.confusion import Confusion
from gmbench.scoring.error_types import KINDS, REGIONS, Decomposition
from gmbench.scoring.grounding import RegionUpperBound, Sweep

WORDS = {
    "type": "type",
    "region": "region",
    "type_region": "type and region",
    "span": "span",
    "duplicate": "duplicate",
    "spurious": "spurious",
    "missed": "missed",
    "none_for_box": "no box given, one is due",
    "box_for_none": "a box given, none is due",
    "other_entity": "on another entity",
    "poor_box": "poor box (IoU 0.1 to 0.5)",
    "wrong_box": "wrong box (IoU below 0.1)",
}
INACTIVE = 0.01
"""Share of what a part adds to, below which it is as good as switched off."""
SMOOTHED = 20
"""The loss is averaged over this part of the run, 1 / SMOOTHED, to either side of a step."""

Point = tuple[float, float]
Look = Literal["blue", "orange", "green", "vermilion", "grey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a chart.

    Attributes:
        look: its colour; each has a marker and a dash of its own.
        marks: whether its points are marked.
        faint: whether it is the ground of another line; it is not in the legend.
        rule: whether it is drawn thin and dashed, as something to compare with.
    """

    label: str
    points: Sequence[Point]
    look: Look
    marks: bool = True
    faint: bool = False
    rule: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """Lines over two axes.

    Attributes:
        x, y: what the axes are.
        x_range, y_range: of the axes; None = as far as the points go.
        chosen: x of the chosen checkpoint, marked by an upright line.
        note: figures beside the chart.
    """

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    x_range: Point | None = None
    y_range: Point | None = None
    chosen: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar: its length, and what stands at its end."""

    label: str
    value: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Bars below one another; ``x`` is what their lengths are."""

    title: str
    x: str
    bars: Sequence[Bar]
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixChart:
    """Counts in rows and columns; each is shaded by its share of its row.

    Attributes:
        x, y: what columns and rows are.
        columns, rows: their names.
    """

    title: str
    x: str
    y: str
    columns: Sequence[str]
    rows: Sequence[str]
    counts: Sequence[Sequence[int]]

    @property
    def shares(self) -> list[list[float]]:
        """Every count as a share of its row; 0 in an empty one."""
        return [[count / max(1, sum(row)) for count in row] for row in self.counts]


Chart = LineChart | BarChart | MatrixChart


def analysis_charts(analysis: Analysis) -> dict[str, tuple[Chart, ...]]:
    """The charts that there is data for, by the name of their picture."""
    task = "GMNER" if "gmner" in analysis.intervals else "MNER"
    charts: dict[str, tuple[Chart, ...]] = {"errors": error_charts(analysis.errors, task)}
    if analysis.sweep is not None:
        charts["sweep"] = (sweep_chart(analysis.sweep, analysis.intervals["mner"].f1.value),)
    if analysis.ceiling is not None:
        gmner, mner = (analysis.intervals[name].recall.value for name in ("gmner", "mner"))
        charts["ceiling"] = (ceiling_chart(analysis.ceiling, gmner, mner),)
    if analysis.calibration is not None:
        charts["calibration"] = (calibration_chart(analysis.calibration),)
    if analysis.confusion is not None:
        charts["confusion"] = (confusion_chart(analysis.confusion),)
    if analysis.additions:
        charts["additions"] = (additions_chart(analysis.additions),)
    return charts


def error_charts(errors: Decomposition, task: str) -> tuple[BarChart, ...]:
    """What repairing each kind of error would be worth, and which regions are wrong."""
    shown = [(key, errors.kinds[key]) for key in KINDS if task == "GMNER" or "region" not in key]
    kinds = BarChart(
        title=f"{task} errors",
        x="points of F1 if it alone were repaired (count)",
        bars=[
            Bar(
                label=WORDS[key],
                value=100 * kind.gain,
                text=f"+{100 * kind.gain:.1f}  ({kind.count:,})",
            )
            for key, kind in shown
        ],
        look="blue",
    )
    if task != "GMNER":
        return (kinds,)
    counts = [(key, errors.regions[key]) for key in REGIONS]
    bars = [Bar(label=WORDS[key], value=count, text=f"{count:,}") for key, count in counts]
    regions = BarChart(
        title="Wrong regions", x="pairs with the right span", bars=bars, look="vermilion"
    )
    return kinds, regions


def sweep_chart(swept: Sweep, mner: float) -> LineChart:
    """F1 by the IoU that a box must have."""
    ends = (swept.thresholds[0], swept.thresholds[-1])
    return LineChart(
        title="How exact the boxes are",
        x="least IoU of a right box",
        y="F1 in %",
        lines=(
            Line(label="EEG", points=_percent(swept.thresholds, swept.eeg), look="orange"),
            Line(label="GMNER", points=_percent(swept.thresholds, swept.gmner), look="blue"),
            _level("MNER (no region)", 100 * mner, ends, "grey"),
        ),
        y_range=(0, 102),
    )


def ceiling_chart(ceiling: RegionUpperBound, gmner: float, mner: float) -> LineChart:
    """What the first k candidates cover, and where the model stands below that, as recall."""
    ks = range(1, ceiling.k + 1)
    marks: Sequence[tuple[str, float, Look]] = (
        ("MNER recall", mner, "grey"),
        ("oracle region", ceiling.oracle.recall, "green"),
        ("GMNER recall", gmner, "vermilion"),
    )
    return LineChart(
        title="What the candidates allow",
        x="k, first candidates of each image",
        y="recall in %",
        lines=(
            Line(
                label="greatest GMNER recall",
                points=_percent(ks, ceiling.gmner),
                look="blue",
                marks=False,
            ),
            Line(
                label="region recall, IoU ≥ 0.5",
                points=_percent(ks, ceiling.recall),
                look="orange",
                marks=False,
            ),
            *(
                Line(label=f"this model: {label}", points=[(ceiling.k, 100 * value)], look=look)
                for label, value, look in marks
            ),
        ),
        y_range=(0, 102),
    )


def calibration_chart(known: Calibration) -> LineChart:
    """The reliability curve over bins of equal mass, and how good it is in figures."""
    auc = "none" if known.auc is None else f"{known.auc:.3f}"
    return LineChart(
        title="Does it know what is not shown?",
        x="said: probability of no box",
        y="was: share without a box",
        lines=(
            Line(
                label="perfectly calibrated",
                points=[(0, 0), (1, 1)],
                look="grey",
                marks=False,
                rule=True,
            ),
            Line(
                label="this model, bins of equal mass",
                points=[(one.said, one.was) for one in known.bins],
                look="blue",
            ),
            _level("base rate", known.base_rate, (0, 1), "orange"),
        ),
        x_range=(-0.02, 1.02),
        y_range=(-0.02, 1.02),
        note=(
            f"{known.n:,} predictions on gold spans\n"
            f"Brier {known.brier:.3f} (constant {known.brier_constant:.3f})\n"
            f"ECE {known.ece.value:.3f}, equal mass {known.ece_equal_mass.value:.3f}\n"
            f"NLL {known.nll:.3f}, AUC {auc}"
        ),
    )


def confusion_chart(confusion: Confusion) -> MatrixChart:
    """Gold types against predicted ones on the same spans."""
    return MatrixChart(
        title="Types on exact spans",
        x="predicted",
        y="gold",
        columns=(*confusion.types, "missed"),
        rows=(*confusion.types, "spurious"),
        counts=confusion.counts,
    )


def additions_chart(additions: Mapping[str, float]) -> BarChart:
    """How much each part of the model adds, and which are as good as switched off."""
    return BarChart(
        title="What each part adds",
        x="in % of what it adds to",
        bars=[
            Bar(
                label=name.replace(".", " "),  # lines are broken at spaces
                value=100 * share,
                text=f"{100 * share:.3g}{' inactive' if share < INACTIVE else ''}",
            )
            for name, share in additions.items()
        ],
        look="green",
    )


def recall_chart(curves: Mapping[str, Sequence[float]], ks: Sequence[int], name: str) -> LineChart:
    """Share of the gold boxes that the first k candidates meet, a line a source."""
    looks: Sequence[Look] = ("blue", "orange", "green", "vermilion")
    return LineChart(
        title=f"{name}: recall of gold boxes",
        x="first k candidates of an image",
        y="gold boxes met at IoU 0.5, in %",
        lines=[
            Line(label=label, points=_percent(ks, shares), look=look)
            for (label, shares), look in zip(curves.items(), looks, strict=False)
        ],
        y_range=(0, 100),
    )


# Learning curves of a run, from its `metrics.csv`.
def read_curves(path: Path) -> dict[str, list[Point]]:
    """By name of a metric, ``(step, value)`` where it was logged.

    Raises:
        ValueError: the file does not hold numbers.
    """
    found: dict[str, list[Point]] = {}
    for row in csv.DictReader(path.read_text().splitlines()):
        for name, value in row.items():
            if value and name != "step" and row.get("step"):
                found.setdefault(name, []).append((float(row["step"]), float(value)))
    return found


def curve_charts(path: Path, *, saw_pixels: bool, chosen: int | None) -> tuple[LineChart, ...]:
    """Training loss and dev F1 over the steps; nothing where nothing was logged.

    Args:
        path: the ``metrics.csv``.
        saw_pixels: False: only MNER F1 is drawn, as nothing else is reported of such a run.
        chosen: the epoch of the chosen checkpoint, from 0; None where there is none.

    Raises:
        ValueError: the file does not hold numbers.
    """
    curves = read_curves(path)
    loss, lines = curves.get("train/loss", []), []
    looks: Mapping[str, Look] = {"gmner": "blue", "mner": "green", "eeg": "orange"}
    for task in looks if saw_pixels else ("mner",):
        # The last check repeats that of the chosen checkpoint.
        logged = curves.get(f"dev/{task}_f1", [])
        points = [(step, 100 * value) for step, value in logged[: max(1, len(logged) - 1)]]
        if points:
            lines.append(Line(label=task.upper(), points=points, look=looks[task]))
    checks = {step for line in lines for step, _ in line.points}
    of_epoch = [step for step, epoch in curves.get("epoch", []) if epoch == chosen]
    step = max(checks.intersection(of_epoch), default=None)
    charts = []
    if loss:
        smooth = Line(
            label="mean over neighbours" if len(loss) >= SMOOTHED else "logged",
            points=smoothed(loss),
            look="grey",
            marks=len(loss) < SMOOTHED,
        )
        logged_line = Line(label="logged", points=loss, look="grey", marks=False, faint=True)
        shown = (logged_line, smooth) if len(loss) >= SMOOTHED else (smooth,)
        charts.append(
            LineChart(title="Training loss", x="step", y="loss", lines=shown, chosen=step)
        )
    if lines:
        charts.append(LineChart(title="Dev F1", x="step", y="F1 in %", lines=lines, chosen=step))
    return tuple(charts)


def smoothed(curve: Sequence[Point]) -> list[Point]:
    """The mean of every point's neighbours, as many on either side; nearer the ends fewer."""
    reach = len(curve) // SMOOTHED
    found = []
    for place, (x, _) in enumerate(curve):
        near = min(reach, place, len(curve) - 1 - place)
        values = [value for _, value in curve[place - near : place + near + 1]]
        found.append((x, math.fsum(values) / len(values)))
    return found


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from ``low`` to ``high``: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * one for one in (1, 2, 5, 10) if (high - low) / (power * one) <= most)
    return [
        step * n for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _percent(xs: Sequence[float], shares: Sequence[float]) -> list[Point]:
    return [(x, 100 * share) for x, share in zip(xs, shares, strict=True)]


def _level(label: str, y: float, ends: Point, look: Look) -> Line:
    return Line(label=label, points=[(x, y) for x in ends], look=look, marks=False, rule=True)
