"""QGN, Table III: every combination of MQA, HVLA and MQD, the empty one too."""

import sys

from experiments.engine import GMNER_F1, Experiment, main
from experiments.engine.measures import INACTIVE, adds
from experiments.engine.plan import rows_of

MQA, HVLA, MQD = (f"model.network.{part}.enabled=false" for part in ("mqa", "hvla", "mqd"))

EXPERIMENT = Experiment(
    name="qgn_table3",
    title="QGN, Table III: ablation of the components",
    base=("model=qgn",),
    real=("+experiment=qgn_paper",),
    reference="full",
    measures=(GMNER_F1, adds("hvla", "HVLA"), adds("mqd.merge", "MQD's merge")),
    note=INACTIVE,
    rows=rows_of(
        "qgn_table3",
        {
            "mqa": f"{HVLA} {MQD}",
            "hvla": f"{MQA} {MQD}",
            "mqd": f"{MQA} {HVLA}",
            "mqa_hvla": MQD,
            "mqa_mqd": HVLA,
            "hvla_mqd": MQA,
            "full": "",
        },
        extra={"none": ("none of them (not in the paper)", f"{MQA} {HVLA} {MQD}")},
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
