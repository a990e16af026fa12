"""What became of the gold entities: shares that add up to 100 %, as columns and as one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from statistics import fmean
from typing import Protocol

from matplotlib import style
from matplotlib.figure import Figure

from experiments.engine.measures import Finished, Measure
from gmbench.reporting.plots import BLUE, GREEN, GREY, ORANGE, STYLE, VERMILION
from gmbench.reporting.record import ANALYSIS, read_analysis
from gmbench.scoring.analysis import Analysis

COLUMN = "what became of the gold entities"
"""Measures of this column stand in a table of their own."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One of the things that may become of a gold entity.

    Attributes:
        title: as shown.
        kind: of the verdict (``gmbench.scoring.error_types``), or of the wrong region where
            the span is right.
        colour, hatch: of its part of a bar; alike colours have unlike hatches.
        boxes: it is about boxes, so a run that saw no pixels does not have it.
    """

    title: str
    kind: str
    colour: str
    hatch: str = ""
    boxes: bool = False

    def share(self, run: Finished) -> float | None:
        """Of the gold entities in %; None where the run does not have it."""
        analysis = analysis_of(run)
        if analysis is None or (self.boxes and analysis.given_text is None):
            return None
        errors = analysis.errors
        if self.kind == "correct":
            return 100 * errors.correct / errors.gold
        count = errors.regions[self.kind] if self.boxes else errors.kinds[self.kind].count
        return 100 * count / errors.gold


OUTCOMES = (
    Outcome(title="right", kind="correct", colour=GREEN),
    Outcome(title="box missing", kind="none_for_box", colour=BLUE, boxes=True),
    Outcome(title="box, none due", kind="box_for_none", colour=BLUE, hatch="///", boxes=True),
    Outcome(title="another's box", kind="other_entity", colour=ORANGE, boxes=True),
    Outcome(title="poor box", kind="poor_box", colour=ORANGE, hatch="///", boxes=True),
    Outcome(title="wrong box", kind="wrong_box", colour=ORANGE, hatch="xxx", boxes=True),
    Outcome(title="type alone", kind="type", colour=VERMILION),
    Outcome(title="span", kind="span", colour=VERMILION, hatch="///"),
    Outcome(title="missed", kind="missed", colour=GREY),
)
"""In the order of the verdicts; an entity with the right span and two faults counts by its box."""


def analysis_of(run: Finished) -> Analysis | None:
    """What the run knows of its own errors; None without the file."""
    path = run.folder / ANALYSIS
    return read_analysis(path) if path.is_file() else None


def spurious(run: Finished) -> float | None:
    """Predictions that meet no gold entity, or one that has its own already; per 100 entities."""
    analysis = analysis_of(run)
    if analysis is None:
        return None
    kinds = analysis.errors.kinds
    return 100 * (kinds["spurious"].count + kinds["duplicate"].count) / analysis.errors.gold


def measures(*, boxes: bool = True) -> tuple[Measure, ...]:
    """A column for each outcome, those about boxes among them or not, and one for what is left."""
    shown = (outcome for outcome in OUTCOMES if boxes or not outcome.boxes)
    shares = (Measure(title=o.title, of=o.share, column=COLUMN) for o in shown)
    return (*shares, Measure(title="besides", of=spurious, column=COLUMN))


class Shown(Protocol):
    """A part of a bar."""

    @property
    def title(self) -> str:
        """In the legend."""
        ...

    @property
    def colour(self) -> str:
        """Of the part."""
        ...

    @property
    def hatch(self) -> str:
        """Of the part; may be empty."""
        ...

    def share(self, run: Finished) -> float | None:
        """Its length in %; None where the run does not have it."""
        ...


def draw(
    runs: Mapping[str, Sequence[Finished]],
    parts: Sequence[Shown] = OUTCOMES,
    of: str = "gold entities in %, mean over seeds",
) -> bytes | None:
    """One bar a row, of the means over its seeds; None where no run has an analysis.

    Args:
        runs: by the label of their row.
        parts: of a bar, from the left; together 100 %.
        of: name of the axis.
    """
    found = {label: _means(mine, parts) for label, mine in runs.items()}
    bars = {label: means for label, means in found.items() if means}
    if not bars:
        return None
    with style.context(["default", dict(STYLE)]):
        figure = Figure(figsize=(9, 1.6 + 0.55 * len(bars)), layout="constrained")
        axis = figure.subplots()
        for place, means in enumerate(bars.values()):
            left = 0.0
            for outcome in parts:
                share = means.get(outcome.title)
                if share is None:
                    continue
                axis.barh(
                    place,
                    share,
                    left=left,
                    height=0.6,
                    color=outcome.colour,
                    hatch=outcome.hatch,
                    edgecolor="white",
                    linewidth=0.8,
                    label=outcome.title if place == 0 else None,
                )
                if share >= 3:
                    axis.text(
                        left + share / 2,
                        place,
                        f"{share:.0f}",
                        ha="center",
                        va="center",
                        fontsize=9,
                        color="white",
                        bbox={
                            "boxstyle": "square,pad=0.1",
                            "facecolor": outcome.colour,
                            "edgecolor": "none",
                        },
                    )
                left += share
        axis.set_yticks(range(len(bars)), list(bars))
        axis.set_ylim(len(bars) - 0.5, -0.5)
        axis.set_xlim(0, 100)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel(of)
        figure.legend(loc="outside upper left", ncols=5, fontsize=9, frameon=False)
        out = BytesIO()
        figure.savefig(out, dpi=150, metadata={"Software": None})
        return out.getvalue()


def _means(runs: Sequence[Finished], parts: Sequence[Shown]) -> dict[str, float]:
    """The mean share of each part, over the runs that have it."""
    shares = {o.title: [s for run in runs if (s := o.share(run)) is not None] for o in parts}
    return {title: fmean(values) for title, values in shares.items() if values}
