"""The analysis of one run beyond its three scores, as one record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gmbench.core.entities import Entity, Example, Prediction
from gmbench.scoring.calibration import Calibration, calibration
from gmbench.scoring.confusion import Confusion, confusion
from gmbench.scoring.counting import PROTOCOL, PROTOCOL_VERSION, TASKS
from gmbench.scoring.error_types import Decomposition, decompose
from gmbench.scoring.grounding import (
    GivenText,
    RegionUpperBound,
    Sweep,
    given_text,
    region_upper_bound,
    sweep,
)
from gmbench.scoring.intervals import RESAMPLES, FigureIntervals, TweetTable, intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One run on one split, by the strict protocol.

    Attributes:
        n: tweets.
        intervals: by task; without pixels only of MNER, and of what follows only ``errors`` and
            ``confusion``.
        errors: what is wrong with the wrong predictions; without pixels, with their text.
        sweep: F1 over IoU thresholds.
        given_text: regions of what MNER counts as right.
        ceiling: what the candidates allow; None for a model without proposals, which has none.
        calibration: of the no-target decision; None where the model gives no probability.
        confusion: of types; None in an analysis stored before there was one.
        additions: how much each part of the model adds, as a share of what it adds to; empty where
            nobody measured.
    """

    protocol: str = PROTOCOL
    protocol_version: str = PROTOCOL_VERSION
    n: int
    resamples: int
    seed: int
    intervals: Mapping[str, FigureIntervals]
    errors: Decomposition
    sweep: Sweep | None
    given_text: GivenText | None
    ceiling: RegionUpperBound | None
    calibration: Calibration | None
    confusion: Confusion | None = None
    additions: Mapping[str, float] = field(default_factory=dict)


def analyse(
    examples: Sequence[Example],
    predictions: Mapping[str, Sequence[Prediction]],
    table: TweetTable,
    *,
    saw_pixels: bool = True,
    proposals: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    additions: Mapping[str, float] | None = None,
) -> Analysis:
    """Analyse the predictions of one split.

    ``table`` holds the counts of the same predictions by tweet, and ``proposals`` is the number of
    candidates per image that the model chooses from, None for a proposal-free one. A model that
    saw no pixels does not report grounding, so nothing of it is analysed.
    """
    tasks = TASKS if saw_pixels else ("mner",)
    found = intervals(*(getattr(table, task) for task in tasks), resamples=resamples, seed=seed)
    documents = [(example.entities, predictions[example.id]) for example in examples]
    ceiling = None
    if saw_pixels and proposals is not None:
        ceiling = region_upper_bound(examples, predictions, proposals)
    gold = {example.id: example.entities for example in examples}
    return Analysis(
        n=len(examples),
        resamples=resamples,
        seed=seed,
        intervals=dict(zip(tasks, found, strict=True)),
        errors=decompose(documents if saw_pixels else map(_text_alone, documents)),
        sweep=sweep(documents) if saw_pixels else None,
        given_text=given_text(documents) if saw_pixels else None,
        ceiling=ceiling,
        calibration=calibration(gold, predictions, seed=seed) if saw_pixels else None,
        confusion=confusion(documents),
        additions=additions or {},
    )


def _text_alone(
    document: tuple[Sequence[Entity], Sequence[Prediction]],
) -> tuple[Sequence[Entity], Sequence[Prediction]]:
    """Gold and predictions without any box: then every region is right."""
    gold, pred = document
    return [replace(e, boxes=()) for e in gold], [replace(p, box=None) for p in pred]
