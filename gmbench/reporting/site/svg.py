"""Charts of a page: where lines, marks and ticks of a ``LineChart`` lie, for the template's SVG.

Pages colour them by style sheet, so that they follow a dark screen, and text keeps its size on a
phone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gmbench.reporting.charts import Line, LineChart, Point, ticks

WIDTH, HEIGHT = 360.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 10.0, 10.0, 38.0
"""Units of the SVG: the drawing, and its margins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A chart in units of the SVG.

    Attributes:
        x_ticks, y_ticks: place and text.
        lines: with their points, and each point's place.
        chosen: place of the chosen checkpoint.
    """

    chart: LineChart
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    lines: Sequence[tuple[Line, Sequence[tuple[Point, Point]]]]
    chosen: float | None
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def drawn(chart: LineChart) -> Drawn:
    """Place a chart; axes without a range reach as far as the points."""
    points = [point for line in chart.lines for point in line.points]
    low_x, high_x = chart.x_range or _span([x for x, _ in points])
    low_y, high_y = chart.y_range or _span([y for _, y in points])

    def right_to(x: float) -> float:
        return round(LEFT + (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT), 1)

    def down_to(y: float) -> float:
        return round(HEIGHT - BOTTOM - (y - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM), 1)

    return Drawn(
        chart=chart,
        x_ticks=[(right_to(x), f"{x:.10g}") for x in ticks(low_x, high_x)],
        y_ticks=[(down_to(y), f"{y:.10g}") for y in ticks(low_y, high_y)],
        lines=[
            (line, [((x, y), (right_to(x), down_to(y))) for x, y in line.points])
            for line in chart.lines
        ],
        chosen=None if chart.chosen is None else right_to(chart.chosen),
    )


def _span(values: Sequence[float]) -> Point:
    """Least and greatest with a little room; a single value has some on both sides."""
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or max(1.0, abs(low)) / 2
    return low - room, high + room
