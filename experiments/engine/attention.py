"""Where trained models look for the entities of the test split: numbers and a picture.

A *heat map* is ``[rows, columns]`` of weights over the whole picture, each cell a rectangle of it.
Patches of a vision transformer are such cells already; weights of candidate regions are painted
back over their boxes. Both kinds of model thus answer the same questions: the pointing game, and
attention mass inside the gold boxes. Reads ``checkpoints/best.ckpt`` of finished runs, so it needs
torch and is imported only on demand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gmbench.config.compose import DATA, stored_settings
from gmbench.core.entities import Box, Example, Prediction
from gmbench.core.tensors import Batch, Outputs
from gmbench.data.images import open_image
from gmbench.lifecycle.build import build_run
from gmbench.objective.costs import Activation, activate, gather_slots
from gmbench.reporting.plots import BLUE, STYLE, VERMILION
from gmbench.scoring.files import read_predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Heat = NDArray[np.float64]

CELLS = 64
"""Cells per side on which candidate regions are painted."""
SHOWN = 6
"""Entities in the picture."""


@dataclass(frozen=True, slots=True)
class Pointing:
    """Many heat maps against their gold boxes.

    Attributes:
        maps: how many.
        hits: the hottest place lies in a gold box.
        mass: mean share of the weights inside the gold boxes.
        area: mean share of the picture that the gold boxes fill: what looking everywhere earns.
    """

    maps: int
    hits: int
    mass: float
    area: float

    @property
    def hit_rate(self) -> float:
        """``hits / maps``; 0.0 without maps."""
        return self.hits / self.maps if self.maps else 0.0


def patch_heat(weights: NDArray[np.floating]) -> Heat:
    """Weights ``[P]`` of the patches of a square, row by row -> ``[side, side]``.

    Raises:
        ValueError: P is no square.
    """
    side = round(len(weights) ** 0.5)
    if side * side != len(weights):
        raise ValueError(f"{len(weights)} patches are no square")
    return np.asarray(weights, dtype=np.float64).reshape(side, side)


def region_heat(
    weights: NDArray[np.floating],
    boxes: NDArray[np.floating],
    size: tuple[float, float],
    cells: int = CELLS,
) -> Heat:
    """Weights of candidate regions painted back, each spread evenly over its box.

    Args:
        weights: ``[K]``, without that of the blank slot: it looks at nothing, and so what is
            painted may sum to less than 1.
        boxes: ``[K, 4]`` xyxy pixels; one without area is left out.
        size: width, height of the picture in pixels.
        cells: a side.

    Raises:
        ValueError: not one box a weight.
    """
    if len(weights) != len(boxes):
        raise ValueError(f"{len(weights)} weights for {len(boxes)} boxes")
    heat = np.zeros((cells, cells))
    edges = np.linspace(0.0, 1.0, cells + 1)
    for weight, box in zip(weights, np.asarray(boxes, dtype=np.float64), strict=True):
        x1, y1, x2, y2 = np.clip(box / np.array([*size, *size]), 0, 1)
        if x2 <= x1 or y2 <= y1:
            continue
        across, down = _shares(edges, x1, x2), _shares(edges, y1, y2)
        heat += float(weight) * down[:, None] * across[None]
    return heat


def mass_inside(heat: Heat, boxes: Sequence[Box], size: tuple[float, float]) -> float:
    """Share of the heat that lies in any of the boxes, exact to parts of a cell.

    Returns:
        0..1; 0.0 for a map without any heat.
    """
    total = float(heat.sum())
    inside, _ = _inside(heat, boxes, size)
    return inside / total if total > 0 else 0.0


def area_inside(boxes: Sequence[Box], size: tuple[float, float]) -> float:
    """Share of the picture that the boxes fill together."""
    return _inside(np.ones((1, 1)), boxes, size)[1]


def hottest(heat: Heat) -> tuple[float, float]:
    """The hottest place ``x, y`` in 0..1: a cell's centre; amid equal ones, the most central."""
    rows, columns = np.nonzero(heat >= heat.max() * (1 - 1e-9))
    middle = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    height, width = heat.shape
    return float((columns[middle] + 0.5) / width), float((rows[middle] + 0.5) / height)


def points_at(heat: Heat, boxes: Sequence[Box], size: tuple[float, float]) -> bool:
    """The pointing game (Zhang et al. 2016), without tolerance; a cold map points nowhere."""
    if heat.max() <= 0:
        return False
    x, y = hottest(heat)
    x, y = x * size[0], y * size[1]
    return any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in boxes)


def pointing(maps: Sequence[tuple[Heat, Sequence[Box], tuple[float, float]]]) -> Pointing:
    """Judge heat maps with their gold boxes (xyxy pixels, at least one) and picture sizes.

    Raises:
        ValueError: a map without gold boxes has no right place.
    """
    if any(not boxes for _, boxes, _ in maps):
        raise ValueError("the pointing game needs gold boxes: leave out what is not groundable")
    number = max(1, len(maps))
    return Pointing(
        maps=len(maps),
        hits=sum(points_at(*entry) for entry in maps),
        mass=sum(mass_inside(*entry) for entry in maps) / number,
        area=sum(area_inside(boxes, size) for _, boxes, size in maps) / number,
    )


def _shares(edges: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Share of the interval ``low..high`` in each cell."""
    covered = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    shares: NDArray[np.float64] = np.clip(covered, 0, None) / (high - low)
    return shares


def _inside(heat: Heat, boxes: Sequence[Box], size: tuple[float, float]) -> tuple[float, float]:
    """Heat and area in the union of the boxes, over the grid that all edges draw together."""
    corners = np.clip(np.asarray(boxes, dtype=np.float64).reshape(-1, 4) / [*size, *size], 0, 1)
    height, width = heat.shape
    xs = np.unique(np.concatenate([np.linspace(0, 1, width + 1), *corners[:, [0, 2]]]))
    ys = np.unique(np.concatenate([np.linspace(0, 1, height + 1), *corners[:, [1, 3]]]))
    x, y = (xs[1:] + xs[:-1]) / 2, (ys[1:] + ys[:-1]) / 2
    within = np.zeros((len(y), len(x)), dtype=bool)
    for x1, y1, x2, y2 in corners:
        within |= ((y > y1) & (y < y2))[:, None] & ((x > x1) & (x < x2))[None]
    area = np.diff(ys)[:, None] * np.diff(xs)[None]
    column = np.minimum((x * width).astype(int), width - 1)
    row = np.minimum((y * height).astype(int), height - 1)
    density = heat[row[:, None], column[None]] * (width * height)
    return float((density * area)[within].sum()), float(area[within].sum())


@dataclass(frozen=True, slots=True, eq=False)
class EntityLook:
    """Where the query that speaks for a gold entity looks.

    Attributes:
        sample: row of the batch.
        gold: row of the gold entity.
        query: the query.
        heat: over the whole picture; from patches, or from painted-back candidate regions.
    """

    sample: int
    gold: int
    query: int
    heat: Heat


@torch.no_grad()
def entity_looks(
    outputs: Outputs, batch: Batch, span_activation: Activation
) -> tuple[EntityLook, ...]:
    """One look for each gold entity of each example that has a picture.

    A proposal-free model has to be asked for its attention (``model(batch, attention=True)``);
    of a proposal-based one the probabilities of its candidates are painted back.

    Args:
        outputs: of the last layer.
        batch: with targets.
        span_activation: as the model was trained.

    Raises:
        ValueError: no targets, or nothing in the outputs says where queries look.
    """
    if batch.targets is None:
        raise ValueError("looks for gold entities need a batch with targets")
    queries = speakers(outputs, batch, span_activation).tolist()
    weights = _weights(outputs, batch)
    sizes = batch.image_sizes.tolist()
    looks = []
    for b, (real, seen) in enumerate(
        zip(batch.targets.mask.tolist(), batch.image_mask.tolist(), strict=True)
    ):
        for g, query in enumerate(queries[b]):
            if not (real[g] and seen):
                continue
            row = weights[b, query].double().cpu().numpy()
            if batch.region_boxes is None:
                heat = patch_heat(row)
            else:
                boxes = batch.region_boxes[b, 1:].cpu().numpy()
                heat = region_heat(row[1:], boxes, (sizes[b][0], sizes[b][1]))
            looks.append(EntityLook(b, g, query, heat))
    return tuple(looks)


def speakers(outputs: Outputs, batch: Batch, span_activation: Activation) -> Tensor:
    """The query likeliest to name each gold entity, ``[B, G]``: by type and both ends alone."""
    targets = batch.targets
    assert targets is not None
    start = gather_slots(activate(outputs.start_logits, span_activation), targets.starts)
    end = gather_slots(activate(outputs.end_logits, span_activation), targets.ends)
    kind = gather_slots(outputs.type_logits.softmax(dim=-1), targets.types)
    return (kind * start * end).argmax(dim=1)  # [B, Q, G] -> [B, G]


def _weights(outputs: Outputs, batch: Batch) -> Tensor:
    """``[B, Q, P]`` over patches, or ``[B, Q, K + 1]`` over candidate slots."""
    if batch.region_boxes is not None and outputs.region_logits is not None:
        return outputs.region_logits.softmax(dim=-1)
    if outputs.attention is None or outputs.attention.query_to_patch is None:
        raise ValueError(
            "the outputs hold no attention over patches; ask for it: model(batch, attention=True)"
        )
    return outputs.attention.query_to_patch


@dataclass(frozen=True, eq=False)
class Looks:
    """Every look of one run.

    Attributes:
        examples: the test split, by id.
        heats: by example and gold entity (start, end).
        answers: the run's predictions by example.
        pointing: over entities with a box.
    """

    examples: dict[str, Example]
    heats: dict[tuple[str, int, int], Heat]
    answers: dict[str, tuple[Prediction, ...]]
    pointing: Pointing


@cache
def looks_of(folder: Path) -> Looks | None:
    """The looks of the run in a folder; None without its checkpoint."""
    checkpoint = folder / "checkpoints" / "best.ckpt"
    if not checkpoint.is_file():
        return None
    settings = stored_settings(folder / "config.yaml", built=(*DATA, "model", "encoders"))
    run = build_run(settings)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    run.module.load_state_dict(state["state_dict"], strict=False)
    model = run.module.model.eval()
    examples = {example.id: example for example in run.data.splits["test"].examples}
    heats: dict[tuple[str, int, int], Heat] = {}
    for batch in run.data.test_dataloader():
        with torch.no_grad():
            outputs = model(batch, attention=True)
        for look in entity_looks(outputs, batch, settings.tree["model"]["activation"]):
            example = examples[batch.ids[look.sample]]
            entity = example.entities[look.gold]
            heats[(example.id, entity.start, entity.end)] = look.heat
    answers = read_predictions(folder / "predictions.test.jsonl", tuple(examples.values()))
    shown = [
        (heat, entity.boxes, example.size)
        for (id_, start, end), heat in heats.items()
        if (example := examples[id_]).size is not None
        for entity in example.entities
        if (entity.start, entity.end) == (start, end) and entity.boxes
    ]
    return Looks(examples, heats, answers, pointing(shown))


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


def draw_scenes(scenes: Sequence[Scene]) -> bytes:
    """A PNG: heat over the picture, gold boxes solid, predicted boxes dashed.

    Args:
        scenes: at least one, all with the same models.

    Raises:
        ValueError: nothing to draw, or scenes of different models.
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
    return stream.getvalue()


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


def draw(runs: Sequence[tuple[str, Looks]]) -> bytes:
    """One row an entity, one column a run: the first entities with a box that all looked for."""
    shared = set.intersection(*(set(looks.heats) for _, looks in runs))
    scenes: list[Scene] = []
    for id_, start, end in sorted(shared):
        example, span = runs[0][1].examples[id_], (start, end)
        entity = next(e for e in example.entities if (e.start, e.end) == span)
        if not entity.boxes or example.image is None or len(scenes) == SHOWN:
            continue
        words = " ".join(example.words[start : end + 1])
        scenes.append(
            Scene(
                text=f"{words} ({entity.type})",
                image=np.asarray(open_image(example.image, example.size)),
                boxes=entity.boxes,
                looks=tuple(
                    Look(
                        name,
                        looks.heats[(id_, start, end)],
                        next((p.box for p in looks.answers[id_] if (p.start, p.end) == span), None),
                    )
                    for name, looks in runs
                ),
            )
        )
    return draw_scenes(scenes)
