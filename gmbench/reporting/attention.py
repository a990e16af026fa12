"""Where models look, as pictures (QGN, Figure 4): one row an entity, one column a model.

Takes plain arrays and records: heat maps as gmbench.scoring.pointing defines them, from patches or
from painted-back regions alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gmbench.reporting.plots import BLUE, STYLE, VERMILION
from gmbench.scoring.atomic import write_atomically
from gmbench.scoring.pointing import Heat, hottest, mass_inside, points_at
from gmbench.structures import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One model's look for one entity.

    Attributes:
        model: its name, the column's title.
        heat: ``[rows, columns]`` over the whole picture.
        box: predicted, xyxy pixels; None = *not in the image*.
    """

    model: str
    heat: Heat
    box: Box | None


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One entity in its picture, and how models look for it.

    Attributes:
        text: the entity and its type, as the row's title says them.
        image: ``[H, W, 3]`` bytes.
        boxes: gold, xyxy pixels; none for an entity that is not in the image.
        looks: one a model, in the order of the columns.
    """

    text: str
    image: NDArray[np.uint8]
    boxes: tuple[Box, ...]
    looks: tuple[Look, ...]


def draw_attention(scenes: Sequence[Scene], file: Path) -> None:
    """Write one PNG: heat over the picture, gold boxes solid, predicted boxes dashed.

    Args:
        scenes: at least one, all with the same models.
        file: written whole or not at all.

    Raises:
        ValueError: nothing to draw, or scenes of different models.
        OSError: the file cannot be written.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    columns = {tuple(look.model for look in scene.looks) for scene in scenes}
    if len(columns) != 1 or columns == {()}:
        raise ValueError("a picture of attention needs scenes, all with looks of the same models")
    (models,) = columns
    stream = BytesIO()
    with style.context(["default", dict(STYLE)]):
        figure = Figure(figsize=(3.4 * len(models), 3.0 * len(scenes)), layout="constrained")
        axes = figure.subplots(len(scenes), len(models), squeeze=False)
        for row, scene in zip(axes, scenes, strict=True):
            for axis, look in zip(row, scene.looks, strict=True):
                _draw(axis, scene, look)
        figure.savefig(stream, format="png", metadata={"Software": None})
    write_atomically(file, stream.getvalue())


def _draw(axis: "Axes", scene: Scene, look: Look) -> None:
    from matplotlib.patches import Rectangle

    height, width = scene.image.shape[:2]
    whole = (0, width, height, 0)
    axis.imshow(scene.image, extent=whole)
    axis.imshow(look.heat, extent=whole, cmap="magma", alpha=0.55, interpolation="bilinear")
    axis.grid(visible=False)
    drawn = [(box, BLUE, "-") for box in scene.boxes]
    drawn += [(look.box, VERMILION, "--")] if look.box is not None else []
    for (x1, y1, x2, y2), colour, line in drawn:
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec="white", lw=3.6))
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, ls=line, lw=2))
    if look.heat.max() > 0:
        x, y = hottest(look.heat)
        axis.plot(x * width, y * height, marker="+", color="white", markersize=10, mew=2)
    axis.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    axis.set_title(f"{scene.text}\n{look.model}: {_verdict(scene, look)}", fontsize=9, loc="left")


def _verdict(scene: Scene, look: Look) -> str:
    """The two numbers, or what the model says of an entity that is not in the image."""
    size = (float(scene.image.shape[1]), float(scene.image.shape[0]))
    if not scene.boxes:
        return "a box, none is due" if look.box is not None else "not in the image"
    hit = "hit" if points_at(look.heat, scene.boxes, size) else "miss"
    said = "" if look.box is not None else ", no box"
    return f"{hit}, mass inside {100 * mass_inside(look.heat, scene.boxes, size):.0f} %{said}"
