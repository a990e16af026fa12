"""A grid through the user's door: what one job does, no other job feels."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from gmbench.reporting.index import read_index
from tests.conftest import REPOSITORY

GRID = ["-m", "tests.grid.dying", "-m", "seed=1,2,3,4,5,6,7,8,9,10"]
CAUSES = {
    2: "RuntimeError: on purpose",
    3: "SystemExit: 0",
    4: "SystemExit: 3",
    5: "exit code 0 without a result",
    6: "killed by SIGKILL",
    7: "MemoryError: on purpose",
    8: "timeout: longer than",
    9: "not JSON",
}


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def rows(output):
    """Seed -> (status, the rest of its line)."""
    found = re.findall(r"^\[ *\d+/10\] (\w+) .*?seed=(\d+)  (.*)$", output, re.MULTILINE)
    return {int(seed): (status, rest) for status, seed, rest in found}


def run(folder, *arguments):
    process = start(folder, *arguments)
    output, _ = process.communicate(timeout=500)
    return process.returncode, output


@pytest.mark.fault
def test_ten_jobs_that_die_in_ten_ways(tmp_path, promise):
    began = time.monotonic()
    assert run(tmp_path, *GRID[:3], "seed=1", "name=one")[0] == 0
    patience = 10 + 5 * (time.monotonic() - began)  # this machine's own pace
    two = f"hydra.launcher.timeout={patience}", "hydra.launcher.jobs=2"
    (tmp_path / "made.txt").unlink()

    code, output = run(tmp_path, *GRID, *two)
    first = rows(output)
    assert first.keys() == set(range(1, 11)), output
    assert {seed for seed, (status, _) in first.items() if status == "done"} == {1, 10}
    for seed, cause in CAUSES.items():
        status, said = first[seed]
        assert status == "failed"
        assert cause in said
    assert code == 2
    assert "2 done, 8 failed, 0 skipped" in output
    assert "two_tweets" in output  # the leaderboard, although jobs failed
    index = read_index(tmp_path / "runs" / "default")
    assert (len(index.failed), len(index.damaged)) == (7, 1)

    (tmp_path / "made.txt").unlink()
    (tmp_path / "mended").touch()
    code, output = run(tmp_path, *GRID, *two)
    assert code == 0, output
    assert {s for s, (status, _) in rows(output).items() if status == "skipped"} == {1, 10}
    made = (tmp_path / "made.txt").read_text().split()
    assert sorted(map(int, made)) == list(range(2, 10))
    index = read_index(tmp_path / "runs" / "default")
    assert (len(index.entries), len(index.failed), len(index.damaged)) == (10, 0, 0)

    code, output = run(tmp_path, *GRID)
    assert code == 0
    assert {status for status, _ in rows(output).values()} == {"skipped"}
    assert (tmp_path / "made.txt").read_text().split() == made
    promise("R15", "rows for jobs, each with the right status and cause", len(first), of=10)
    promise("R15", "jobs run again, of those that had failed", len(made), of=8)


@pytest.mark.fault
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_grid_leaves_no_child(number, tmp_path, promise):
    process = start(tmp_path, *GRID[:3], "seed=8,1", "hydra.launcher.jobs=1")
    deadline = time.monotonic() + 60
    while not (children := descendants(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children
    process.send_signal(number)
    process.communicate(timeout=120)
    if number is not signal.SIGKILL:
        assert process.returncode == 130
    deadline = time.monotonic() + 10
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))
    assert not (tmp_path / "made.txt").exists()
    promise("R15", "interrupted grids that left no process", 1)


def descendants(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(child) for child in file.read().split()]
    except OSError:
        pytest.skip("no /proc/PID/task/PID/children here")
    return children + [d for child in children for d in descendants(child)]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
