"""The main comparison: the models under one recipe, and what each gets wrong."""

import sys
from dataclasses import replace

from experiments.engine import (
    TASKS_F1,
    Experiment,
    Finished,
    Measure,
    Variant,
    main,
    type_columns,
)
from experiments.engine.error_bars import analysis_of, draw, measures
from gmbench.scoring.baselines import UPPER_BOUND_OF_ONE_REGION

MODELS = tuple(
    Variant(key=key, label=label, overrides=(f"model={key}",))
    for key, label in (("mqspn", "MQSPN"), ("qgn", "QGN"), ("mner_qg", "MNER-QG"))
)

PIPELINE = Variant(key="pipeline", label="Pipeline", overrides=("model=pipeline",))

FORM = "regions, and what the form of a model costs"
"""Measures of this column stand in a table of their own."""


def boxes(run: Finished) -> float | None:
    """Share of the groundable entities with the right text that get a box of IoU >= 0.5, in %."""
    analysis = analysis_of(run)
    if analysis is None or analysis.given_text is None or not analysis.given_text.accuracy:
        return None
    return 100 * analysis.given_text.accuracy[0]


def ceiling(run: Finished) -> float | None:
    """GMNER F1 that the model could reach at best by its form or its candidates, in %."""
    for floor in run.result.floors:
        if floor.name == UPPER_BOUND_OF_ONE_REGION and floor.gmner is not None:
            return 100 * floor.gmner.f1
    analysis = analysis_of(run)
    if analysis is None or analysis.given_text is None:
        return None
    return 100.0 if analysis.ceiling is None else 100 * analysis.ceiling.gmner[-1]


EXPERIMENT = Experiment(
    name="main_comparison",
    title="The models under one recipe",
    base=(),
    reference="mqspn",
    seeds=(1, 2, 3, 4, 5),
    measures=(
        *TASKS_F1,
        Measure(title="boxes right", of=boxes, column=FORM),
        Measure(title="ceiling", of=ceiling, column=FORM),
        *(replace(measure, column=FORM) for measure in type_columns.MEASURES),
        *measures(),
    ),
    rows=(
        *MODELS,
        Variant(key="hindex", label="H-Index", overrides=("model=hindex",)),
        PIPELINE,
    ),
    paper=False,
    picture=lambda block: draw(block.by_label),
    note=(
        "Second table. *boxes right*: groundable entities with the right text whose box has IoU "
        "0.5 or more. *ceiling*: GMNER F1 with perfect text, given the candidates (MQSPN, "
        "H-Index, Pipeline), one region a type and sentence (MNER-QG), or nothing in the way "
        "(QGN). *recall, type once* and *shared*: GMNER recall of entities whose type no other "
        "entity of the tweet has, and of the others. Third table: every gold entity has one "
        "outcome, in % of all; one with the right span and a wrong region counts by its region, "
        "whatever its type; *besides*: answers that meet no entity, per 100 entities."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
