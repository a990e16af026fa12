"""``--help`` of every verb, and what is wrong with a path: without torch."""

import os
import subprocess
import sys

import pytest

from gmbench.__main__ import VERBS, main
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


WRONG = {
    "run": ["data=twitter_gmner", "data.root=/nowhere", "mode=test"],
    "predict": ["/nowhere", "--text", "hi"],
    "export": ["/nowhere", "new"],
}


def test_a_wrong_path_is_told_before_torch_is_imported(tmp_path):
    code = f"""
import importlib, sys
for verb, arguments in {WRONG!r}.items():
    sys.argv = [verb, *arguments]
    try:
        code = importlib.import_module("gmbench." + verb).main()
    except SystemExit as ended:
        code = ended.code
    print(verb, code, "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.split("\n") == ["run 2 False", "predict 2 False", "export 2 False", ""]
    for line in ("data.root: no folder /nowhere", "ckpt: mode=test needs", "/nowhere: no such"):
        assert line in done.stderr
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("train", "gmbench run"),
        ("eval", "gmbench run mode=test"),
        ("prepair", "did you mean prepare?"),
    ],
)
def test_verbs_of_other_programs_lead_to_ours(verb, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gmbench", verb])
    assert main() == 2
    assert told in capsys.readouterr().err
