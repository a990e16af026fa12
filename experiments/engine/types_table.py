"""The papers' tables by entity type on Twitter-FMNERG: columns are methods."""

from dataclasses import replace

from experiments.engine.columns import macro_f1, type_f1
from experiments.engine.measures import GMNER_F1
from experiments.engine.plan import FMNERG_DATA, Experiment, Variant
from experiments.papers import papers

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
