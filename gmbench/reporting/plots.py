"""Charts as pictures. matplotlib is imported with the first one, so that verbs start fast.

No global state: figures are built by hand, drawn by Agg; equal charts give equal bytes.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmbench.core.files import write_atomically
from gmbench.reporting.charts import (
    BarChart,
    Chart,
    LineChart,
    Look,
    MatrixChart,
    analysis_charts,
    curve_charts,
)
from gmbench.scoring.analysis import Analysis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
STYLE: Mapping[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "figure.dpi": 120,
}
LOOKS: Mapping[Look, tuple[str, str, str]] = {
    "blue": (BLUE, "o", "-"),
    "orange": (ORANGE, "s", "-."),
    "green": (GREEN, "^", "-"),
    "vermilion": (VERMILION, "D", ":"),
    "grey": (GREY, "v", "-"),
}
"""Colour, marker and dash."""
PICTURES = ("errors", "sweep", "ceiling", "calibration", "confusion", "additions")
ROOM = 10
"""Rows of a matrix for which a picture of the usual size has room."""


def draw_analysis(analysis: Analysis, folder: Path, name: str) -> tuple[Path, ...]:
    """Draw all of ``PICTURES`` that there is data for into a folder; the files written.

    The folder is made where it is missing; ``name`` is the run's, for the titles.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stem in PICTURES:  # what an earlier analysis left here
        (folder / f"{stem}.png").unlink(missing_ok=True)
    charts = analysis_charts(analysis)
    for stem, shown in charts.items():
        rows = max(
            (len(chart.rows) for chart in shown if isinstance(chart, MatrixChart)), default=0
        )
        size = (8.0, 4.0) if rows <= ROOM else (3 + 0.3 * rows, 2.5 + 0.3 * rows)
        write_atomically(folder / f"{stem}.png", charts_png(shown, name, size))
    return tuple(folder / f"{stem}.png" for stem in charts)


def curves_png(path: Path, *, saw_pixels: bool, chosen: int | None) -> bytes | None:
    """``charts.curve_charts`` as one picture; None where nothing was logged.

    Raises:
        ValueError: the file does not hold numbers.
    """
    charts = curve_charts(path, saw_pixels=saw_pixels, chosen=chosen)
    return charts_png(charts, size=(8, 3.4)) if charts else None


def charts_png(
    charts: Sequence[Chart], name: str = "", size: tuple[float, float] = (8, 4)
) -> bytes:
    """Charts side by side as a PNG; ``name`` goes before the first title."""

    def draw(figure: "Figure") -> None:
        bars = all(isinstance(chart, BarChart) for chart in charts)
        widths = (3, 2)[: len(charts)] if bars else [1] * len(charts)
        places = figure.subplots(1, len(charts), width_ratios=widths, squeeze=False).flat
        for place, (axes, chart) in enumerate(zip(places, charts, strict=True)):
            axes.set_title(f"{name}: {chart.title}" if name and not place else chart.title)
            axes.set_xlabel(chart.x)
            if isinstance(chart, BarChart):
                _bars(axes, chart)
            elif isinstance(chart, MatrixChart):
                _matrix(axes, chart)
            else:
                _lines(axes, chart)
                _legend(figure, axes, chart, beside=len(charts) == 1)

    return png(draw, size)


def png(
    draw: "Callable[[Figure], None]", size: tuple[float, float] = (8, 4), **options: Any
) -> bytes:
    """A figure of ``size`` inches in the common style as a PNG, whatever a matplotlibrc says."""
    from matplotlib import style
    from matplotlib.figure import Figure

    stream = BytesIO()
    with style.context(["default", dict(STYLE)]):
        figure = Figure(figsize=size, **{"layout": "constrained"} | options)
        draw(figure)
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _bars(axes: "Axes", chart: BarChart) -> None:
    bars = chart.bars[::-1]  # the first on top
    colour = LOOKS[chart.look][0]
    axes.barh(range(len(bars)), [bar.value for bar in bars], color=colour, height=0.7)
    axes.set_yticks(range(len(bars)), [textwrap.fill(bar.label, 16) for bar in bars])
    for place, bar in enumerate(bars):
        axes.text(bar.value, place, f" {bar.text}", va="center", fontsize=9)
    axes.set_xlim(0, max([1.0, *(bar.value for bar in bars)]) * 1.55)
    axes.grid(visible=False, axis="y")


def _matrix(axes: "Axes", chart: MatrixChart) -> None:
    shares = chart.shares
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    upright = len(chart.columns) > ROOM
    axes.set_xticks(range(len(chart.columns)), chart.columns, rotation=90 if upright else 0)
    axes.set_yticks(range(len(chart.rows)), chart.rows)
    axes.set_ylabel(chart.y)
    axes.grid(visible=False)
    for y, row in enumerate(chart.counts):
        for x, count in enumerate(row):
            if count:
                colour = "white" if shares[y][x] > 0.5 else "black"
                axes.text(x, y, f"{count:,}", ha="center", va="center", fontsize=8, color=colour)


def _lines(axes: "Axes", chart: LineChart) -> None:
    from matplotlib.ticker import MaxNLocator

    for line in chart.lines:
        colour, marker, dash = LOOKS[line.look]
        axes.plot(
            [x for x, _ in line.points],
            [y for _, y in line.points],
            color=colour,
            marker=marker if line.marks else None,
            markerfacecolor="none" if len(line.points) == 1 else colour,  # equal ones both show
            markersize=9 if len(line.points) == 1 and line.look == "grey" else None,
            linestyle="--" if line.rule else dash if len(line.points) > 1 else "none",
            alpha=0.35 if line.faint else None,
            linewidth=1.0 if line.faint else None,
            label=f"_{line.label}" if line.faint else line.label,
        )
    if chart.chosen is not None:
        axes.axvline(chart.chosen, color=VERMILION, linestyle=":", label="chosen checkpoint")
    axes.set_ylabel(chart.y)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=chart.x_range is None))
    for set_limits, limits in ((axes.set_xlim, chart.x_range), (axes.set_ylim, chart.y_range)):
        if limits is not None:
            set_limits(*limits)


def _legend(figure: "Figure", axes: "Axes", chart: LineChart, *, beside: bool) -> None:
    """Of one chart to its right, with its note; of several inside each."""
    handles, labels = axes.get_legend_handles_labels()
    if not beside:
        axes.legend(handles, labels)
        return
    shown = figure.legend(handles, labels, loc="outside right upper", handlelength=3)
    if chart.note:
        shown.set_title(chart.note)
