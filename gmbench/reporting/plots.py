"""Pictures of an analysis. matplotlib is imported with the first one, so that verbs start fast.

One look for all: the colours of Okabe and Ito, which colour-blind readers can tell apart, and
never colour alone (markers, line styles or words say the same). No global state: figures are built
by hand, drawn by Agg, and give the same bytes for the same analysis.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmbench.core.files import write_atomically
from gmbench.scoring.analysis import Analysis
from gmbench.scoring.calibration import Calibration
from gmbench.scoring.error_types import KINDS, REGIONS, Decomposition
from gmbench.scoring.grounding import RegionUpperBound, Sweep

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
WORDS = {
    "type": "type",
    "region": "region",
    "type_region": "type and region",
    "span": "span",
    "duplicate": "duplicate",
    "spurious": "spurious",
    "missed": "missed",
    "none_for_box": "no box given,\none is due",
    "box_for_none": "a box given,\nnone is due",
    "other_entity": "on another entity",
    "poor_box": "poor box\n(IoU 0.1 to 0.5)",
    "wrong_box": "wrong box\n(IoU below 0.1)",
}
PICTURES = ("errors", "sweep", "ceiling", "calibration")


def draw_analysis(analysis: Analysis, folder: Path, name: str) -> tuple[Path, ...]:
    """Draw all of ``PICTURES`` that there is data for into a folder; the files written.

    The folder is made where it is missing; ``name`` is the run's, for the titles.
    """
    task = "GMNER" if "gmner" in analysis.intervals else "MNER"
    wanted: dict[str, Callable[[Figure], None]] = {
        "errors": lambda figure: draw_errors(figure, analysis.errors, task, name)
    }
    if (swept := analysis.sweep) is not None:
        mner = analysis.intervals["mner"].f1.value
        wanted["sweep"] = lambda figure: draw_sweep(figure, swept, mner, name)
    if (ceiling := analysis.ceiling) is not None:
        gmner, recall = (analysis.intervals[task].recall.value for task in ("gmner", "mner"))
        wanted["ceiling"] = lambda figure: draw_ceiling(figure, ceiling, gmner, recall, name)
    if (known := analysis.calibration) is not None:
        wanted["calibration"] = lambda figure: draw_calibration(figure, known, name)
    folder.mkdir(parents=True, exist_ok=True)
    for stem in PICTURES:  # what an earlier analysis left here
        (folder / f"{stem}.png").unlink(missing_ok=True)
    for stem, draw in wanted.items():
        write_atomically(folder / f"{stem}.png", png(draw))
    return tuple(folder / f"{stem}.png" for stem in wanted)


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


def draw_recall(
    figure: "Figure", curves: Mapping[str, Sequence[float]], ks: Sequence[int], name: str
) -> None:
    """Share of the gold boxes that the first k candidates meet, a line a source."""
    axis = figure.subplots()
    looks = zip((BLUE, ORANGE, GREEN, VERMILION), "os^D", ("-", "--", ":", "-."), strict=True)
    for (label, shares), (colour, marker, line) in zip(curves.items(), looks, strict=False):
        values = [100 * share for share in shares]
        axis.plot(ks, values, color=colour, marker=marker, linestyle=line, label=label)
    axis.set_xscale("log")
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.minorticks_off()
    axis.set_ylim(0, 100)
    axis.set_title(f"{name}: recall of gold boxes")
    axis.set_xlabel("first k candidates of an image")
    axis.set_ylabel("gold boxes met at IoU 0.5, in %")
    axis.legend(handlelength=3.5)


def draw_errors(figure: "Figure", errors: Decomposition, task: str, name: str) -> None:
    """What repairing each kind of error would be worth, and which regions are wrong."""
    grounded = task == "GMNER"
    left, *rest = figure.subplots(
        1, 1 + grounded, width_ratios=(3, 2)[: 1 + grounded], squeeze=False
    ).flat
    shown = [key for key in KINDS[::-1] if grounded or "region" not in key]
    kinds = [(key, errors.kinds[key]) for key in shown]
    gains = [100 * kind.gain for _, kind in kinds]
    _bars(left, [WORDS[key] for key, _ in kinds], gains, BLUE)
    for place, (_, kind) in enumerate(kinds):
        text = f"+{100 * kind.gain:.1f}  ({kind.count:,})"
        left.text(100 * kind.gain, place, f" {text}", va="center", fontsize=9)
    left.set_title(f"{name}: {task} errors")
    left.set_xlabel("points of F1 if it alone were repaired (count)")
    left.set_xlim(0, max([1.0, *gains]) * 1.55)
    for right in rest:
        _draw_regions(right, errors)


def _draw_regions(right: Any, errors: Decomposition) -> None:
    regions = [(key, errors.regions[key]) for key in REGIONS[::-1]]
    _bars(right, [WORDS[key] for key, _ in regions], [count for _, count in regions], VERMILION)
    for place, (_, count) in enumerate(regions):
        right.text(count, place, f" {count:,}", va="center", fontsize=9)
    right.set_title("Wrong regions")
    right.set_xlabel("pairs with the right span")
    right.set_xlim(0, max([1, *errors.regions.values()]) * 1.25)


def draw_sweep(figure: "Figure", swept: Sweep, mner: float, name: str) -> None:
    """F1 by the IoU that a box must have."""
    axes = figure.subplots()
    for label, values, colour, marker in (
        ("EEG", swept.eeg, ORANGE, "s"),
        ("GMNER", swept.gmner, BLUE, "o"),
    ):
        axes.plot(
            swept.thresholds, [100 * v for v in values], marker=marker, color=colour, label=label
        )
    axes.axhline(100 * mner, color=GREY, linestyle="--", label="MNER (no region)")
    axes.set_title(f"{name}: how exact the boxes are")
    axes.set_xlabel("least IoU of a right box")
    axes.set_ylabel("F1 in %")
    axes.set_xticks(swept.thresholds)
    axes.set_ylim(0, 102)
    axes.legend(loc="lower left")


def draw_ceiling(
    figure: "Figure", ceiling: RegionUpperBound, gmner: float, mner: float, name: str
) -> None:
    """What the first k candidates cover, and where the model stands below that."""
    from matplotlib.ticker import MaxNLocator

    axes = figure.subplots()
    ks = range(1, ceiling.k + 1)
    for label, values, colour, style in (
        ("greatest GMNER recall", ceiling.gmner, BLUE, "-"),
        ("region recall, IoU >= 0.5", ceiling.recall, ORANGE, "-."),
    ):
        axes.plot(ks, [100 * v for v in values], color=colour, linestyle=style, label=label)
    marks = (
        ("MNER recall", mner, GREY, "D"),
        ("oracle region", ceiling.oracle.recall, GREEN, "^"),
        ("GMNER recall", gmner, VERMILION, "o"),
    )
    for label, value, colour, marker in marks:
        size = 10 if marker == "D" else 6  # so that equal ones both show
        axes.plot(
            [ceiling.k],
            [100 * value],
            marker,
            color=colour,
            markersize=size,
            markerfacecolor="none" if marker == "D" else colour,
            label=f"this model: {label}",
        )
    axes.set_title(f"{name}: what the candidates allow")
    axes.set_xlabel("k, first candidates of each image")
    axes.set_ylabel("recall in %")
    axes.set_ylim(0, 102)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def draw_calibration(figure: "Figure", known: Calibration, name: str) -> None:
    """The reliability curve over bins of equal mass, and how good it is in figures."""
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="perfectly calibrated")
    said, was = [b.said for b in known.bins], [b.was for b in known.bins]
    axes.plot(said, was, marker="o", color=BLUE, label="this model, bins of equal mass")
    axes.axhline(known.base_rate, color=ORANGE, linestyle=":", label="base rate")
    axes.set_aspect("equal")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(f"{name}: does it know what is not shown?")
    axes.set_xlabel("said: probability of no box")
    axes.set_ylabel("was: share without a box")
    handles, labels = axes.get_legend_handles_labels()
    auc = "none" if known.auc is None else f"{known.auc:.3f}"
    figures = (
        f"{known.n:,} predictions on gold spans\n"
        f"Brier {known.brier:.3f} (constant {known.brier_constant:.3f})\n"
        f"ECE {known.ece.value:.3f}, equal mass {known.ece_equal_mass.value:.3f}\n"
        f"NLL {known.nll:.3f}, AUC {auc}"
    )
    figure.legend(handles, labels, loc="outside right upper")
    figure.text(0.67, 0.78, figures, linespacing=1.6, va="top")


def _bars(axes: "Axes", names: list[str], values: list[float] | list[int], colour: str) -> None:
    axes.barh(range(len(names)), values, color=colour, height=0.7)
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False, axis="y")


# Learning curves of a run, from its `metrics.csv`.
Curve = Sequence[tuple[float, float]]
LOOKS = {"gmner": (BLUE, "o"), "mner": (GREEN, "^"), "eeg": (ORANGE, "s")}


def read_curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """By name of a metric, ``(step, value)`` where it was logged."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in csv.DictReader(path.read_text().splitlines()):
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
    curves = read_curves(path)
    loss = curves.get("train/loss", [])
    tasks = tuple(LOOKS) if saw_pixels else ("mner",)
    dev = {task: curves[f"dev/{task}_f1"] for task in tasks if f"dev/{task}_f1" in curves}
    if not loss and not dev:
        return None
    return png(lambda figure: _draw_curves(figure, loss, dev), (8, 3.4))


def _draw_curves(figure: "Figure", loss: Curve, dev: Mapping[str, Curve]) -> None:
    left, right = figure.subplots(1, 2)
    left.plot([step for step, _ in loss], [value for _, value in loss], color=GREY)
    left.set_title("training loss")
    left.set_xlabel("step")
    for task, points in dev.items():
        colour, marker = LOOKS[task]
        # The last check repeats that of the chosen checkpoint.
        points = points[: max(1, len(points) - 1)]
        steps, values = [step for step, _ in points], [100 * value for _, value in points]
        right.plot(steps, values, color=colour, marker=marker, label=task.upper())
    right.set_title("dev F1 in %")
    right.set_xlabel("step")
    if dev:
        right.legend()
