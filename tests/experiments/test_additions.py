"""What a part of a model adds, as a column of a table."""

from dataclasses import replace

from experiments.engine.collect import paper_cell
from experiments.engine.measures import Finished, adds
from experiments.papers import qgn_table3
from gmbench.core.entities import Example, Prediction
from gmbench.reporting.record import ANALYSIS, write_analysis
from gmbench.scoring.analysis import analyse
from gmbench.scoring.intervals import tweet_table


def test_it_is_read_off_the_runs_analysis(tmp_path):
    predictions = {"1": (Prediction(0, 0, "A", None, 1.0),)}
    measured = analyse(
        [Example("1", ("a",), ())],
        predictions,
        tweet_table({"1": ()}, predictions),
        resamples=9,
        additions={"hvla": 0.004},
    )
    run = Finished(seed=1, folder=tmp_path, result=None)
    assert adds("hvla", "HVLA").of(run) is None
    write_analysis(tmp_path / ANALYSIS, measured)
    assert adds("hvla", "HVLA").of(run) == 0.4
    assert adds("mqd", "MQD").of(run) is None  # switched off: no such part


def test_the_paper_prints_none():
    experiment = qgn_table3.EXPERIMENT
    setting = replace(experiment.settings[0], real=True)
    figure, hvla, _ = experiment.measures
    row = experiment.rows[0]
    assert paper_cell(experiment, setting, row, figure).f1 == 58.42
    assert paper_cell(experiment, setting, row, hvla) is None
