"""QGN, Table I: the main comparison on Twitter-GMNER, as printed and as it runs here."""

import sys

from experiments.engine import Experiment, Variant, main
from experiments.engine.measures import TASK_FIGURES
from experiments.papers.papers import papers

NAME = "qgn_table1"

EXPERIMENT = Experiment(
    name=NAME,
    title="QGN, Table I: GMNER, MNER and EEG",
    base=(),
    reference=None,
    measures=TASK_FIGURES,
    rows=tuple(
        Variant(
            key=key,
            label=row.title,
            overrides=(f"model={key.lower()}",),
            paper_only=(f"+experiment={key.lower()}_paper",),
        )
        if key in ("MQSPN", "QGN")
        else Variant(key=key, label=row.title, only="print")
        for key, row in papers().table(NAME).rows.items()
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
