"""An answer as a picture: numbered boxes over the image, the sentence and its entities below."""

import textwrap
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gmbench.core.files import write_atomically
from gmbench.reporting.fonts import fitting
from gmbench.reporting.plots import BLUE, GREEN, GREY, ORANGE, VERMILION
from gmbench.serving.posts import Answer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, "#CC79A7", "#56B4E9")
LINES = ("-", "--", "-.", ":")
WIDTH = 7.0
LINE = 0.24
"""Inches: of the figure, and of a line of text in it."""


def draw_answer(answer: Answer, picture: Image.Image | None, file: Path) -> None:
    """Write one PNG, whole or not at all.

    Args:
        answer: of one post.
        picture: in the size that the boxes are counted on; None where there is none.
        file: to write.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    lines = _lines(answer)
    below = LINE * (len(lines) + 1)
    width, height = (1, 0) if picture is None else picture.size
    above = 0.0 if picture is None else min(9.0, max(1.0, WIDTH * height / width))
    total = above + below
    figure = Figure(figsize=(WIDTH, total))
    if picture is not None:
        axis = figure.add_axes((0.0, below / total, 1.0, above / total))
        _draw(axis, answer, picture)
    for number, (text, colour, bold) in enumerate(lines):
        drawable, families = fitting(text)
        figure.text(
            0.02,
            (below - LINE * (number + 0.9)) / total,
            drawable,
            fontsize=10,
            family=families,
            color=colour,
            weight="bold" if bold else "normal",
            parse_math=False,
            va="baseline",
        )
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=120, metadata={"Software": None})
    write_atomically(file, stream.getvalue())


def _lines(answer: Answer) -> list[tuple[str, str, bool]]:
    """Text below the picture: the sentence, an entity a line, notes; with colour and weight."""
    lines = [(part, "black", False) for part in textwrap.wrap(answer.post.text, 92)[:12]]
    for number, found in enumerate(answer.predictions, start=1):
        where = "not in the picture" if found.box is None else "in the picture"
        name = textwrap.shorten(answer.text_of(found), 50, placeholder=" ...")
        text = f"{number}  {name}   {found.type}   {found.score:.2f}   {where}"
        lines.append((text, _style(number)["edgecolor"], True))
    if not answer.predictions:
        lines.append(("no entity found", GREY, False))
    for note in answer.notes:
        lines += [(part, GREY, False) for part in textwrap.wrap(f"note: {note}", 92)]
    return lines


def _draw(axis: "Axes", answer: Answer, picture: Image.Image) -> None:
    from matplotlib.patches import Rectangle

    width, height = picture.size
    axis.imshow(np.asarray(picture), extent=(0, width, height, 0))
    taken: dict[tuple[int, int], int] = {}
    for number, found in enumerate(answer.predictions, start=1):
        if found.box is None:
            continue
        x1, y1, x2, y2 = found.box
        style = _style(number)
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, lw=4.5, ec="white"))
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, lw=2.5, **style))
        corner = (round(x1), round(y1))
        beside = taken.get(corner, 0)  # entities of one box stand next to each other
        taken[corner] = beside + 1
        axis.annotate(
            str(number),
            (x1, y1),
            xytext=(3 + 17 * beside, -3),
            textcoords="offset points",
            ha="left",
            va="top",
            color="white",
            weight="bold",
            fontsize=11,
            bbox={"boxstyle": "round,pad=0.25", "fc": style["edgecolor"], "ec": "white"},
        )
    axis.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    for spine in axis.spines.values():
        spine.set_visible(False)


def _style(number: int) -> dict[str, Any]:
    return {
        "edgecolor": COLOURS[(number - 1) % len(COLOURS)],
        "linestyle": LINES[((number - 1) // len(COLOURS)) % len(LINES)],
    }
