"""Hydra's stock ``hydra/launcher=submitit_slurm`` on a real one-node Slurm: ``pytest -m slurm``."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import REPOSITORY
from tests.slurm.cluster import Unavailable, one_node_cluster

pytestmark = pytest.mark.slurm

RUN = (sys.executable, "-m", "gmbench.run")
TINY = ("data=synthetic_tiny", "data.limit=16", "trainer=debug", "cache=cache")
PATIENCE = 600  # seconds: other processes may share the machine


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra sweep")
    try:
        with one_node_cluster() as environment:
            path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
            yield {**environment, "PYTHONPATH": path}
    except Unavailable as reason:
        pytest.skip(f"no Slurm here: {reason}")


def test_a_grid_whose_job_is_killed_ends_and_is_not_made_twice(cluster, tmp_path):
    grid = (*RUN, "-m", "hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", *TINY)
    command = (*grid, "trainer.epochs=20", "seed=1,2")
    runs = tmp_path / "runs" / "default"
    with (tmp_path / "output").open("w+") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=cluster, stdout=output, stderr=output, text=True
        )
        deadline = time.monotonic() + PATIENCE
        while not list(runs.glob("mqspn/synthetic_tiny/*/seed=2/checkpoints/last.ckpt")):
            assert process.poll() is None, (tmp_path / "output").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        queue = ("squeue", "--noheader", "--array", "--format=%i")
        ids = subprocess.check_output(queue, env=cluster, text=True).split()
        (second,) = (job for job in ids if job.endswith("_1"))
        subprocess.run(("scontrol", "requeue", second), env=cluster, check=True)  # as a lost node
        assert process.wait(timeout=PATIENCE) == 0, (tmp_path / "output").read_text()
    assert "mqspn" in (tmp_path / "output").read_text()  # the leaderboard
    results = sorted(runs.rglob("result.json"))
    records = [json.loads(path.read_bytes()) for path in results]
    assert [record["config"]["seed"] for record in records] == [1, 2]
    assert [record["attempt"]["number"] for record in records] == [1, 2]
    assert "going on from" in (results[1].parent / "log.txt").read_text()

    written = [path.stat().st_mtime_ns for path in results]
    logs = set(runs.rglob("*_log.out"))
    subprocess.run(command, cwd=tmp_path, env=cluster, check=True, timeout=PATIENCE)
    assert [path.stat().st_mtime_ns for path in results] == written
    again = [path.read_text() for path in set(runs.rglob("*_log.out")) - logs]
    assert len(again) == 2
    assert all("Finished before" in text for text in again)


def test_two_tasks_of_srun_train_together(cluster, tmp_path):
    srun = ("srun", "--overcommit", "--ntasks-per-node=2", *RUN, *TINY[:2], "cache=cache")
    ddp = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.epochs=1")
    done = subprocess.run(
        (*srun, *ddp), cwd=tmp_path, env=cluster, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = (tmp_path / "runs").rglob("result.json")
    assert json.loads(result.read_bytes())["data"]["n"] == 16
    assert done.stdout.count("Run folder:") == 1  # the first process's alone
