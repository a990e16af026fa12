"""A trained run answers perturbed copies; to the unchanged one as in its own test."""

import pytest

from experiments.shortcuts.report import read
from experiments.studies.shortcuts import main
from gmbench.reporting.record import read_result


@pytest.mark.parametrize("name", ["mqspn", "qgn"])
def test_a_trained_run_is_audited(name, request, tmp_path, capsys):
    run = request.getfixturevalue(name).run
    stem = tmp_path / "shortcuts"
    arguments = ["--copies", str(tmp_path / "copies"), "--out", str(stem), "--resamples", "50"]
    assert main([str(run), *arguments, "--device", "cpu"]) == 0
    assert "differ" not in capsys.readouterr().err
    (system,) = read(stem.with_suffix(".json")).systems
    assert system.label == {"mqspn": "mqspn, vinvl", "qgn": "qgn"}[name]
    metrics = read_result(run / "result.json").metrics
    for done in system.perturbed:
        whole = {e.task: e.before for e in done.effects if e.group == "all"}
        for task, value in whole.items():
            assert value == pytest.approx(getattr(metrics, task).f1)
