"""Launchers and sweepers of others: a finished run is skipped under each, the board is shown."""

import importlib.util
from dataclasses import replace

import pytest

from gmbench.config import compose
from gmbench.config.identity import run_sha
from gmbench.reporting.record import write_result
from tests.reporting.sample import sample

OTHERS = {
    "joblib": ("hydra_joblib_launcher", "sweep", ["hydra/launcher=joblib", "seed=1,2"]),
    "submitit_local": (
        "hydra_submitit_launcher",
        "sweep",
        ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=9", "seed=1,2"],
    ),
    "optuna": (
        "hydra_optuna_sweeper",
        "optuna",
        ["hydra/sweeper=best_f1", "hydra.sweeper.n_trials=3", "seed=choice(1,2)"],
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_finished_run_is_skipped(name, tmp_path, door):
    plugin, extra, arguments = OTHERS[name]
    if importlib.util.find_spec(f"hydra_plugins.{plugin}") is None:
        pytest.skip(f"needs the extra {extra}")
    written = {}
    for seed in (1, 2):
        folder = tmp_path / "runs" / "default" / "mqspn" / "synthetic" / f"seed={seed}"
        folder.mkdir(parents=True)
        result = sample()
        sha = run_sha(compose([f"seed={seed}", f"cache={tmp_path}"]))
        config = replace(result.config, sha=sha, seed=seed, overrides=(f"seed={seed}",))
        write_result(folder / "result.json", replace(result, config=config))
        written[folder / "result.json"] = (folder / "result.json").stat().st_mtime_ns
    done = door.run("gmbench.run", "-m", *arguments, folder=tmp_path)
    assert done.code == 0, done.output
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert not list((tmp_path / "runs").rglob("*.ckpt"))
    assert "two_tweets" in done.output  # the leaderboard at the end
    if name == "optuna":
        assert "Directions: ['maximize']" in done.output
        assert "3 jobs: 0 done, 0 failed, 3 skipped" in done.output
        assert "the same run as" not in done.output  # a point asked for twice is one run
