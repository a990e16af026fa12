"""``report --wandb``: the leaderboard as a table and an artifact, in a run of its own."""

import csv
import io
import json
from dataclasses import replace

import pytest

from gmbench.report import main
from gmbench.reporting.record import write_result
from tests.reporting.sample import sample
from tests.wandb_reader import read_offline


@pytest.fixture
def runs(tmp_path, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    monkeypatch.delenv("WANDB_SWEEP_ID", raising=False)
    for seed in (1, 2):
        result = sample()
        config = replace(result.config, seed=seed, sha=f"{seed}" * 64)
        (tmp_path / "runs" / f"seed={seed}").mkdir(parents=True)
        write_result(
            tmp_path / "runs" / f"seed={seed}" / "result.json", replace(result, config=config)
        )
    return tmp_path / "runs"


def test_the_board_is_a_table_and_an_artifact(runs, capsys):
    assert main([str(runs), "--wandb", "--format", "csv"]) == 0
    printed = capsys.readouterr()
    assert str(runs / "wandb") in printed.err
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
