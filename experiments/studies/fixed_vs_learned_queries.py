"""Written questions against learned queries, with and without the other grain."""

import sys

from experiments.engine import Experiment, Variant, main
from experiments.engine.measures import BOTH_RIGHT, TASKS_F1

NO_TYPES = ("model.network.mqs.type_queries=false", "model.network.msp.entity_classifier=softmax")
HUMAN = ("model.network.mqs.entity_queries=human",)

EXPERIMENT = Experiment(
    name="fixed_vs_learned_queries",
    title="Fixed or learned queries",
    base=("model=mqspn",),
    real=("+experiment=mqspn_paper",),
    reference="both",
    measures=(*TASKS_F1, BOTH_RIGHT),
    rows=(
        Variant(key="both", label="learned, with type prompts"),
        Variant(key="learned", label="learned only", overrides=NO_TYPES),
        Variant(key="human_prompts", label="written questions, with type prompts", overrides=HUMAN),
        Variant(key="human", label="written questions only", overrides=(*NO_TYPES, *HUMAN)),
    ),
    paper=False,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
