"""Launching an experiment: rows that only test another row's weights train nothing."""

import csv
from dataclasses import replace

import pytest
import torch

from experiments.engine import Experiment, Variant
from experiments.engine.cli import main
from experiments.engine.collect import find
from experiments.engine.launching import How, launch
from experiments.engine.plan import plan
from gmbench.reporting.index import read_index

ROWS = Experiment(
    name="borrowing",
    title="Two rows of one training",
    base=("model=mqspn",),
    reference="given",
    rows=(
        Variant(key="picky", label="picky", overrides=("model.decode.type_threshold=0.9",)),
        Variant(key="given", label="given"),
        Variant(
            key="strict",
            label="strict",
            overrides=("model.decode.type_threshold=0.99",),
            weights_of="given",
        ),
    ),
    paper=False,
)
EXTRA = ("data.world.train=8", "data.world.dev=4", "data.world.test=4")


def options(runs):
    return ["--preset", "smoke", "--runs-dir", str(runs), "--rows", "given,strict", *EXTRA]


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """A folder of runs, and the folders of the trained and the tested one."""
    runs = tmp_path_factory.mktemp("borrowing") / "it's runs"
    assert main(ROWS, [*options(runs), "--launch"]) == 0
    planned = plan(ROWS, preset="smoke", extra=EXTRA, runs=runs)
    found = find(planned, read_index(runs))
    assert sorted(run.row.key for run in found) == ["given", "strict"]
    folders = {run.row.key: done.folder for run, done in found.items()}
    return runs, planned, folders


def test_the_weights_are_tested_and_none_are_trained(launched):
    _, _, folders = launched
    given, strict = folders["given"], folders["strict"]
    assert not (strict / "checkpoints").exists()
    assert strict.joinpath("output.txt").read_text()
    with (strict / "metrics.csv").open() as file:
        assert "train/loss" not in next(csv.reader(file))
    weights = torch.load(given / "checkpoints" / "best.ckpt", weights_only=True)
    assert weights["state_dict"]


def test_the_same_command_makes_nothing_again(launched, capsys):
    runs, _, _ = launched
    assert main(ROWS, [*options(runs), "--launch"]) == 0
    assert "0 runs to make" in capsys.readouterr().out


def only_tested(planned):
    return [replace(run, row=replace(run.row, tested_only=True)) for run in planned]


def test_a_row_that_is_only_tested_takes_no_trained_run(launched):
    runs, planned, folders = launched
    found = find(only_tested(planned), read_index(runs))
    assert [done.folder for done in found.values()] == [folders["strict"]]


def test_without_those_weights_it_is_trained_like_any_other(launched, monkeypatch):
    runs, planned, folders = launched
    (folders["strict"] / "result.json").unlink()
    best = folders["given"] / "checkpoints" / "best.ckpt"
    commands = []

    def noted(jobs, **_):
        commands.extend(job.command for job in jobs)
        return []

    monkeypatch.setattr("experiments.engine.launching.run_jobs", noted)
    launch(planned, rows=("strict",), how=How(runs=runs))
    best.rename(best.with_suffix(".gone"))
    launch(planned, rows=("strict",), how=How(runs=runs))
    launch(only_tested(planned), rows=("strict",), how=How(runs=runs))  # neither
    tested, trained = commands
    assert "mode=test" in tested
    assert "mode=test" not in trained


def test_a_row_cannot_take_weights_of_one_that_is_not_there():
    lone = Variant(key="lone", label="lone", weights_of="gone")
    with pytest.raises(ValueError, match="no row 'gone' to take weights of"):
        Experiment(name="x", title="x", base=(), reference=None, rows=(lone,))


def test_a_table_tells_no_folder_of_this_machine(launched, tmp_path):
    runs, _, _ = launched
    asked = ["--build", "--out", str(tmp_path / "out"), f"cache={tmp_path}"]
    assert main(ROWS, [*options(runs), *asked]) == 0
    text, rows = (
        (tmp_path / "out" / f"borrowing_smoke.{kind}").read_text() for kind in ("md", "csv")
    )
    assert f"{' '.join(EXTRA)} cache=FOLDER --build`" in text
    assert "cache=FOLDER" in rows
    assert str(tmp_path) not in text + rows
