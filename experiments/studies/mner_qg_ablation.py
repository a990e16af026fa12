"""MNER-QG: its losses, and both of its tasks learned on their own."""

import sys

from experiments.engine import Experiment, Variant, main
from experiments.engine.measures import TASKS_F1

TEXT, GROUNDING, EXISTENCE = (
    f"model.loss.terms.{term}.weight=0" for term in ("text", "grounding", "existence")
)
NEVER, ALWAYS = (f"model.decode.no_target_threshold={value}" for value in ("0", "1.1"))
GIVEN = "model.decode.given_text=true"

EXPERIMENT = Experiment(
    name="mner_qg_ablation",
    title="MNER-QG: ablation of the losses, and single-task training",
    base=("model=mner_qg",),
    reference="full",
    measures=TASKS_F1,
    rows=(
        Variant(key="full", label="joint training"),
        Variant(key="wo_grounding", label="w/o grounding loss", overrides=(GROUNDING,)),
        Variant(key="wo_existence", label="w/o existence loss", overrides=(EXISTENCE,)),
        Variant(
            key="wo_existence_always",
            label="w/o existence loss, always a box (ours)",
            overrides=(EXISTENCE, ALWAYS),
            weights_of="wo_existence",
        ),
        Variant(
            key="single_mner",
            label="MNER alone, never a box",
            overrides=(GROUNDING, EXISTENCE, NEVER),
        ),
        Variant(
            key="given",
            label="joint training, gold text given",
            overrides=(GIVEN,),
            weights_of="full",
        ),
        Variant(
            key="single_grounding",
            label="query grounding alone, gold text given",
            overrides=(TEXT, GIVEN),
            against="given",
        ),
    ),
    paper=False,
    note=(
        "The source reports that each loss helps and that joint training beats both single tasks; "
        "we have only its summary, none of its numbers. Without the existence loss nothing teaches "
        "whether a type is in the image: *always a box* shows what its boxes are worth. A model of "
        "grounding alone finds no names, so the last two rows are given gold spans and types: "
        "their MNER is 100 by construction, their GMNER the share of right regions."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
