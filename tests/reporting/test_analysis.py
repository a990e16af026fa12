"""The analysis of a run: stored and read back, complete, cheap, drawn without global state."""

import json
import random
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gmbench.core.entities import Candidates, Entity, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.reporting import overlays, plots
from gmbench.reporting.charts import WORDS
from gmbench.reporting.plots import PICTURES, draw_analysis
from gmbench.reporting.record import read_analysis, write_analysis
from gmbench.scoring.analysis import analyse
from gmbench.scoring.counting import score_corpus
from gmbench.scoring.fine_types import PARENTS
from gmbench.scoring.intervals import tweet_table
from tests.scoring.documents import BOXES, random_document


def corpus(n=200, seed=0):
    rng = random.Random(seed)
    examples, predictions = [], {}
    for number in range(n):
        gold, pred = random_document(rng)
        boxes = Candidates(np.array(rng.sample(BOXES, k=3)))
        examples.append(Example(f"{number:05}", tuple("w" * 9), tuple(gold), candidates=boxes))
        predictions[f"{number:05}"] = tuple(replace(p, no_target=rng.random()) for p in pred)
    return examples, predictions


ADDITIONS = {"hvla": 0.004, "mqd.vtf": 0.31}


def analysed(examples, predictions, **kwargs):
    table = tweet_table({e.id: e.entities for e in examples}, predictions)
    return analyse(examples, predictions, table, resamples=99, **{"proposals": 3, **kwargs})


@pytest.fixture(scope="module")
def analysis():
    return analysed(*corpus(), additions=ADDITIONS)


def test_there_and_back(analysis, tmp_path):
    path = tmp_path / "analysis.json"
    write_analysis(path, analysis)
    assert read_analysis(path) == analysis
    first = path.read_bytes()
    write_analysis(path, read_analysis(path))
    assert path.read_bytes() == first
    path.write_text(path.read_text().replace('"brier":', '"briar":'))
    with pytest.raises(InputError, match="did you mean brier"):
        read_analysis(path)
    path.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_analysis(path)


def test_parts_agree_with_the_score(analysis):
    examples, predictions = corpus()
    micro = score_corpus((e.entities, predictions[e.id]) for e in examples).micro
    assert analysis.n == 200
    for task in ("gmner", "mner", "eeg"):
        assert analysis.intervals[task].f1.value == pytest.approx(getattr(micro, task).f1)
    assert analysis.errors.correct == micro.gmner.tp
    assert analysis.sweep.gmner[0] == micro.gmner.f1
    assert analysis.given_text.pairs == micro.mner.tp
    assert analysis.ceiling.oracle.pred == micro.gmner.pred
    assert analysis.calibration.n > 0


def test_order_of_tweets_changes_no_byte(analysis, tmp_path):
    examples, predictions = corpus()
    turned = {id_: predictions[id_] for id_ in reversed(predictions)}
    again = analysed(examples[::-1], turned, additions=ADDITIONS)
    for name, value in (("a", analysis), ("b", again)):
        write_analysis(tmp_path / name, value)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_without_pixels_nothing_of_grounding_is_said(tmp_path):
    examples, predictions = corpus(20)
    blind = analysed(examples, predictions, saw_pixels=False)
    assert list(blind.intervals) == ["mner"]
    assert (blind.sweep, blind.given_text) == (None, None)
    assert (blind.ceiling, blind.calibration) == (None, None)
    micro = score_corpus((e.entities, predictions[e.id]) for e in examples).micro
    assert blind.errors.correct == micro.mner.tp > micro.gmner.tp
    assert not any(blind.errors.regions.values())
    names = [path.name for path in draw_analysis(blind, tmp_path, "blind")]
    assert names == ["errors.png", "confusion.png"]


def test_a_model_without_proposals_has_no_ceiling(tmp_path):
    free = analysed(*corpus(20), proposals=None)
    assert free.ceiling is None
    (tmp_path / "ceiling.png").write_bytes(b"of an earlier run")
    names = [path.name for path in draw_analysis(free, tmp_path, "free")]
    assert names == ["errors.png", "sweep.png", "calibration.png", "confusion.png"]
    assert not (tmp_path / "ceiling.png").exists()


def test_pictures(analysis, tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    files = draw_analysis(analysis, tmp_path / "one", "a model")
    assert [path.stem for path in files] == list(PICTURES)
    assert dict(matplotlib.rcParams) == before
    write_analysis(tmp_path / "analysis.json", analysis)
    stored = read_analysis(tmp_path / "analysis.json")
    again = draw_analysis(stored, tmp_path / "two", "a model")
    for path, other in zip(files, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
        with Image.open(path) as image:
            assert image.size == (960, 480)
            assert len(image.convert("RGB").getcolors(1 << 20)) > 50


def test_nothing_predicted(tmp_path):
    examples, predictions = corpus(5)
    found = analysed(examples, dict.fromkeys(predictions, ()))
    assert found.errors.kinds["missed"].count == found.errors.gold
    assert found.calibration is None
    write_analysis(tmp_path / "a.json", found)
    assert "NaN" not in (tmp_path / "a.json").read_text()
    draw_analysis(found, tmp_path, "nothing")


def test_cheap(tmp_path):
    """1,500 tweets with all resamples: seconds of CPU, so that no run feels it."""
    examples, predictions = corpus(1_500, seed=1)
    table = tweet_table({e.id: e.entities for e in examples}, predictions)
    began = time.process_time()
    analyse(examples, predictions, table, proposals=3)
    assert time.process_time() - began < 10


def test_neither_torch_nor_matplotlib_before_they_are_needed():
    code = (
        "import sys, gmbench.reporting.plots, gmbench.reporting.record, json; "
        "print(json.dumps([m in sys.modules for m in ('torch', 'matplotlib', 'scipy')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, False, False]


@pytest.fixture
def drawn(monkeypatch):
    """Every figure that is drawn, as it was written."""
    figures, write = [], plots.png

    def keeping(draw, *arguments, **options):
        def kept(figure):
            draw(figure)
            figures.append(figure)

        return write(kept, *arguments, **options)

    monkeypatch.setattr(plots, "png", keeping)
    monkeypatch.setattr(overlays, "png", keeping)
    return figures


def points(axes):
    """What each line of a picture shows, by its label."""
    return {str(line.get_label()): list(line.get_ydata()) for line in axes.lines}


def bars(axes):
    """The lengths of the bars, by name."""
    names = [" ".join(label.get_text().split()) for label in axes.get_yticklabels()]
    return dict(zip(names, (bar.get_width() for bar in axes.patches), strict=True))


def test_pictures_show_the_figures(analysis, tmp_path, drawn):
    examples, predictions = corpus()
    micro = score_corpus((e.entities, predictions[e.id]) for e in examples).micro
    draw_analysis(analysis, tmp_path, "a model")
    errors, sweep, ceiling, calibration, confusion, additions = drawn

    def percent(values):
        return pytest.approx([100 * value for value in values])

    kinds, regions = errors.axes
    assert bars(kinds) == pytest.approx(
        {WORDS[key]: 100 * kind.gain for key, kind in analysis.errors.kinds.items()}
    )
    assert bars(regions) == {WORDS[key]: n for key, n in analysis.errors.regions.items()}
    assert points(sweep.axes[0]) == {
        "EEG": percent(analysis.sweep.eeg),
        "GMNER": percent(analysis.sweep.gmner),
        "MNER (no region)": percent([micro.mner.f1] * 2),
    }
    known = analysis.ceiling
    assert points(ceiling.axes[0]) == {
        "greatest GMNER recall": percent(known.gmner),
        "region recall, IoU ≥ 0.5": percent(known.recall),
        "this model: MNER recall": percent([micro.mner.recall]),
        "this model: oracle region": percent([known.oracle.recall]),
        "this model: GMNER recall": percent([micro.gmner.recall]),
    }
    shown = points(calibration.axes[0])
    assert shown["this model, bins of equal mass"] == [b.was for b in analysis.calibration.bins]
    assert set(shown["base rate"]) == {analysis.calibration.base_rate}
    counts = [count for row in analysis.confusion.counts for count in row if count]
    assert [text.get_text() for text in confusion.axes[0].texts] == [f"{n:,}" for n in counts]
    assert bars(additions.axes[0]) == pytest.approx({"hvla": 0.4, "mqd vtf": 31})
    ends = [text.get_text().strip() for text in additions.axes[0].texts]
    assert ends == ["31", "0.4 inactive"]  # the first on top


def test_a_matrix_of_many_types_is_as_large_as_it_needs(tmp_path):
    names = sorted(PARENTS)
    gold = tuple(Entity(place, place, name) for place, name in enumerate(names))
    example = Example("a", ("w",) * len(names), gold)
    found = analysed([example], {"a": [Prediction(3, 3, names[4])]}, saw_pixels=False)
    draw_analysis(found, tmp_path, "fine")
    with Image.open(tmp_path / "confusion.png") as image:
        assert min(image.size) > 1500
    again = replace(found, confusion=None)  # as stored before there was one
    write_analysis(tmp_path / "old.json", again)
    assert read_analysis(tmp_path / "old.json") == again


def test_curves_show_what_was_logged(tmp_path, drawn):
    log = tmp_path / "metrics.csv"
    log.write_text(
        "step,train/loss,dev/gmner_f1,dev/mner_f1,dev/eeg_f1\n0,3.5,,,\n9,2.5,0.1,0.2,0.3\n"
        "19,,0.4,0.5,0.6\n19,,0.7,0.8,0.9\n"
    )
    plots.curves_png(log, saw_pixels=True, chosen=None)
    loss, dev = drawn[0].axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[3.5, 2.5]]
    assert points(dev) == {  # the last check repeats that of the chosen checkpoint
        "GMNER": pytest.approx([10, 40]),
        "MNER": pytest.approx([20, 50]),
        "EEG": pytest.approx([30, 60]),
    }


def test_overlays_show_the_boxes(tmp_path, drawn):
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    gold, answer = (20.0, 10.0, 60.0, 50.0), (100.0, 30.0, 180.0, 90.0)
    example = Example(
        "a", ("Ann",), (Entity(0, 0, "PER", (gold,)),), tmp_path / "a.png", (200, 100)
    )
    answers = {"a": (Prediction(0, 0, "PER", answer),)}
    overlays.draw_overlays([example], answers, tmp_path / "x.png", "m", saw_pixels=True)
    (axes,) = drawn[0].axes
    boxes = [(*box.get_xy(), *box.get_xy()) for box in axes.patches]
    ends = [(0, 0, box.get_width(), box.get_height()) for box in axes.patches]
    found = [tuple(map(sum, zip(*pair, strict=True))) for pair in zip(boxes, ends, strict=True)]
    assert found == [gold, gold, answer, answer]  # each with a white rim
