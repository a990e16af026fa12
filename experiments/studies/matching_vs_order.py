"""A set matched as a whole against gold entities in the order of the sentence."""

import sys

from experiments.engine import Experiment, Variant, main
from experiments.engine.measures import TASKS_F1

ORDER = (
    "model.matcher.solver=order",
    "model.activation=softmax",
    "model.loss_kind=softmax_nll",
)

DRAWN = (
    "model.matcher.solver=drawn_order",
    "+model.matcher.order_seed=${seed}",
    *ORDER[1:],
)

EXPERIMENT = Experiment(
    name="matching_vs_order",
    title="Bipartite matching or a fixed order",
    base=(),
    reference="mqspn",
    measures=TASKS_F1,
    rows=(
        Variant(key="mqspn", label="MQSPN, matching", overrides=("model=mqspn",)),
        Variant(key="mqspn_order", label="MQSPN, in order", overrides=("model=mqspn", *ORDER)),
        Variant(
            key="mqspn_drawn",
            label="MQSPN, in a drawn order",
            overrides=("model=mqspn", *DRAWN),
        ),
        Variant(key="qgn", label="QGN, matching", overrides=("model=qgn",), against="qgn"),
        Variant(
            key="qgn_order",
            label="QGN, in order",
            overrides=("model=qgn", *ORDER),
            against="qgn",
        ),
    ),
    paper=False,
    note=(
        "*In order*: gold entity i of the sentence belongs to query i, without repetition. *In a "
        "drawn order*: of an order that each tweet keeps but every seed shuffles anew. Each "
        "ordered row is compared with its own model; the spread over seeds stands beside the mean."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
