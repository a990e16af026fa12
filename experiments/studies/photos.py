"""Do proposals that miss cost more than having none? Asked on photographs, with a real detector."""

import sys

from experiments.engine import TASKS_F1, Experiment, Measure, Variant, main
from experiments.studies.main_comparison import boxes
from experiments.studies.proposal_recall import ceiling

EXPERIMENT = Experiment(
    name="photos",
    title="Proposals of a real detector, on photographs",
    base=(),
    reference="mqspn_ssd",
    measures=(
        *TASKS_F1,
        Measure(title="boxes right", of=boxes),
        Measure(title="GMNER ceiling", of=ceiling),
    ),
    rows=(
        *(
            Variant(
                key=f"mqspn_{key}",
                label=f"MQSPN, {label}",
                overrides=("model=mqspn", f"regions={regions}"),
                only="photos",
            )
            for key, label, regions in (
                ("ssd", "MobileNet-SSD", "ssd"),
                ("selective_search", "selective search", "selective_search"),
                ("annotated", "annotated boxes", "vinvl"),
            )
        ),
        # MQSPN reads features that are computed once; these two run the vision tower at every
        # step, on two cores too long at 224 pixels.
        Variant(
            key="qgn",
            label="QGN (no proposals)",
            overrides=("model=qgn", "encoders.image_size=112"),
            only="photos",
        ),
        Variant(
            key="mner_qg",
            label="MNER-QG (one box a type)",
            overrides=("model=mner_qg", "encoders.image_size=112"),
            only="photos",
        ),
    ),
    paper=False,
    data_varies=True,
    note=(
        "10 candidates an image. *boxes right*: groundable entities with the right text whose box "
        "has IoU 0.5 or more. *GMNER ceiling*: with perfect text and the best candidate. "
        "The annotated boxes are COCO's own, the largest first: candidates that miss only by their "
        "number. The posts are invented, and the detector learned from COCO's own training images."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
