"""QGN, Table V: parts of MQA and of MQD."""

import sys

from experiments.engine import GMNER_F1, Experiment, main
from experiments.engine.measures import INACTIVE, adds
from experiments.engine.plan import Variant, rows_of

EXPERIMENT = Experiment(
    name="qgn_table5",
    title="QGN, Table V: parts of MQA and MQD",
    base=("model=qgn",),
    real=("+experiment=qgn_paper",),
    reference="full",
    measures=(
        GMNER_F1,
        adds("mqa.tqc", "TQC"),
        adds("mqa.jca", "JCA"),
        adds("mqd.vtf", "VTF"),
        adds("mqd.fde.cross", "FDE"),
        adds("mqd.merge", "MRE"),
        adds("heads.box.again", "second look"),
    ),
    note=INACTIVE,
    rows=(
        Variant(key="full", label="QGN", extra=True),
        *rows_of(
            "qgn_table5",
            {
                "shared": "model.network.mqa.query_init=one_vector",
                "mean_pooled": "model.network.mqa.query_init=mean",
                "attention_pooled": "model.network.mqa.query_init=attn_single",
                "wo_tqc": "model.network.mqa.tqc=false",
                "wo_jca": "model.network.mqa.jca=false",
                "wo_vtf": "model.network.mqd.vtf_layers=0",
                "wo_fde": "model.network.mqd.fde_layers=0",
                "wo_mre": "model.network.mqd.mre_layers=0",
            },
        ),
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
