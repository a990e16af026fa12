"""Learning curves of a run, from its ``metrics.csv``."""

import csv
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmbench.reporting.plots import BLUE, GREEN, GREY, ORANGE, STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS = {"gmner": (BLUE, "o"), "mner": (GREEN, "^"), "eeg": (ORANGE, "s")}


def read_curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """By name of a metric, ``(step, value)`` where it was logged."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in csv.DictReader(StringIO(path.read_text())):
        for name, value in row.items():
            if value and name not in ("epoch", "step") and row.get("step"):
                found.setdefault(name, []).append((float(row["step"]), float(value)))
    return found


def curves_png(path: Path, *, saw_pixels: bool) -> bytes | None:
    """Training loss and dev F1 over the steps; None where nothing was logged.

    Args:
        path: the ``metrics.csv``.
        saw_pixels: False: only MNER F1 is drawn, as nothing else is reported of such a run.

    Raises:
        ValueError: the file does not hold numbers.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    found = read_curves(path)
    loss = found.get("train/loss", [])
    tasks = tuple(LOOKS) if saw_pixels else ("mner",)
    dev = {task: found[f"dev/{task}_f1"] for task in tasks if f"dev/{task}_f1" in found}
    if not loss and not dev:
        return None
    with style.context(["default", dict(STYLE)]):
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        _draw(figure, loss, dev)
        stream = BytesIO()
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _draw(figure: "Figure", loss: list[Any], dev: dict[str, list[tuple[float, float]]]) -> None:
    left, right = figure.subplots(1, 2)
    left.plot([x for x, _ in loss], [y for _, y in loss], color=GREY)
    left.set_title("training loss")
    left.set_xlabel("step")
    for task, points in dev.items():
        colour, marker = LOOKS[task]
        # The last check repeats that of the chosen checkpoint.
        points = points[: max(1, len(points) - 1)]
        right.plot(
            [x for x, _ in points],
            [100 * y for _, y in points],
            color=colour,
            marker=marker,
            label=task.upper(),
        )
    right.set_title("dev F1 in %")
    right.set_xlabel("step")
    if dev:
        right.legend()
