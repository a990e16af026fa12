"""Signals, standard output that takes no text, and two at once, in real runs (R13, R14, R16)."""

import json
import os
import signal
import sys

import pytest

from gmbench.core.command_line import console, exit_code, unbroken_output
from tests.faults.processes import ended, forked
from tests.faults.runs import Made, execute_here, paths, same

pytestmark = pytest.mark.fault


def redirected(number, file) -> None:
    os.dup2(file, number)
    name = {1: "stdout", 2: "stderr"}[number]
    setattr(sys, name, open(number, "w", encoding="ascii", closefd=False))  # noqa: SIM115


def as_a_command(folder, world, fault="", stdout=os.devnull) -> tuple[int, str]:
    """A run as ``gmbench.run`` surrounds it, in a copy of this process: code, standard error."""
    folder.mkdir(exist_ok=True)

    def work() -> int:
        with unbroken_output():
            execute_here(folder, paths(world), fault, screen=console())
        return 0

    def alone() -> None:
        redirected(1, os.open(stdout, os.O_WRONLY))
        redirected(2, os.open(folder / "said.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC))
        code = exit_code(work)
        sys.stderr.flush()
        os._exit(code)

    code = ended(forked(alone, folder / "error.txt"))
    return code, (folder / "said.txt").read_text()


def test_interrupted_twice_and_without_output_it_ends_as_if_unbroken(
    unbroken, world, tmp_path, promise
):
    folder = tmp_path / "run"
    for fault, number in (
        ("step:5:interrupt", signal.SIGINT),
        ("validate:1:terminate", signal.SIGTERM),
    ):
        code, said = as_a_command(folder, world, fault)
        assert code == 128 + number, said
        told = f"interrupted by {number.name}; the same command goes on"
        assert said.splitlines()[-1] == told
        assert "Traceback" not in said
        failure = json.loads((folder / "failure.json").read_text())
        assert (failure["status"], failure["message"].splitlines()[0]) == (
            "failed:interrupted",
            f"interrupted by {number.name}",
        )
        attempt = json.loads((folder / "attempt.json").read_text())
        assert attempt["status"] == "failed:interrupted"
        (folder / f".result.json.{number:08x}.tmp").touch()  # of a killed writer

    code, said = as_a_command(folder, world, stdout="/dev/full")
    assert code == 0, said
    lost = "standard output: No space left on device; the work went on without"
    assert said.splitlines()[-1] == lost
    assert not (folder / "failure.json").exists()
    assert not list(folder.rglob(".*"))
    assert json.loads((folder / "attempt.json").read_text())["status"] == "done"
    # The state is written after the validation of an epoch.
    assert Made(folder).steps == [0, 1, 2, 3, *[3, 4, 5] * 2]
    same(Made(folder), unbroken, promise)
    promise("R14", "signals that ended a run with their number, resumable, in one line", 2)
    promise("R13", "runs that ended well where standard output takes no text", 1)


@pytest.mark.parametrize("place", ["full", "closed", "ascii"])
def test_work_goes_on_whatever_standard_output_takes(place, tmp_path):
    said = tmp_path / "said.txt"
    reader, writer = os.pipe()
    os.close(reader)
    out = {
        "full": lambda: os.open("/dev/full", os.O_WRONLY),
        "closed": lambda: writer,
        "ascii": lambda: os.open(tmp_path / "out.txt", os.O_CREAT | os.O_WRONLY),
    }[place]

    def work() -> int:
        with unbroken_output():
            for _ in range(3):
                print("Zoë 🎉" * 10_000)
                console().print("Zoë 🎉 ✓")
        (tmp_path / "done").touch()
        return 0

    def alone() -> None:
        redirected(1, out())
        redirected(2, os.open(said, os.O_CREAT | os.O_WRONLY))
        code = exit_code(work)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    assert ended(forked(alone, tmp_path / "error.txt")) == 0
    os.close(writer)
    assert (tmp_path / "done").exists()
    full = "standard output: No space left on device; the work went on without\n"
    assert said.read_text() == (full if place == "full" else "")
    if place == "ascii":
        assert "Zo\\u00eb \\ud83c\\udf89" in (tmp_path / "out.txt").read_text()
