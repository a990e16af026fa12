"""Tables whose rows are entity types: one run fills a whole column."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from experiments.engine.measures import GMNER_F1, Answers, Finished, Measure
from experiments.engine.plan import FMNERG_DATA, Experiment, Variant
from experiments.papers.papers import papers
from gmbench.core.entities import Example
from gmbench.scoring.counting import Task
from gmbench.scoring.error_types import judge


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


# Entities that share their type with another one of the tweet: what one query a type must join.
def recall(gold: Sequence[Example], answers: Answers, *, shared: bool) -> float | None:
    """Share of the entities right in span, type and region, in %; None where there are none.

    Args:
        gold: tweets with their entities.
        answers: predictions by tweet.
        shared: entities whose type another entity of the tweet has too, or those alone in theirs.
    """
    marks = []
    for example in gold:
        types = Counter(entity.type for entity in example.entities)
        for verdict in judge(example.entities, answers[example.id]):
            if verdict.gold is not None and (types[verdict.gold.type] > 1) == shared:
                marks.append(verdict.kind == "correct")
    return 100 * sum(marks) / len(marks) if marks else None


def alone(gold: Sequence[Example], answers: Answers) -> float | None:
    """Of entities whose type no other entity of the tweet has."""
    return recall(gold, answers, shared=False)


def together(gold: Sequence[Example], answers: Answers) -> float | None:
    """Of entities whose type occurs more than once in the tweet."""
    return recall(gold, answers, shared=True)


MEASURES = (
    Measure(title="recall, type once", of_answers=alone),
    Measure(title="recall, type shared", of_answers=together),
)


# The papers' tables by entity type on Twitter-FMNERG: columns are methods.
WORLD_TYPES = ("PER", "LOC", "ORG", "OTHER")


def types_experiment(name: str, title: str, ours: tuple[str, ...]) -> Experiment:
    """A table with the paper's types downwards, and those of the built-in world below them.

    Args:
        name: of the table in ``papers.yaml``.
        title: of the experiment.
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
