"""``--help`` of every verb: without torch, and quiet when its reader leaves early."""

import os
import subprocess
import sys

import pytest

from gmbench.__main__ import VERBS
from tests.conftest import REPOSITORY

HELP = """
import runpy, sys
try:
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "command", [*([f"gmbench.{verb}"] for verb in VERBS), ["gmbench"], ["gmbench", "run"]]
)
def test_help_into_a_closed_pipe(command, tmp_path):
    read, write = os.pipe()
    os.close(read)  # `| head` that has seen enough
    started = ["-c", HELP.replace("MODULE", repr(command[0])), *command[1:], "--help"]
    process = subprocess.Popen(
        [sys.executable, *started],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert process.communicate(timeout=300)[1] == "False\n"
    assert process.returncode == 0
