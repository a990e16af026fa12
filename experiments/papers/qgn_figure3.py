"""QGN, Figure 3: the number of queries (the grid is ours; the paper's peak is at 60)."""

import sys

from experiments.engine import TASKS_F1, Experiment, main
from experiments.engine.plan import FMNERG_DATA, GMNER_DATA, curve

EXPERIMENT = Experiment(
    name="qgn_figure3",
    title="QGN, Figure 3: number of queries",
    base=("model=qgn",),
    real=("+experiment=qgn_paper",),
    settings=(GMNER_DATA, FMNERG_DATA),
    reference="60",
    measures=TASKS_F1,
    rows=curve("model.network.num_queries", (10, 20, 30, 40, 50, 60, 70, 80, 90)),
    paper=False,
    curve="queries",
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
