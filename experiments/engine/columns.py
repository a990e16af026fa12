"""Tables whose rows are entity types: one run fills a whole column."""

from experiments.engine.measures import Finished, Measure
from gmbench.scoring.counting import Task


def type_f1(name: str, title: str | None = None, task: Task = "gmner") -> Measure:
    """F1 of one entity type in percent; None where the run has no such type or saw no pixels."""

    def of(run: Finished) -> float | None:
        row = run.result.metrics.per_type.get(name)
        figures = None if row is None else getattr(row, task)
        return None if figures is None else 100 * float(figures.f1)

    return Measure(title=title or name, of=of, row=title or name)


def macro_f1() -> Measure:
    """Mean GMNER F1 over types in percent."""

    def of(run: Finished) -> float | None:
        value = run.result.metrics.gmner_macro_f1
        return None if value is None else 100 * value

    return Measure(title="macro F1", of=of)
