"""Rows that wait for somebody's detector: five ways, their files, recall on both splits."""

import json

import pytest

from experiments.engine import Finished
from experiments.engine.plan import plan
from experiments.studies.rpn_tuning import EXPERIMENT, WAYS, gap, recall
from gmbench.config import compose, parse
from gmbench.config.identity import plain_config
from gmbench.lifecycle.build_data import build_source
from tests.reporting.sample import sample


def test_five_ways_each_with_a_file_of_its_own():
    planned = plan(EXPERIMENT, preset="paper", seeds=(1,), extra=("data.root=/somewhere",))
    assert [run.row.key for run in planned] == list(WAYS)
    files = [run.config["regions"]["source"]["path"] for run in planned]
    assert files == [f"/somewhere/rpn/{way}.jsonl" for way in WAYS]


@pytest.fixture
def run(tmp_path, world):
    """A run folder whose candidates hit every gold box in training and none in testing."""
    root = f"data.root={world}"
    source = build_source(parse(compose(["data=synthetic_tiny", root])))
    with (tmp_path / "tuned.jsonl").open("w") as lines:
        for split in ("train", "dev", "test"):
            for example in source.read(split).examples:
                gold = [list(box) for entity in example.entities for box in entity.boxes]
                boxes = gold if split == "train" else [[0, 0, 1, 1]]
                lines.write(json.dumps({"id": example.id, "boxes": boxes}) + "\n")
    path = f"regions.source.path={tmp_path / 'tuned.jsonl'}"
    cfg = compose(["data=synthetic_tiny", root, "regions=jsonl", path])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(json.dumps(plain_config(cfg)))
    return tmp_path / "run"


def test_the_gap_is_recall_in_training_minus_recall_in_testing(run):
    assert recall(run, "train") == 100
    assert recall(run, "test") == 0
    assert gap(Finished(seed=1, folder=run, result=sample())) == 100
