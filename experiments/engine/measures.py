"""What is read off a finished run: figures of its record, or anything its predictions give."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gmbench.core.entities import Entity, Example, Prediction
from gmbench.reporting.record import ANALYSIS, RunResult, read_analysis
from gmbench.scoring.counting import TASKS, Task, region_right
from gmbench.scoring.intervals import Ints

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
        printed: which number of a paper's cell it is: ``precision``, ``recall`` or ``f1``; empty
            where the paper has no such figure.
        column: of the paper's table; None = the setting's own.
        row: of the paper's table, where its rows are types and its columns methods.
        of_answers: instead of ``of``: from the gold of the test split and the predictions.
        of_tweets: instead of ``of``: how many of how many in one tweet; the figure is the ratio of
            their sums over all tweets, and the difference of two rows has a paired interval.
        unit: of the figure.
    """

    title: str
    of: Callable[[Finished], float | None] = lambda run: None
    task: Task | None = None
    printed: str = "f1"
    column: str | None = None
    row: str | None = None
    of_answers: Callable[[Sequence[Example], Answers], float | None] | None = None
    of_tweets: Callable[[Example, Sequence[Prediction]], tuple[int, int]] | None = None
    unit: str = "%"

    @property
    def compared(self) -> bool:
        """Whether the difference of two rows has an interval."""
        return self.task is not None or self.of_tweets is not None


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


def adds(part: str, label: str) -> Measure:
    """What a part of the model adds, as a share of what it adds to; below 1 % it is inactive."""

    def of(run: Finished) -> float | None:
        file = run.folder / ANALYSIS
        additions = read_analysis(file).additions if file.is_file() else {}
        return 100 * additions[part] if part in additions else None

    return Measure(title=f"{label} adds", of=of, printed="")


INACTIVE = (
    "What a part adds: root mean square over that of what it adds to, on the test split. A part "
    "below 1 % is *inactive*: to take it away then tests nothing."
)


def sums(table: Ints) -> tuple[int, int, int]:
    """tp, pred, gold of a table of tweets."""
    tp, pred, gold = (int(n) for n in table.sum(axis=0))
    return tp, pred, gold


GMNER_F1, MNER_F1, EEG_F1 = (figure(task, "f1") for task in TASKS)
TASKS_F1 = (GMNER_F1, MNER_F1, EEG_F1)
TASK_FIGURES = tuple(
    figure(task, name, column=task) for task in TASKS for name in ("f1", "precision", "recall")
)
"""Everything of the papers' first tables, in columns by task."""
GMNER = tuple(figure("gmner", name) for name in ("f1", "precision", "recall"))


def pairs_of(example: Example) -> Iterator[tuple[Entity, Entity]]:
    """Entities of different types whose names share a word: does a model keep them apart?"""
    words = [
        {word.lstrip("#").casefold() for word in example.words[e.start : e.end + 1]}
        for e in example.entities
    ]
    for second in range(len(words)):
        for first in range(second):
            one, two = example.entities[first], example.entities[second]
            if one.type != two.type and words[first] & words[second]:
                yield one, two


def both_right(gold: Sequence[Example], answers: Answers) -> float | None:
    """Share of the pairs of which both entities are right in span, type and region, in %."""
    marks = [
        all(any(is_right(e, p) for p in answers[example.id]) for e in pair)
        for example in gold
        for pair in pairs_of(example)
    ]
    return 100 * sum(marks) / len(marks) if marks else None


def swapped(gold: Sequence[Example], answers: Answers) -> float | None:
    """Share of the pairs of which one entity is given the type or the region of the other, in %."""
    marks = [
        any(_taken(one, two, p) or _taken(two, one, p) for p in answers[example.id])
        for example in gold
        for one, two in pairs_of(example)
    ]
    return 100 * sum(marks) / len(marks) if marks else None


def is_right(entity: Entity, guess: Prediction) -> bool:
    """Span, type and region (GMNER)."""
    named = _same_span(entity, guess) and guess.type == entity.type
    return named and region_right(guess.box, entity.boxes)


def _taken(entity: Entity, other: Entity, guess: Prediction) -> bool:
    if not _same_span(entity, guess):
        return False
    if guess.type == other.type:
        return True
    given = guess.box is not None and region_right(guess.box, other.boxes)
    return given and not region_right(guess.box, entity.boxes)


def _same_span(entity: Entity, guess: Prediction) -> bool:
    return (entity.start, entity.end) == (guess.start, guess.end)


BOTH_RIGHT = Measure(title="pairs: both right", of_answers=both_right)
SWAPPED = Measure(title="pairs: swapped", of_answers=swapped)
