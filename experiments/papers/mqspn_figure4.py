"""MQSPN, Figure 4: the number u of queries (10 to 90; the paper's best is 60)."""

import sys

from experiments.engine import TASKS_F1, Experiment, main
from experiments.engine.plan import curve

EXPERIMENT = Experiment(
    name="mqspn_figure4",
    title="MQSPN, Figure 4: number of queries",
    base=("model=mqspn",),
    real=("+experiment=mqspn_paper",),
    reference="60",
    measures=TASKS_F1,
    rows=curve("model.network.num_queries", (10, 20, 30, 40, 50, 60, 70, 80, 90)),
    paper=False,
    curve="queries u",
    note="The paper shows the curve without numbers.",
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
