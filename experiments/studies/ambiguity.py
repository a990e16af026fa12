"""Two names with a word in common in one tweet: which queries keep the two entities apart?

Every tweet of this world with two or more entities holds such a pair; the real test split has nine
sentences of the kind.
"""

import sys

from experiments.engine import GMNER_F1, Experiment, Variant, main
from experiments.engine.measures import BOTH_RIGHT, SWAPPED

EXPERIMENT = Experiment(
    name="ambiguity",
    title="Pairs of ambiguous names",
    base=(),
    real=("model=mqspn", "+experiment=mqspn_paper"),
    world=("data.world.pairs=1.0", "data.world.entities=2.2", "data.world.ambiguity=0.5"),
    reference="learned",
    measures=(GMNER_F1, BOTH_RIGHT, SWAPPED),
    rows=(
        Variant(key="learned", label="MQSPN", world_only=("model=mqspn",)),
        Variant(
            key="human",
            label="MQSPN w/o LEQ (one written question a type)",
            overrides=("model.network.mqs.entity_queries=human",),
            world_only=("model=mqspn",),
        ),
        Variant(
            key="no_types",
            label="MQSPN w/o PTQ",
            overrides=(
                "model.network.mqs.type_queries=false",
                "model.network.msp.entity_classifier=softmax",
            ),
            world_only=("model=mqspn",),
        ),
    ),
    paper=False,
    note=(
        "A pair: two entities of a tweet of different types that share a word. *Both right*: span, "
        "type and region of both. *Swapped*: one is given the type, or the region, of the other."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
