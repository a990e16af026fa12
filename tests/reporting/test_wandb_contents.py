"""What is on W&B of a run and of a leaderboard: tables, boxes, artifacts."""

import csv
import io
import json
from dataclasses import replace

import pytest
from PIL import Image

from gmbench.core.entities import Prediction
from gmbench.report import main
from gmbench.reporting.formats import flat_figures
from gmbench.reporting.record import write_result
from gmbench.reporting.wandb import (
    COLUMNS,
    Patience,
    WandbMirror,
    show_examples,
)
from tests.reporting.sample import BOX, GOLD, sample
from tests.wandb_reader import read_offline


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    for name in ("DATA_DIR", "SWEEP_ID"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)


@pytest.fixture
def runs(tmp_path):
    for seed in (1, 2):
        result = sample()
        config = replace(result.config, seed=seed, sha=f"{seed}" * 64)
        path = tmp_path / "runs" / f"seed={seed}" / "result.json"
        path.parent.mkdir(parents=True)
        write_result(path, replace(result, config=config))
    return tmp_path / "runs"


def test_gold_and_predicted_boxes_as_shares_of_the_picture(tmp_path):
    Image.new("RGB", (1600, 800), "navy").save(tmp_path / "b.png")
    shown = replace(GOLD[1], image=tmp_path / "b.png", size=(1600, 800))
    wrong = (800.0, 400.0, 1600.0, 800.0)
    found = {"a": (), "b": (Prediction(0, 1, "LOC", wrong, score=0.25), Prediction(1, 1, "PER"))}
    init = {"project": "p", "id": "x", "mode": "offline"}
    patience = Patience(local=120.0, end=240.0)
    mirror = WandbMirror(init=init, config={}, folder=tmp_path, patience=patience)
    mirror.send(show_examples, [GOLD[0], shown], found, 2)
    mirror.close()

    run = read_offline(tmp_path)
    table = json.loads(run.stored("run_table", "examples.table.json").read_text())
    assert table["columns"] == list(COLUMNS)
    (_, _, none, gold, _, *_), (id_, words, image, _, predicted, *counts) = table["data"]
    assert none is None
    assert gold == "York (LOC), not in the image"
    assert (id_, words, counts) == ("b", "Kevin Durant", [0, 1, 2])
    assert predicted == "Kevin Durant (LOC) 0.25\nDurant (PER) 1.00, not in the image"

    def boxes(kind):
        stored = image["boxes"][kind]
        labels = json.loads(run.stored("run_table", image["classes"]["path"]).read_text())
        names = {row["id"]: row["name"] for row in labels["class_set"]}
        sides = ("minX", "minY", "maxX", "maxY")
        return [([b["position"][s] for s in sides], names[b["class_id"]], b) for b in stored]

    ((place, name, _),) = boxes("gold")
    assert (place, name) == ([0, 0, BOX[2] / 1600, BOX[3] / 800], "PER")
    ((place, name, whole),) = boxes("predicted")
    assert (place, name) == ([0.5, 0.5, 1, 1], "LOC")
    assert whole["scores"] == {"score": 0.25}
    with Image.open(run.stored("run_table", image["path"])) as picture:
        assert picture.size == (512, 256)


def test_a_run_that_saw_no_pixels_has_no_grounding_in_its_summary():
    assert "test/gmner_f1" in flat_figures(sample())
    blind = flat_figures(sample(saw_pixels=False))
    assert {k.split("_")[0] for k in blind if k.startswith("test/")} >= {"test/mner"}
    assert not [key for key in blind if "gmner" in key or "eeg" in key]


def test_the_board_is_a_table_and_an_artifact(runs, capsys):
    assert main([str(runs), "--wandb", "--format", "csv"]) == 0
    printed = capsys.readouterr()
    (folder,) = (runs / "wandb").glob("offline-run-*")
    assert printed.err.splitlines()[-1] == f"wandb sync {folder}"
    found = read_offline(runs)
    assert (found.run.job_type, found.exit_code) == ("report", 0)
    assert found.summary["rows"] == 1
    table = json.loads(found.stored("run_table", "leaderboard.table.json").read_text())
    (row,) = (dict(zip(table["columns"], values, strict=True)) for values in table["data"])
    (told,) = csv.DictReader(io.StringIO(printed.out))
    assert row.keys() == told.keys()
    assert (row["row"], row["n"], row["seeds"]) == ("mqspn", 2, "1 2")
    assert row["gmner_f1"] == float(told["gmner_f1"])
    assert found.stored("leaderboard", "leaderboard.csv").read_text() == printed.out
    assert found.stored("leaderboard", "leaderboard.md").read_text().startswith("# Leaderboard")


def test_the_board_is_printed_where_w_and_b_cannot_be_written(runs, capsys):
    (runs / "wandb").write_text("")
    assert main([str(runs), "--wandb", "--format", "csv"]) == 0
    assert "mqspn" in capsys.readouterr().out
