"""The engine under every table and figure: plan the runs, launch them, build the files."""

from experiments.engine.cli import main
from experiments.engine.measures import (
    EEG_F1,
    GMNER,
    GMNER_F1,
    MNER_F1,
    TASKS_F1,
    Finished,
    Measure,
)
from experiments.engine.plan import Experiment, Setting, Variant

__all__ = [
    "EEG_F1",
    "GMNER",
    "GMNER_F1",
    "MNER_F1",
    "TASKS_F1",
    "Experiment",
    "Finished",
    "Measure",
    "Setting",
    "Variant",
    "main",
]
