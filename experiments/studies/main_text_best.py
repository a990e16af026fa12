"""A tagger and two set predictors on the words of real tweets, each with its own epochs."""

import sys
from dataclasses import replace

from experiments.engine import main
from experiments.studies.main_comparison import MODELS, PIPELINE
from experiments.studies.main_text import EXPERIMENT as ONE_EPOCH
from experiments.studies.main_text import READING

EPOCHS = {"pipeline": 4, "mqspn": 8, "qgn": 8}
"""Of 7,000 tweets; the checkpoint is the best of them on dev. Set predictors learn more slowly."""

EXPERIMENT = replace(
    ONE_EPOCH,
    name="main_text_best",
    title="A pipeline, MQSPN and QGN on the words of real tweets",
    reference="pipeline",
    real=(),
    rows=tuple(
        replace(
            row,
            label=f"{row.label}, {EPOCHS[row.key]} epochs",
            overrides=(*row.overrides, f"trainer.epochs={EPOCHS[row.key]}"),
        )
        for row in (PIPELINE, *MODELS)
        if row.key in EPOCHS
    ),
    seeds=(1, 2, 3),
    note=f"All 7,000 training tweets; the best checkpoint on dev is tested, {READING}",
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
