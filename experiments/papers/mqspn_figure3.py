"""MQSPN, Figure 3: the number k of candidate regions, in training and in testing."""

import sys

from experiments.engine import EEG_F1, GMNER_F1, Experiment, main
from experiments.engine.plan import curve

EXPERIMENT = Experiment(
    name="mqspn_figure3",
    title="MQSPN, Figure 3: number of candidate regions",
    base=("model=mqspn",),
    real=("+experiment=mqspn_paper",),
    world=("data.world.candidates=30",),  # of 10 there would be nothing left to add
    reference="15",
    measures=(GMNER_F1, EEG_F1),
    rows=curve("regions.num", (5, 10, 15, 18, 20, 25, 30)),
    paper=False,
    curve="candidate regions k",
    note="The paper shows the curve without numbers. The gold never changes with k.",
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
