"""The three models on the words of real tweets alone: what needs no picture and no GPU."""

import sys
from dataclasses import replace

from experiments.engine import MNER_F1, Experiment, Setting, main
from experiments.engine.error_bars import measures
from experiments.engine.measures import figure
from experiments.engine.type_columns import type_f1
from experiments.studies.main_comparison import MODELS

TEXT_ALONE = Setting(
    key="twitter_gmner_text",
    label="Twitter-GMNER, text alone",
    overrides=("data=twitter_gmner", "data.missing_image=blank", "encoders=small"),
)

READING = (
    "no pictures, so every score is one of the text. Below the table of scores every gold entity "
    "has one outcome, in % of all; *besides*: answers that meet no entity, per 100 entities."
)
"""The end of a note on such runs."""

EXPERIMENT = Experiment(
    name="main_text",
    title="MQSPN, QGN and MNER-QG on the words of real tweets",
    base=(),
    reference="mqspn",
    seeds=(1, 2, 3, 4, 5),
    settings=(TEXT_ALONE,),
    real=("trainer.epochs=1",),
    measures=(
        MNER_F1,
        figure("mner", "precision"),
        figure("mner", "recall"),
        *(replace(type_f1(name, task="mner"), row=None) for name in ("PER", "LOC", "ORG", "OTHER")),
        *measures(boxes=False),
    ),
    rows=MODELS,
    paper=False,
    note=f"One pass over all 7,000 training tweets, {READING}",
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
