"""MQSPN, Table 3: what each component is worth.

``python -m experiments.papers.mqspn_table3 --help``.
"""

import sys

from experiments.engine import GMNER_F1, Experiment, main
from experiments.engine.measures import INACTIVE, adds
from experiments.engine.plan import FMNERG_DATA, GMNER_DATA, Variant, rows_of

EXPERIMENT = Experiment(
    name="mqspn_table3",
    title="MQSPN, Table 3: ablation of the components",
    base=("model=mqspn",),
    real=("+experiment=mqspn_paper",),
    settings=(GMNER_DATA, FMNERG_DATA),
    reference="full",
    measures=(
        GMNER_F1,
        adds("queries.ptq", "PTQ"),
        adds("qfnet.qct", "QCT"),
        adds("qfnet.qpi.prefix", "prefix"),
        adds("qfnet.sag", "SAG"),
    ),
    note=INACTIVE,
    rows=(
        *rows_of(
            "mqspn_table3",
            {
                "full": "",
                "wo_ptq": (
                    "model.network.mqs.type_queries=false "
                    "model.network.msp.entity_classifier=softmax"
                ),
                "wo_leq": "model.network.mqs.entity_queries=human",
                "wo_qct": "model.network.qfnet.qct=false",
                "wo_qpi": "model.network.qfnet.prefix_source=none",
                "wo_sag": "model.network.qfnet.aggregator=none",
                "wo_bml": "model.matcher.solver=order model.activation=softmax "
                "model.loss_kind=softmax_nll",
            },
            extra={
                "wo_qct_bert": (
                    "w/o QCT, queries through BERT",
                    "model.network.query_encoder=joint_bert model.network.qfnet.qct=false",
                ),
            },
        ),
        Variant(
            key="wo_bml_alone",
            label="w/o BML, nothing else changed",
            overrides=("model.matcher.solver=order",),
            extra=True,
            only="real",  # on the world the row above changes nothing else
        ),
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
