"""MQSPN, Table 1: the main comparison on Twitter-GMNER; all other methods as they were printed."""

import sys

from experiments.engine import Experiment, Variant, main
from experiments.engine.measures import TASK_FIGURES
from experiments.papers.papers import papers

NAME = "mqspn_table1"
OURS = ("model=mqspn", "+experiment=mqspn_paper")

EXPERIMENT = Experiment(
    name=NAME,
    title="MQSPN, Table 1: GMNER, MNER and EEG",
    base=(),
    reference=None,
    measures=TASK_FIGURES,
    rows=tuple(
        Variant(key=key, label=row.title, paper_only=OURS, world_only=("model=mqspn",))
        if key == "MQSPN"
        else Variant(key=key, label=row.title, only="print")
        for key, row in papers().table(NAME).rows.items()
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
