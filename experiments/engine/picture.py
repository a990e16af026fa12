"""An experiment as a picture: bars, or curves in bands, with every seed and the paper's numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from experiments.engine.collect import Block, OurCell
from experiments.engine.plan import Experiment
from gmbench.reporting.plots import BLUE, GREEN, GREY, STYLE, VERMILION
from gmbench.scoring.methods import SeedSummary

OURS = (BLUE, VERMILION, GREEN)
PAPER = GREY
STYLES = ("-", "--", ":")
MARKERS = ("o", "s", "^")


def picture(experiment: Experiment, blocks: Sequence[Block]) -> bytes:
    """The PNG; a row without runs keeps its place and says *not run*."""
    with style.context(["default", dict(STYLE)]):  # the look of every other picture
        return _drawn(experiment, blocks)


def _drawn(experiment: Experiment, blocks: Sequence[Block]) -> bytes:
    rows = len(experiment.rows)
    height = 3.6 if experiment.curve else 1.3 + 0.42 * rows
    figure = Figure(figsize=(6.6 * len(blocks), height), layout="constrained")
    axes = figure.subplots(1, len(blocks), squeeze=False)[0]
    for axis, block in zip(axes, blocks, strict=True):
        if experiment.curve:
            _curve(axis, experiment, block)
        else:
            _bars(axis, experiment, block)
        axis.set_title(block.setting.label, fontsize=10, weight="normal")
    figure.suptitle(experiment.title, fontsize=11, weight="bold", x=0.01, ha="left")
    out = BytesIO()
    figure.savefig(out, dpi=150, metadata={"Software": None})
    return out.getvalue()


def _bars(axis: Any, experiment: Experiment, block: Block) -> None:
    measure = experiment.measures[0]
    cells = [row[0] for row in block.cells]
    labels = [cell.row.label for cell in cells]
    for place, cell in enumerate(cells):
        if cell.summary is None:
            axis.text(0, place, "  not run", va="center", fontsize=8, color=PAPER, style="italic")
            continue
        colour = OURS[1] if cell.row.key == experiment.reference else OURS[0]
        axis.barh(place, cell.summary.mean, height=0.6, color=colour)
        _spread(axis, cell, place)
        axis.text(0, place, f" {cell.summary.mean:.1f}", va="center", color="white", fontsize=8)
    real = [(place, cell.value) for place, cell in enumerate(cells) if cell.value is not None]
    if real and block.setting.real:
        axis.plot([v for _, v in real], [p for p, _ in real], "D", color=PAPER, ms=5, label="paper")
        axis.legend(fontsize=8)
    axis.grid(visible=False, axis="y")
    axis.set_yticks(range(len(cells)), labels, fontsize=8)
    axis.set_ylim(len(cells) - 0.4, -0.6)
    shown = [cell.summary.mean for cell in cells if cell.summary] or [100.0]
    if block.setting.real:
        shown += [v for _, v in real]
    axis.set_xlim(0, max(1.0, max(shown)) * 1.12)
    axis.set_xlabel(f"{measure.title} in %, mean; dots: single seeds", fontsize=8)
    axis.tick_params(axis="x", labelsize=8)


def _spread(axis: Any, cell: OurCell, place: float) -> None:
    assert cell.summary is not None
    values = cell.summary.values
    axis.plot(values, [place] * len(values), "o", ms=4, color="black", mec="white", zorder=3)


@dataclass(frozen=True)
class Line:
    """One line of a curve: places on its axis (None = across) and what was measured there."""

    label: str
    colour: str
    style: str
    points: tuple[tuple[float | None, SeedSummary], ...]


def lines(experiment: Experiment, block: Block) -> tuple[Line, ...]:
    """A line a measure; where rows name their series, a line a series and measure.

    Colours tell what the eye should compare: series where there are several, else measures.
    """
    names = tuple(
        dict.fromkeys(row.series for row in experiment.rows if row.series or row.x is not None)
    )
    found = []
    for name_number, name in enumerate(names):
        for number, measure in enumerate(experiment.measures[: len(OURS)]):
            points = [
                (_place(experiment, row[number]), summary)
                for row in block.cells
                if row[number].row.series == name
                and (name is not None or row[number].row.x is not None)
                and (summary := row[number].summary) is not None
            ]
            if points:
                found.append(
                    Line(
                        label=f"{name}: {measure.title}" if name else measure.title,
                        colour=OURS[name_number if len(names) > 1 else number],
                        style=STYLES[number] if len(names) > 1 else "-",
                        points=tuple(sorted(points, key=lambda point: point[0] or 0.0)),
                    )
                )
    return tuple(found)


def _place(experiment: Experiment, cell: OurCell) -> float | None:
    """Where a row stands on the axis: as it says, or as its first run was measured."""
    if cell.row.x is not None or experiment.along is None or not cell.runs:
        return cell.row.x
    measured = experiment.along(cell.runs[0])
    return None if measured is None else round(measured, 1)


def _curve(axis: Any, experiment: Experiment, block: Block) -> None:
    drawn = lines(experiment, block)
    for line in drawn:
        along = [(x, s) for x, s in line.points if x is not None]
        look = {"color": line.colour, "linestyle": line.style}
        if along:
            places = [x for x, _ in along]
            marker = MARKERS[OURS.index(line.colour)]
            axis.plot(places, [s.mean for _, s in along], marker=marker, label=line.label, **look)
            low, high = [min(s.values) for _, s in along], [max(s.values) for _, s in along]
            axis.fill_between(places, low, high, color=line.colour, alpha=0.15, linewidth=0)
        for _, summary in (point for point in line.points if point[0] is None):
            axis.axhline(summary.mean, label=line.label, **look)
            low, high = min(summary.values), max(summary.values)
            axis.axhspan(low, high, color=line.colour, alpha=0.12, linewidth=0)
    planned = {row.x for row in experiment.rows if row.fits(block.setting)}
    places = planned | {x for line in drawn for x, _ in line.points}
    axis.set_xticks(sorted(x for x in places if x is not None))
    axis.set_xlabel(experiment.curve, fontsize=8)
    axis.set_ylabel("in %, mean; band: all seeds", fontsize=8)
    axis.tick_params(labelsize=8)
    if drawn:
        axis.legend(fontsize=8, handlelength=3.5)  # so long that dashes show
    else:
        axis.text(0.5, 0.5, "not run", transform=axis.transAxes, ha="center", style="italic")
