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

from gmbench.core.entities import Candidates, Example
from gmbench.core.errors import InputError
from gmbench.reporting.plots import PICTURES, draw_analysis
from gmbench.reporting.record import read_analysis, write_analysis
from gmbench.scoring.analysis import analyse
from gmbench.scoring.counting import score_corpus
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


def analysed(examples, predictions, **kwargs):
    table = tweet_table({e.id: e.entities for e in examples}, predictions)
    return analyse(examples, predictions, table, resamples=99, **{"proposals": 3, **kwargs})


@pytest.fixture(scope="module")
def analysis():
    return analysed(*corpus())


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
    again = analysed(examples[::-1], turned)
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
    assert [path.name for path in draw_analysis(blind, tmp_path, "blind")] == ["errors.png"]


def test_a_model_without_proposals_has_no_ceiling(tmp_path):
    free = analysed(*corpus(20), proposals=None)
    assert free.ceiling is None
    (tmp_path / "ceiling.png").write_bytes(b"of an earlier run")
    names = [path.name for path in draw_analysis(free, tmp_path, "free")]
    assert names == ["errors.png", "sweep.png", "calibration.png"]
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
