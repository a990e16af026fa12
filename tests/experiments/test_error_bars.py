"""What became of the gold entities, of runs of two models: shares, columns and the picture."""

import pytest
from matplotlib.figure import Figure

from experiments.engine.error_bars import OUTCOMES, draw, measures, spurious
from experiments.engine.measures import Finished
from experiments.studies.main_comparison import boxes, ceiling
from gmbench.reporting.index import read_index
from gmbench.reporting.record import write_analysis
from gmbench.scoring.analysis import analyse
from gmbench.scoring.files import read_predictions
from gmbench.scoring.intervals import tweet_table
from tests.reporting.two_models import two_models


def finished(folder, *, pixels=True):
    """Both runs, analysed."""
    _, gold = two_models(folder, 40, pixels=pixels)
    runs = {}
    for entry in read_index(folder / "runs").entries:
        answers = read_predictions(entry.folder / "predictions.test.jsonl", gold)
        table = tweet_table({e.id: e.entities for e in gold}, answers)
        found = analyse(gold, answers, table, saw_pixels=pixels, resamples=99)
        write_analysis(entry.folder / "analysis.json", found)
        runs[entry.folder.name] = Finished(seed=1, folder=entry.folder, result=entry.result)
    return runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("seeing"))


def test_the_outcomes_of_a_run_add_up_to_its_entities(runs):
    for run in runs.values():
        shares = [outcome.share(run) for outcome in OUTCOMES]
        assert sum(shares) == pytest.approx(100)
        metrics = run.result.metrics.gmner
        assert shares[0] == pytest.approx(100 * metrics.tp / metrics.gold)
        assert spurious(run) >= 0
        assert 0 <= boxes(run) <= 100
        assert ceiling(run) == 100  # no candidates, no region a type: nothing in the way


def test_the_picture_shows_a_bar_a_row_and_nothing_without_an_analysis(runs, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    draw({label: [run] for label, run in runs.items()})
    shares = [o.share(run) for run in runs.values() for o in OUTCOMES]
    assert [bar.get_width() for bar in figures[0].axes[0].patches] == pytest.approx(shares)
    first = next(iter(runs.values()))
    bare = Finished(seed=1, folder=tmp_path, result=first.result)
    assert draw({"bare": [bare]}) is None
    assert ceiling(bare) is boxes(bare) is spurious(bare) is OUTCOMES[0].share(bare) is None


def test_without_pixels_no_outcome_is_one_of_boxes(tmp_path):
    for run in finished(tmp_path, pixels=False).values():
        for outcome in OUTCOMES:
            assert (outcome.share(run) is None) == outcome.boxes
        text = [measure.of(run) for measure in measures(boxes=False)]
        assert sum(text[:-1]) == pytest.approx(100)
        assert boxes(run) is ceiling(run) is None
