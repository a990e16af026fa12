"""R16: eight writers that are killed leave only whole results, and every acknowledged one."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from gmbench.reporting.index import read_index
from gmbench.reporting.record import write_result
from tests.faults.processes import forked
from tests.reporting.sample import sample

pytestmark = pytest.mark.fault

WRITERS = 8
STAGES = ("before", "fsync", "replace", "after")


def die(*_, **__) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write_and_die(root: Path, told: Path, writer: int, last: int, stage: str) -> None:
    """Write rows, acknowledge each in ``told``, and die at a stage of the last."""
    result = sample()
    for row in range(last + 1):
        if row == last and stage == "before":
            die()
        if row == last and stage == "fsync":
            os.fsync = die
        if row == last and stage == "replace":
            Path.replace = die
        # every fifth row goes where all the others write too
        folder = root / ("shared" if row % 5 == 4 else f"{writer}-{row}")
        folder.mkdir(exist_ok=True)
        own = replace(result, config=replace(result.config, sha=f"{writer}/{row}", seed=writer))
        write_result(folder / "result.json", own)
        with told.open("a") as file:
            print(own.config.sha, file=file)
    die()


@pytest.mark.parametrize("rows", [25, pytest.param(200, marks=pytest.mark.fault_slow)])
def test_eight_writers_killed_in_the_act(tmp_path, rows, promise):
    """Half a row is never seen, also while they write; what was acknowledged is there."""
    root = tmp_path / "runs"
    root.mkdir()
    told = [tmp_path / f"told.{n}" for n in range(WRITERS)]
    alive = {
        forked(
            lambda n=n: write_and_die(root, told[n], n, rows - n, STAGES[n % 4]),
            tmp_path / f"error.{n}",
        )
        for n in range(WRITERS)
    }
    codes = []
    while alive:
        assert not read_index(root).damaged
        for child in list(alive):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                alive.remove(child)
                codes.append(os.waitstatus_to_exitcode(status))
    assert codes == [-signal.SIGKILL] * WRITERS
    acknowledged = {sha for path in told for sha in path.read_text().split()}
    assert len(acknowledged) >= sum(rows - n for n in range(WRITERS))
    index = read_index(root)
    assert not index.damaged
    stored = {entry.result.config.sha for entry in index.entries}
    own = {sha for sha in acknowledged if int(sha.partition("/")[2]) % 5 != 4}
    assert own <= stored
    assert len(stored - own) <= 1 + WRITERS  # the shared one, and rows not yet acknowledged
    lost = len(own - stored)
    promise("R16", "acknowledged results lost to writers killed in the act", lost, of=len(own))
    promise("R16", "half results seen", len(index.damaged), of=len(index.entries))
