"""An entity with several boxes: which one is a proposal-free model taught?"""

import sys

from experiments.engine import EEG_F1, GMNER_F1, Experiment, Variant, main

POLICIES = ("largest", "min_cost", "random", "expand", "union")

EXPERIMENT = Experiment(
    name="multibox",
    title="Target policies for entities with several boxes",
    base=("model=qgn",),
    real=("+experiment=qgn_paper",),
    world=("data.world.multi_box=0.3",),
    reference="largest",
    measures=(GMNER_F1, EEG_F1),
    rows=tuple(
        Variant(key=policy, label=policy, overrides=(f"model.loss.gold.multi_box={policy}",))
        for policy in POLICIES
    ),
    paper=False,
    note="Scored any-of: one of the gold boxes at IoU 0.5 is enough, whatever was taught.",
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
