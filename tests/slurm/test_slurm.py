"""``hydra/launcher=submitit_slurm`` on a real Slurm of one node: ``pytest -m slurm``."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import REPOSITORY
from tests.slurm.cluster import Unavailable, one_node_cluster

pytestmark = pytest.mark.slurm

GRID = [
    *(sys.executable, "-m", "tests.slurm.held", "-m", "hydra/launcher=submitit_slurm"),
    *("hydra.launcher.cpus_per_task=1", "+hydra.launcher.poll=1"),
    *("data=synthetic_tiny", "data.limit=16", "trainer=debug", "trainer.epochs=1"),
]
PATIENCE = 900  # seconds for any one thing to happen: a machine may have a lot else to do


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("submitit", reason="needs the extra sweep")
    try:
        with one_node_cluster() as environment:
            yield {**environment, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), _outer()])}
    except Unavailable as reason:
        pytest.skip(f"no Slurm here: {reason}")


def _outer():
    return os.environ.get("PYTHONPATH", "")


@pytest.fixture
def grid(cluster, tmp_path):
    """Starts the grid of some overrides; what it prints goes to a file."""
    started = []

    def start(name, *overrides):
        command = [*GRID, f"cache={tmp_path / 'cache'}", *overrides]
        with (tmp_path / name).open("wb") as output:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=cluster, stdout=output, stderr=output
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    subprocess.run(["scancel", "--partition=main"], env=cluster, check=False)


def folder(tmp_path, seed):
    """The run folder of a seed, once there is one."""
    return next(tmp_path.glob(f"runs/default/mqspn/synthetic_tiny/*/seed={seed}"), tmp_path / "no")


def plain(path):
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}


def wait_for(happened, process, said):
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.2)


def rows(said):
    """Seed -> (status, the rest of its line)."""
    found = re.findall(r"^\[\d/\d\] (\w+) .*?seed=(\d+)  (.*)$", said.read_text(), re.MULTILINE)
    return {int(seed): (status, rest) for status, seed, rest in found}


def test_four_jobs_of_which_two_are_killed(grid, cluster, tmp_path):
    first, said = grid("first", "seed=1,2,3,4"), tmp_path / "first"
    wait_for(lambda: (folder(tmp_path, 3) / "attempt.json").exists(), first, said)
    job = plain(folder(tmp_path, 3) / "slurm.json")["id"]
    subprocess.run(["scancel", job], env=cluster, check=True)
    assert first.wait(timeout=PATIENCE) == 2, said.read_text()
    told = rows(said)
    assert {seed: status for seed, (status, _) in told.items()} == {
        1: "done",
        2: "failed",
        3: "failed",
        4: "done",
    }
    assert "killed by SIGKILL" in told[2][1]
    assert f"cancelled: Slurm job {job} is CANCELLED" in told[3][1]
    assert plain(folder(tmp_path, 3) / "failure.json")["cause"] == "cancelled"
    assert "4 jobs: 2 done, 2 failed, 0 skipped" in said.read_text()

    kept = (folder(tmp_path, 1) / "result.json").stat().st_mtime_ns
    (tmp_path / "mended").touch()
    second, said = grid("second", "seed=1,2,3,4"), tmp_path / "second"
    assert second.wait(timeout=PATIENCE) == 0, said.read_text()
    assert {seed: status for seed, (status, _) in rows(said).items()} == {
        1: "skipped",
        2: "done",
        3: "done",
        4: "skipped",
    }
    assert "mqspn" in said.read_text().partition("[4/4]")[2]  # the leaderboard
    assert (folder(tmp_path, 1) / "result.json").stat().st_mtime_ns == kept
    assert plain(folder(tmp_path, 3) / "result.json")["attempt"]["number"] == 2


def test_a_job_outlives_its_grid_and_a_preemption(grid, cluster, tmp_path):
    first = grid("first", "seed=3")
    wait_for(lambda: (folder(tmp_path, 3) / "attempt.json").exists(), first, tmp_path / "first")
    held = folder(tmp_path, 3)
    handed_over = plain(held / "slurm.json")
    first.send_signal(signal.SIGKILL)
    first.wait()

    second, said = grid("second", "seed=3"), tmp_path / "second"
    wait_for(lambda: "that are still there: 1" in said.read_text(), second, said)
    assert plain(held / "slurm.json") == handed_over
    preempt = ["scancel", "--signal=USR2", handed_over["id"]]
    subprocess.run(preempt, env=cluster, check=True)
    wait_for(lambda: plain(held / "attempt.json").get("number") == 2, second, said)
    (tmp_path / "mended").touch()
    assert second.wait(timeout=PATIENCE) == 0, said.read_text()
    assert rows(said)[3][0] == "done"
    assert plain(held / "result.json")["attempt"]["number"] == 2


def test_ctrl_c_cancels_what_was_handed_over(grid, cluster, tmp_path):
    process = grid("first", "seed=3")
    wait_for(lambda: (folder(tmp_path, 3) / "attempt.json").exists(), process, tmp_path / "first")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 130
    queue = ["squeue", "--noheader"]
    deadline = time.monotonic() + PATIENCE
    while (left := subprocess.check_output(queue, env=cluster, text=True)).strip():
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_what_slurm_refuses_is_a_failed_row(grid, tmp_path):
    process = grid("first", "seed=1,2", "hydra.launcher.partition=nowhere")
    assert process.wait(timeout=PATIENCE) == 2
    told = rows(tmp_path / "first")
    assert {status for status, _ in told.values()} == {"failed"}
    assert all("not started" in rest and "partition" in rest for _, rest in told.values())


def test_two_tasks_of_srun_train_together(cluster, tmp_path):
    command = [
        *("srun", "--overcommit", "--ntasks-per-node=2", sys.executable, "-m", "gmbench.run"),
        *("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.epochs=1"),
        *("data=synthetic_tiny", "data.limit=16", f"cache={tmp_path / 'cache'}"),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=cluster, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = (tmp_path / "runs").rglob("result.json")
    assert plain(result)["data"]["n"] == 16
    assert done.stdout.count("Run folder:") == 1  # the first process's alone
