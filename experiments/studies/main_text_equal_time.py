"""The three models on the words of real tweets in equal time: many looks against many questions."""

import sys
from dataclasses import replace

from experiments.engine import main
from experiments.studies.main_comparison import MODELS
from experiments.studies.main_text import EXPERIMENT as ONE_EPOCH
from experiments.studies.main_text import READING

EPOCHS = {"mqspn": 4, "qgn": 3, "mner_qg": 1}
"""Whole epochs that take each model about as long as MNER-QG's one, which reads a sentence once a
type: rounded up, so that no model has less time than MNER-QG."""

EXPERIMENT = replace(
    ONE_EPOCH,
    name="main_text_equal_time",
    title="MQSPN, QGN and MNER-QG on the words of real tweets, in equal time",
    real=(),
    rows=tuple(
        replace(
            row,
            label=f"{row.label}, {EPOCHS[row.key]} epoch{'s' * (EPOCHS[row.key] > 1)}",
            overrides=(*row.overrides, f"trainer.epochs={EPOCHS[row.key]}"),
        )
        for row in MODELS
    ),
    seeds=(1, 2, 3),
    note=(
        "All 7,000 training tweets, each read as often as a model can in the time that MNER-QG "
        f"takes to read it once, {READING}"
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
