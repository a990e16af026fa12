"""Gold against predicted on some examples of a split: pictures with both kinds of boxes, and words.

Gold boxes are solid, predicted ones dashed, as in the pictures of attention; every line says in
words what became of an answer, so that no colour is needed to read it.
"""

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gmbench.core.entities import Box, Entity, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.core.files import write_atomically
from gmbench.data.images import open_image
from gmbench.reporting.plots import BLUE, GREY, VERMILION, WORDS, png
from gmbench.reporting.verdicts import Judged, judged

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXAMPLES = "examples.png"
"""Its name in the pictures of a run folder. It shows tweets: it goes nowhere unasked."""
SHOWN = 6
"""Examples in the picture."""
WIDTH, ROW, SIDE = 9.0, 2.3, 3.0
"""Inches: of the figure, of the least row, of a picture's place in it."""
LINE = 0.2
"""Inches of a line of text."""
Lines = list[tuple[str, str, bool]]


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
    rows = []
    for example in spread(examples, saw_pixels=saw_pixels):
        answers = predictions[example.id]
        verdict = judged(example.entities, answers, saw_pixels=saw_pixels)
        lines = lines_of(example, answers, verdict, saw_pixels)
        least = ROW if saw_pixels else 0.0
        rows.append((example, answers, lines, max(least, LINE * (len(lines) + 1.5))))
    if not rows:
        return False
    head = 0.75
    total = head + sum(height for *_, height in rows)

    def draw(figure: "Figure") -> None:
        _head(figure, name, total, saw_pixels)
        top = total - head
        for example, answers, lines, height in rows:
            if saw_pixels:
                place = (0.02, (top - height + 0.15) / total, SIDE / WIDTH, (height - 0.2) / total)
                _picture(figure.add_axes(place), example, answers)
            _words(figure, lines, (SIDE + 0.4) / WIDTH if saw_pixels else 0.02, top, total)
            top -= height

    with warnings.catch_warnings():  # letters that the font has not are drawn as boxes
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        write_atomically(file, png(draw, (WIDTH, total), layout=None))
    return True


def _head(figure: "Figure", name: str, total: float, saw_pixels: bool) -> None:
    figure.text(
        0.02, 1 - 0.28 / total, f"{name}: gold and predicted", weight="bold", fontsize=11, va="top"
    )
    legend = "Examples are evenly spread over the split, not chosen by the outcome."
    if saw_pixels:
        legend = f"Boxes: G gold, solid; P predicted, dashed. {legend}"
    figure.text(0.02, 1 - 0.52 / total, legend, fontsize=9, color=GREY, va="top")


def _words(figure: "Figure", lines: Lines, left: float, top: float, total: float) -> None:
    for number, (text, colour, bold) in enumerate(lines):
        figure.text(
            left,
            (top - 0.06 - LINE * number) / total,
            text,
            fontsize=9,
            color=colour,
            weight="bold" if bold else "normal",
            parse_math=False,
            va="top",
        )


def lines_of(
    example: Example, found: Sequence[Prediction], verdict: Judged, saw_pixels: bool
) -> Lines:
    """The sentence, an entity of the gold a line, an answer a line, with colour and weight."""
    width = 68 if saw_pixels else 100
    lines: Lines = [
        (part, "black", False) for part in textwrap.wrap(" ".join(example.words), width)
    ]
    for number, entity in enumerate(example.entities, start=1):
        lines.append((f"G{number}  {_named(example, entity, saw_pixels)}", BLUE, True))
    # Answers come in the order of the predictions: verdicts with them.
    for number, (answer, one) in enumerate(zip(found, verdict.answers, strict=True), start=1):
        what = "right" if one.verdict == "correct" else f"wrong: {WORDS[one.verdict]}"
        text = f"P{number}  {_named(example, answer, saw_pixels)}: {what}"
        lines.append((text, VERMILION, False))
    lost = [str(n) for n, fate in enumerate(verdict.fates, start=1) if fate == "missed"]
    if lost:
        lines.append((f"missed: G{', G'.join(lost)}", GREY, True))
    if not found:
        lines.append(("nothing predicted", GREY, True))
    return lines


def _named(example: Example, row: Entity | Prediction, saw_pixels: bool) -> str:
    name = textwrap.shorten(" ".join(example.words[row.start : row.end + 1]), 34, placeholder=" …")
    if not saw_pixels:
        return f"{name} ({row.type})"
    shown = row.boxes if isinstance(row, Entity) else row.box
    return f"{name} ({row.type}){'' if shown else ', not in the image'}"


def _picture(axis: "Axes", example: Example, found: Sequence[Prediction]) -> None:
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    try:
        picture = None if example.image is None else open_image(example.image, example.size)
    except InputError:
        picture = None
    if picture is None:
        axis.text(0.5, 0.5, "no picture", ha="center", va="center", color=GREY)
        return
    width, height = picture.size
    axis.imshow(np.asarray(picture), extent=(0, width, height, 0))
    for number, entity in enumerate(example.entities, start=1):
        for box in entity.boxes:
            _rectangle(axis, box, BLUE, "-")
            _label(axis, f"G{number}", BLUE, box[:2], above=True, outside=box[1] > 0.1 * height)
    for number, answer in enumerate(found, start=1):
        if answer.box is not None:
            box = answer.box
            _rectangle(axis, box, VERMILION, "--")
            below = box[3] < 0.9 * height
            _label(axis, f"P{number}", VERMILION, box[2:], above=False, outside=below)
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
