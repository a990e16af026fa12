"""Scores as one plain object: what ``gmbench.score --json`` prints."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gmbench.reporting.figures import TaskFigures
from gmbench.reporting.records import to_plain
from gmbench.scoring.counting import CorpusScores, Counts, Scores
from gmbench.scoring.protocols import PROTOCOL_VERSION, Scored
from gmbench.scoring.statistics import FigureIntervals
from gmbench.scoring.strata import Strata

Plain = dict[str, Any]


def corpus_object(scored: Scored) -> Plain:
    """Counts and figures of the three tasks (micro) and of every type, and the rules they follow.

    ``macro_f1`` is the mean over types and secondary; EEG has a recall by type and no precision.
    """
    total = scored.total
    return {
        "gmner": {**_figures(total.micro.gmner), "macro_f1": total.macro_f1("gmner")},
        "mner": {**_figures(total.micro.mner), "macro_f1": total.macro_f1("mner")},
        "eeg": _figures(total.micro.eeg),
        "per_type": _per_type(total),
        "protocol": scored.protocol,
        "version": PROTOCOL_VERSION,
        "iou_threshold": scored.iou_threshold,
        "n": total.n,
    }


def case_object(id_: str, scores: Scores) -> Plain:
    """The counts of one document."""
    counts = {"gmner": scores.gmner, "mner": scores.mner, "eeg": scores.eeg}
    return {"id": id_, **{task: asdict(count) for task, count in counts.items()}}


def interval_object(intervals: Mapping[str, FigureIntervals], resamples: int, seed: int) -> Plain:
    """The intervals of the three tasks: ``[low, high]``, null where there is none."""
    level = next(iter(intervals.values())).f1.level
    found: Plain = {"method": "BCa", "level": level, "resamples": resamples, "seed": seed}
    for task, each in intervals.items():
        parts = {"precision": each.precision, "recall": each.recall, "f1": each.f1}
        found[task] = {name: [part.low, part.high] for name, part in parts.items()}
    return found


def strata_object(strata: Strata) -> Plain:
    """The splits of a score; ``notes`` names those that could not be made."""
    splits: Plain = {}
    for row in strata.recalls:
        counts = {"gold": row.gold, "gmner": row.gmner, "mner": row.mner, "eeg": row.eeg}
        splits.setdefault(row.split, {})[row.name] = counts
    sides = {
        side.name: {"gmner": _figures(side.gmner), "eeg": _figures(side.eeg)}
        for side in strata.sides
    }
    return {**sides, "found": splits, "notes": list(strata.notes)}


def _per_type(total: CorpusScores) -> Plain:
    types = total.per_type
    return {
        "gmner": {name: _figures(row.gmner) for name, row in types.items()},
        "mner": {name: _figures(row.mner) for name, row in types.items()},
        "eeg_recall": {
            name: {"tp": row.eeg_tp, "gold": row.gmner.gold, "recall": row.eeg_recall}
            for name, row in types.items()
        },
    }


def _figures(counts: Counts) -> Plain:
    plain: Plain = to_plain(TaskFigures.of(counts))
    return plain
