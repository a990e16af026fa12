"""R16: eight writers that are killed leave only whole results, and every acknowledged one."""

import os
import subprocess
import sys

import pytest

from gmbench.reporting.index import read_index
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.fault

WRITERS = 8
STAGES = ("before", "fsync", "replace", "after")
WRITER = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from gmbench.reporting.record import write_result
from tests.reporting.sample import sample

root, writer, last, stage = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
result = sample()
for row in range(10_000):
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
    print(row, flush=True)
    if row == last:
        die()
"""


@pytest.mark.parametrize("rows", [25, pytest.param(200, marks=pytest.mark.fault_slow)])
def test_eight_writers_killed_in_the_act(tmp_path, rows, promise):
    """Half a row is never seen, also while they write; what was acknowledged is there."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, str(n), str(rows - n), STAGES[n % 4]],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(WRITERS)
    ]
    looks = 0
    while any(writer.poll() is None for writer in writers):
        index = read_index(tmp_path)
        assert not index.damaged
        looks += 1
    acknowledged = {
        f"{n}/{row}" for n, writer in enumerate(writers) for row in writer.communicate()[0].split()
    }
    assert [writer.returncode for writer in writers] == [-9] * WRITERS
    assert looks > 0
    assert len(acknowledged) >= sum(rows - n for n in range(WRITERS))
    index = read_index(tmp_path)
    assert not index.damaged
    found = {entry.result.config.sha for entry in index.entries}
    own = {sha for sha in acknowledged if int(sha.partition("/")[2]) % 5 != 4}
    assert own <= found
    assert len(found - own) <= 1 + WRITERS  # the shared one, and rows whose writer died telling it
    promise(
        "R16",
        "acknowledged results lost to writers killed in the act",
        len(own - found),
        of=len(own),
    )
    promise("R16", "half results seen", len(index.damaged), of=len(index.entries))
