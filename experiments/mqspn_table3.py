"""MQSPN, Table 3: what each component is worth. ``python -m experiments.mqspn_table3 --help``."""

import sys

from experiments.engine import Experiment, Variant, main
from experiments.engine.plan import FMNERG_DATA, GMNER_DATA

EXPERIMENT = Experiment(
    name="mqspn_table3",
    title="MQSPN, Table 3: ablation of the components",
    base=("model=mqspn",),
    settings=(GMNER_DATA, FMNERG_DATA),
    reference="full",
    rows=(
        Variant(key="full", label="MQSPN"),
        Variant(
            key="wo_ptq",
            label="w/o PTQ",
            overrides=(
                "model.network.type_queries=false",
                "model.network.entity_classifier=softmax",
            ),
        ),
        Variant(key="wo_leq", label="w/o LEQ", overrides=("model.network.entity_queries=human",)),
        Variant(key="wo_qct", label="w/o QCT", overrides=("model.network.qct=false",)),
        Variant(key="wo_qpi", label="w/o QPI", overrides=("model.network.prefix_source=none",)),
        Variant(key="wo_sag", label="w/o SAG", overrides=("model.network.aggregator=none",)),
        Variant(
            key="wo_bml",
            label="w/o BML",
            overrides=(
                "model.matcher.solver=order",
                "model.activation=softmax",
                "model.loss_kind=softmax_nll",
            ),
        ),
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
