"""What a perturbation costs: F1 before and after, by task, type and groundability. No torch.

Before and after are compared example by example, by counts alone, since the words of a name and so
its span may have moved. Gold has the same entities on both sides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gmbench.core.entities import Entity, Example, Prediction
from gmbench.scoring.counting import TASKS, Scores, Tally, Task
from gmbench.scoring.intervals import RESAMPLES, Interval, Ints, f1
from gmbench.scoring.significance import paired_bootstrap

ALL = "all"
SIDES = {"groundable": True, "not groundable": False}
"""Whether gold has a box and, for F1, the prediction too: no right region joins the two sides."""

Figure = Literal["f1", "recall"]
Cell = tuple[str, Task, Figure]
"""Group, task and figure, as in :class:`Effect`."""
Answers = Mapping[str, Sequence[Prediction]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One figure before and after a perturbation.

    Attributes:
        group: ``all``, a type, ``groundable`` or ``not groundable``.
        figure: ``recall`` where predictions have no share in the group: EEG by type, MNER by
            groundability.
        delta: after minus before, with its interval by paired bootstrap.
    """

    group: str
    task: Task
    figure: Figure
    before: float
    after: float
    delta: Interval


def effects(
    before: Mapping[Cell, Ints],
    after: Mapping[Cell, Ints],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Effect, ...]:
    """The effect of a perturbation on every figure, from what :func:`tables` counts.

    Raises:
        ValueError: the two differ in examples or in numbers of gold entities.
    """
    found = []
    for (group, task, figure), first in before.items():
        second = after[group, task, figure]
        delta, _ = paired_bootstrap(second, first, resamples=resamples, seed=seed)
        was, now = (float(f1(table.sum(axis=0))) for table in (first, second))
        found.append(
            Effect(group=group, task=task, figure=figure, before=was, after=now, delta=delta)
        )
    return tuple(found)


def tables(
    examples: Sequence[Example],
    answers: Answers,
    types: Sequence[str],
    tasks: Sequence[Task] = TASKS,
) -> dict[Cell, Ints]:
    """``[N, 3]`` counts tp, pred, gold of every figure, one row an example, in order of ids.

    Recall is written as counts with as many predictions as gold entities: their F1 is recall.

    Raises:
        ValueError: an example has no answer, or an answer no example.
    """
    if answers.keys() != {example.id for example in examples}:
        differ = answers.keys() ^ {example.id for example in examples}
        raise ValueError(f"answers and examples differ in {len(differ)} ids, say {min(differ)!r}")
    rows: dict[Cell, list[tuple[int, int, int]]] = {}
    for example in sorted(examples, key=lambda example: example.id):
        for (group, task, figure), (tp, pred, gold) in _counts(
            example.entities, answers[example.id], types
        ):
            if task in tasks:
                row = (tp, gold if figure == "recall" else pred, gold)
                rows.setdefault((group, task, figure), []).append(row)
    return {cell: np.asarray(counts, dtype=np.int64) for cell, counts in rows.items()}


def _counts(
    gold: Sequence[Entity], guesses: Sequence[Prediction], types: Sequence[str]
) -> Iterator[tuple[Cell, tuple[int, int, int]]]:
    """The counts of one example, in the same order for every example."""
    tally = _tally(gold, guesses)
    yield from _of_tasks(ALL, tally.scores(), dict.fromkeys(TASKS, "f1"))
    for name, has_box in SIDES.items():
        side = [entity for entity in gold if entity.groundable is has_box]
        kept = [guess for guess in guesses if (guess.box is not None) is has_box]
        figures: dict[Task, Figure] = {"gmner": "f1", "eeg": "f1"}
        yield from _of_tasks(name, _tally(side, kept).scores(), figures)
        yield from _of_tasks(name, _tally(side, guesses).scores(), {"mner": "recall"})
    for name in types:
        gmner, mner, eeg, pred, count = tally.row(name)
        yield (name, "gmner", "f1"), (gmner, pred, count)
        yield (name, "mner", "f1"), (mner, pred, count)
        yield (name, "eeg", "recall"), (eeg, pred, count)


def _tally(gold: Sequence[Entity], guesses: Sequence[Prediction]) -> Tally:
    tally = Tally()
    tally.add(gold, guesses)
    return tally


def _of_tasks(
    group: str, scores: Scores, figures: Mapping[Task, Figure]
) -> Iterator[tuple[Cell, tuple[int, int, int]]]:
    for task, figure in figures.items():
        counts = getattr(scores, task)
        yield (group, task, figure), (counts.tp, counts.pred, counts.gold)
