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

GRID = ["-m", "tests.grid.dying", "-m"]


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
    found = re.findall(r"^\[\d/3\] (\w+) .*?seed=(\d+)  (.*)$", output, re.MULTILINE)
    return {int(seed): (status, rest) for status, seed, rest in found}


def run(folder, *arguments):
    process = start(folder, *arguments)
    output, _ = process.communicate(timeout=500)
    return process.returncode, output


@pytest.mark.fault
def test_jobs_that_die_are_told_and_made_again(tmp_path, promise):
    """All ways to die: test_runner.py."""
    grid = [*GRID, "seed=1,2,6", "hydra.launcher.jobs=2"]
    code, output = run(tmp_path, *grid)
    first = rows(output)
    assert {seed: status for seed, (status, _) in first.items()} == {
        1: "done",
        2: "failed",
        6: "failed",
    }, output
    assert "RuntimeError: on purpose" in first[2][1]
    assert "killed by SIGKILL" in first[6][1]
    assert code == 2
    assert "1 done, 2 failed, 0 skipped" in output
    assert "two_tweets" in output  # the leaderboard, although jobs failed
    assert len(read_index(tmp_path / "runs" / "default").failed) == 2

    (tmp_path / "made.txt").unlink()
    (tmp_path / "mended").touch()
    code, output = run(tmp_path, *grid)
    assert code == 0, output
    assert {s for s, (status, _) in rows(output).items() if status == "skipped"} == {1}
    assert sorted((tmp_path / "made.txt").read_text().split()) == ["2", "6"]
    index = read_index(tmp_path / "runs" / "default")
    assert (len(index.entries), len(index.failed), len(index.damaged)) == (3, 0, 0)
    promise("R15", "jobs of a real grid run again, of those that had failed", 2, of=2)


@pytest.mark.fault
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_grid_leaves_no_child(number, tmp_path, promise):
    process = start(tmp_path, *GRID, "seed=8,1", "hydra.launcher.jobs=1")
    deadline = time.monotonic() + 60
    while not (children := descendants(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children
    process.send_signal(number)
    process.communicate(timeout=120)
    if number is not signal.SIGKILL:
        assert process.returncode == 128 + number
    deadline = time.monotonic() + 10
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))
    assert not (tmp_path / "made.txt").exists()
    promise("R15", "interrupted grids that left no process", 1)


@pytest.mark.fault
def test_a_second_command_on_a_run_folder_is_refused_while_the_first_works(tmp_path, promise):
    first = start(tmp_path, *GRID[:2], "seed=8")
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob(".lock")) and time.monotonic() < deadline:
        time.sleep(0.05)
    code, output = run(tmp_path, *GRID[:2], "seed=8")
    assert code == 2
    assert "Traceback" not in output
    (line,) = (line for line in output.splitlines() if "in use by" in line)
    assert f"seed=8: in use by process {first.pid} on " in line
    assert line.endswith("wait until it has ended, or end it")
    first.kill()  # nothing is left to take over, but the file
    first.communicate()
    (tmp_path / "mended").touch()
    assert run(tmp_path, *GRID[:2], "seed=8")[0] == 0
    (folder,) = (path.parent for path in tmp_path.rglob("result.json"))
    assert not list(folder.rglob(".*"))
    promise("R16", "second processes on a run folder that were told so", 1)


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
