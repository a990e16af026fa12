"""Gold against predicted on some examples of a split: pictures with both kinds of boxes, and words.

A gold entity and its answer share a number: G1 and P1. Gold boxes are solid, predicted ones dashed,
as in the pictures of attention; every line says in words what became of an answer, so that no
colour is needed to read it.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gmbench.core.entities import Box, Entity, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.core.files import write_atomically
from gmbench.data.images import open_image
from gmbench.reporting.charts import WORDS
from gmbench.reporting.fonts import fitting
from gmbench.reporting.plots import BLUE, GREY, VERMILION, png
from gmbench.reporting.verdicts import Judged, judged

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image

EXAMPLES = "examples.png"
"""Its name in the pictures of a run folder. It shows posts: it goes nowhere unasked."""
SHOWN = 6
"""Examples in the picture."""
WIDTH, ROW, SIDE = 9.0, 2.3, 3.0
"""Inches: of the figure, the greatest height and the width of a picture's place in it."""
LINE = 0.2
"""Inches of a line of text."""
EDGE = 0.02
"""Of the width: left of everything."""
Lines = list[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One example of the picture: its lines with colour and weight, and its boxes by label.

    Attributes:
        picture: None where there is none; the lines then have the whole width.
    """

    lines: Lines
    gold: Sequence[tuple[str, Box]]
    answers: Sequence[tuple[str, Box]]
    picture: "Image.Image | None"

    @property
    def height(self) -> float:
        """Of its row, in inches."""
        text = LINE * (len(self.lines) + 1.2)
        if self.picture is None:
            return text
        width, height = self.picture.size
        return max(text, min(ROW, SIDE * height / width) + LINE)


def spread(examples: Sequence[Example], *, saw_pixels: bool, count: int = SHOWN) -> list[Example]:
    """At most ``count`` examples, evenly spread and never chosen by the outcome.

    They are spread over those with something to compare: a gold box, or without pixels an entity.
    """
    fitting = [
        example
        for example in examples
        if (any(e.boxes for e in example.entities) if saw_pixels else example.entities)
    ]
    step = max(1.0, len(fitting) / count)
    return [fitting[int(number * step)] for number in range(min(count, len(fitting)))]


def draw_overlays(
    examples: Sequence[Example],
    predictions: Mapping[str, Sequence[Prediction]],
    file: Path,
    name: str,
    *,
    saw_pixels: bool,
) -> bool:
    """Write one PNG of ``spread(examples)``; False if there is nothing to show.

    ``name`` is the run's, for the title. Without pixels the text alone is shown and judged.
    """
    rows = [
        _shown(example, predictions[example.id], saw_pixels)
        for example in spread(examples, saw_pixels=saw_pixels)
    ]
    if not rows:
        return False
    legend = "G gold, P predicted; a pair has one number. Evenly spread over the split, not chosen."
    if saw_pixels:
        legend = f"Boxes: gold solid, predicted dashed. {legend}"
    head: Lines = [(f"{name}: gold and predicted", "black", True), (legend, GREY, False)]
    total = LINE * (len(head) + 1) + sum(row.height for row in rows)

    def draw(figure: "Figure") -> None:
        _words(figure, head, EDGE, total - LINE / 2, total)
        top = total - LINE * (len(head) + 1)
        for row in rows:
            left = EDGE
            if row.picture is not None:
                left = (SIDE + 0.4) / WIDTH
                high = min(ROW, row.height - LINE)
                place = (EDGE, (top - high) / total, SIDE / WIDTH, high / total)
                _picture(figure.add_axes(place), row, row.picture)
            _words(figure, row.lines, left, top, total)
            top -= row.height

    write_atomically(file, png(draw, (WIDTH, total), layout=None))
    return True


def _shown(example: Example, found: Sequence[Prediction], saw_pixels: bool) -> Shown:
    picture = _opened(example) if saw_pixels else None
    verdict = judged(example.entities, found, saw_pixels=saw_pixels)
    numbers = list(_numbers(verdict, len(example.entities)))
    return Shown(
        lines=lines_of(example, found, verdict, saw_pixels, 68 if picture is not None else 108),
        gold=[(f"G{n}", box) for n, e in enumerate(example.entities, start=1) for box in e.boxes],
        answers=[
            (f"P{n}", answer.box)
            for n, answer in zip(numbers, found, strict=True)
            if answer.box is not None
        ],
        picture=picture,
    )


def _opened(example: Example) -> "Image.Image | None":
    try:
        return None if example.image is None else open_image(example.image, example.size)
    except InputError:
        return None


def _numbers(verdict: Judged, golds: int) -> Iterator[int]:
    """The number of every answer: that of its gold entity, from 1, or one that no entity has."""
    for answer in verdict.answers:
        golds += answer.gold is None
        yield golds if answer.gold is None else answer.gold + 1


def _words(figure: "Figure", lines: Lines, left: float, top: float, total: float) -> None:
    for number, (text, colour, bold) in enumerate(lines):
        drawable, families = fitting(text)
        figure.text(
            left,
            (top - LINE * number) / total,
            drawable,
            fontsize=9,
            family=families,
            color=colour,
            weight="bold" if bold else "normal",
            parse_math=False,
            va="top",
        )


def lines_of(
    example: Example, found: Sequence[Prediction], verdict: Judged, saw_pixels: bool, width: int
) -> Lines:
    """The sentence, then below each gold entity its answer, then the answers that have none."""
    answers: dict[int, Lines] = {}
    numbers = _numbers(verdict, len(example.entities))
    for number, answer, one in zip(numbers, found, verdict.answers, strict=True):
        what = "right" if one.verdict == "correct" else f"wrong: {WORDS[one.verdict]}"
        line = f"P{number}  {_named(example, answer, saw_pixels)}: {what}"
        answers.setdefault(number, []).append((line, VERMILION, False))
    lines: Lines = [
        (part, "black", False) for part in textwrap.wrap(fitting(" ".join(example.words))[0], width)
    ]
    for number, entity in enumerate(example.entities, start=1):
        lines.append((f"G{number}  {_named(example, entity, saw_pixels)}", BLUE, True))
        lines += answers.pop(number, [(f"P{number}  missed", GREY, False)])
    return [*lines, *(line for rest in answers.values() for line in rest)]


def _named(example: Example, row: Entity | Prediction, saw_pixels: bool) -> str:
    words = fitting(" ".join(example.words[row.start : row.end + 1]))[0]
    name = textwrap.shorten(words, 34, placeholder=" …")
    if not saw_pixels:
        return f"{name} ({row.type})"
    shown = row.boxes if isinstance(row, Entity) else row.box
    return f"{name} ({row.type}){'' if shown else ', not in the image'}"


def _picture(axis: "Axes", row: Shown, picture: "Image.Image") -> None:
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    width, height = picture.size
    axis.imshow(np.asarray(picture), extent=(0, width, height, 0))
    for label, box in row.gold:
        _rectangle(axis, box, BLUE, "-")
        _label(axis, label, BLUE, box[:2], above=True, outside=box[1] > 0.1 * height)
    for label, box in row.answers:
        _rectangle(axis, box, VERMILION, "--")
        _label(axis, label, VERMILION, box[2:], above=False, outside=box[3] < 0.9 * height)
    axis.set(xlim=(0, width), ylim=(height, 0), anchor="NW")


def _rectangle(axis: Any, box: Box, colour: str, line: str) -> None:
    """A box with a white rim, so that it shows on any ground."""
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    for width, edge, style in ((3.6, "white", "-"), (1.9, colour, line)):
        axis.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, lw=width, ec=edge, ls=style)
        )


def _label(
    axis: Any, text: str, colour: str, corner: tuple[float, ...], *, above: bool, outside: bool
) -> None:
    """Label gold at the upper left corner of its box, answers at the lower right.

    The label lies outside the box where there is room.
    """
    axis.annotate(
        text,
        corner,
        xytext=(1 if above else -1, 2 if above == outside else -2),
        textcoords="offset points",
        ha="left" if above else "right",
        va="bottom" if above == outside else "top",
        color="white",
        weight="bold",
        fontsize=8,
        bbox={"boxstyle": "round,pad=0.12", "fc": colour, "ec": "white", "lw": 0.6},
    )
