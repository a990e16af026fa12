"""Figures by entity type, and the papers' tables on Twitter-FMNERG whose columns are methods."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from experiments.engine.measures import GMNER_F1, Answers, Finished, Measure
from experiments.engine.plan import FMNERG_DATA, Experiment, Variant
from experiments.papers.papers import papers
from gmbench.core.entities import Example
from gmbench.scoring.counting import Task
from gmbench.scoring.error_types import judge

WORLD_TYPES = ("PER", "LOC", "ORG", "OTHER")


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


def recall(gold: Sequence[Example], answers: Answers, *, shared: bool) -> float | None:
    """Share of some entities right in span, type and region, in %; None where there are none.

    Args:
        gold: examples with their entities.
        answers: predictions by example.
        shared: whether to take the entities whose type another entity of the example has too,
            which a model with one query per type must tell apart, or all others.
    """
    marks = []
    for example in gold:
        types = Counter(entity.type for entity in example.entities)
        for verdict in judge(example.entities, answers[example.id]):
            if verdict.gold is not None and (types[verdict.gold.type] > 1) == shared:
                marks.append(verdict.kind == "correct")
    return 100 * sum(marks) / len(marks) if marks else None


MEASURES = (
    Measure(title="recall, type once", of_answers=partial(recall, shared=False)),
    Measure(title="recall, type shared", of_answers=partial(recall, shared=True)),
)


def types_experiment(name: str, title: str, ours: tuple[str, ...]) -> Experiment:
    """A table with a row for each type of the paper, and below them those of the built-in world.

    Args:
        name: key of the table in ``papers.yaml``.
        title: title of the experiment.
        ours: keys of the columns that gmbench can run.
    """
    table = papers().table(name)
    types = [row for row in table.rows if row != "All"]
    return Experiment(
        name=name,
        title=title,
        base=(),
        settings=(FMNERG_DATA,),
        reference=None,
        measures=(
            replace(GMNER_F1, title="All (micro)", row="All"),
            macro_f1(),
            *(type_f1(label.lower(), label) for label in types),
            *(replace(type_f1(label), row=None) for label in WORLD_TYPES),
        ),
        rows=tuple(
            Variant(
                key=key,
                label=column.title,
                overrides=(f"model={key}",),
                paper_only=(f"+experiment={key}_paper",),
            )
            if key in ours
            else Variant(key=key, label=column.title, only="print")
            for key, column in table.columns.items()
        ),
        note="The four types of the built-in world stand below the paper's eight.",
    )
