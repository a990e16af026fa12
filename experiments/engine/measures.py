"""What is read off a finished run: figures of its record, or anything its predictions give."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gmbench.reporting.results import RunResult
from gmbench.scoring.counting import Task
from gmbench.scoring.statistics import Ints
from gmbench.structures import Example, Prediction

Answers = Mapping[str, Sequence[Prediction]]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """One finished run.

    Attributes:
        seed: of the run.
        folder: where it lies.
        result: its record.
        note: why it is not exactly what the plan asks for, or None.
    """

    seed: int
    folder: Path
    result: RunResult
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure of a run.

    Attributes:
        title: of its column.
        of: the figure in percent (or its own unit), None where the run does not have it.
        task: whose F1 it is: then the difference of two rows has a paired interval.
        printed: which number of a paper's cell it is: ``precision``, ``recall`` or ``f1``.
        column: of the paper's table; None = the setting's own.
        row: of the paper's table, where its rows are types and its columns methods.
        of_answers: instead of ``of``: from the gold of the test split and the predictions.
        unit: of the figure.
    """

    title: str
    of: Callable[[Finished], float | None] = lambda run: None
    task: Task | None = None
    printed: str = "f1"
    column: str | None = None
    row: str | None = None
    of_answers: Callable[[Sequence[Example], Answers], float | None] | None = None
    unit: str = "%"


def figure(task: Task, name: str, column: str | None = None) -> Measure:
    """P, R or F1 of a task in percent."""

    def of(run: Finished) -> float | None:
        figures = getattr(run.result.metrics, task)
        return None if figures is None else 100 * float(getattr(figures, name))

    short = {"precision": "P", "recall": "R", "f1": "F1"}[name]
    return Measure(
        title=f"{task.upper()} {short}",
        of=of,
        task=task if name == "f1" else None,
        printed=name,
        column=column,
    )


def sums(table: Ints) -> tuple[int, int, int]:
    """tp, pred, gold of a table of tweets."""
    tp, pred, gold = (int(n) for n in table.sum(axis=0))
    return tp, pred, gold


GMNER_F1, MNER_F1, EEG_F1 = (figure(task, "f1") for task in ("gmner", "mner", "eeg"))
TASKS_F1 = (GMNER_F1, MNER_F1, EEG_F1)
TASKS = tuple(
    figure(task, name, column=task)
    for task in ("gmner", "mner", "eeg")
    for name in ("f1", "precision", "recall")
)
"""Everything of the papers' first tables, in columns by task."""
GMNER = tuple(figure("gmner", name) for name in ("f1", "precision", "recall"))
