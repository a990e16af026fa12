"""The long matrices: a kill at every place, and training together under every circumstance."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from gmbench.reporting.record import read_result
from tests.conftest import REPOSITORY
from tests.faults.plan import VARIABLE
from tests.faults.runs import SMALL, Made, go, go_together, killed_and_continued, paths, same
from tests.faults.test_ddp import run, trained_by_one_and_two

pytestmark = pytest.mark.fault_slow

SLOW = [f"step:{step}:kill" for step in range(1, 7)]
SLOW += [f"{place}:{n}:kill" for place in ("save", "saved", "note") for n in (1, 2)]
SLOW += ["note:3:kill", "keep:1:kill", "write:3:kill", "validate:1:kill", "validate:3:kill"]
SLOW += ["log:1:kill", "log:2:kill", "match:4:kill"]
# In training and in validation; with workers it would be one of them that dies.
READING = [f"load:{number}:kill" for number in (5, 22, 40)]
CASES = [(fault, workers) for fault in SLOW for workers in (0, 2)]
CASES += [(fault, 0) for fault in READING]


@pytest.mark.parametrize(("fault", "workers"), CASES)
def test_killed_anywhere(unbroken, world, tmp_path, fault, workers, promise):
    same(killed_and_continued(tmp_path, world, fault, workers), unbroken, promise)


@pytest.mark.parametrize(
    ("fault", "told"), [("kill", "DataLoader worker"), ("stop", "timed out after 20")]
)
def test_a_loader_s_worker_that_is_killed_or_stopped_ends_the_run_which_goes_on(
    unbroken, world, tmp_path, fault, told, promise
):
    settings = "trainer.num_workers=2", "+trainer.peer_timeout=20"
    assert go(tmp_path, world, *settings, fault=f"load:5:{fault}") == 1
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert told in failure["message"]
    assert "trainer.num_workers=0" in failure["message"]
    assert failure["cause"] == "loader"
    assert go(tmp_path, world, "trainer.num_workers=2") == 0
    same(Made(tmp_path), unbroken, promise)


def test_patience_that_had_ended_stays_ended(world, tmp_path):
    settings = ["callbacks.patience=1", "trainer.epochs=6", "optim.lr_head=0.1", "optim.warmup=0"]
    whole, broken = Made(tmp_path / "whole"), Made(tmp_path / "broken")
    assert go(whole.folder, world, *settings) == 0
    epochs = len(whole.losses) // 3
    assert epochs < 6
    fault = f"validate:{epochs + 1}:kill"
    assert go(broken.folder, world, *settings, fault=fault) == -signal.SIGKILL
    assert go(broken.folder, world, *settings) == 0
    assert len(broken.losses) == len(whole.losses)
    assert broken.predictions() == whole.predictions()


@pytest.mark.parametrize("model", ["qgn", "mner_qg"])
def test_two_processes_train_another_model_as_one(world, tmp_path, model):
    trained_by_one_and_two(model, world, tmp_path)


@pytest.mark.parametrize("place", ["loss", "match"])
def test_a_number_that_is_nan_on_one_process_stops_both(world, tmp_path, place, promise):
    assert go_together(tmp_path, world, faults=(f"{place}:99:nan", f"{place}:3:nan")) == [1, 1]
    for name in ("failure.json", "failure.rank1.json"):
        assert json.loads((tmp_path / name).read_text())["status"] == "failed:nan"
    assert Made(tmp_path).steps == [0, 1, 2][: 3 if place == "loss" else 2]
    assert not list(tmp_path.rglob("*.ckpt"))
    promise("R3", "numbers that are NaN on one process stopped both", 1)


def test_the_command_notices_that_its_other_process_was_killed(world, tmp_path, promise):
    """Started as a user does: two processes, the second killed in its third step."""
    arguments = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", *paths(world)]
    hooks = f"{REPOSITORY / 'tests' / 'faults' / 'hooks'}{os.pathsep}{REPOSITORY}"
    done = subprocess.run(
        [sys.executable, "-m", "gmbench.run", *SMALL, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": hooks, VARIABLE: "step@1:3:kill"},
        timeout=900,
    )
    # Lightning looks every 5 s whether its processes live, and kills all where one does not: on a
    # slow machine that may come before the first process has written down why it ended.
    assert done.returncode in (1, -signal.SIGKILL)
    causes = [json.loads(p.read_text())["cause"] for p in tmp_path.rglob("failure.json")]
    assert causes in (["peer"], [])
    assert not list(tmp_path.rglob("result.json"))
    promise("R14", "commands that end with their killed process", 1)


@pytest.mark.parametrize("place", ["step@0:4", "validate@0:2"])
def test_a_command_of_two_processes_ends_by_a_signal_and_goes_on(world, tmp_path, place, promise):
    """SIGTERM to the process that the user has started, as a scheduler sends it."""
    arguments = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", *paths(world)]
    hooks = f"{REPOSITORY / 'tests' / 'faults' / 'hooks'}{os.pathsep}{REPOSITORY}"

    def command(fault: str) -> tuple[int, list[str]]:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "gmbench.run", *SMALL, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": hooks, VARIABLE: fault},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        said = process.communicate(timeout=900)[1]  # ends once no process holds it any more
        if process.returncode:  # killed ones have been waited for: none is left
            with pytest.raises(ProcessLookupError):
                os.killpg(process.pid, 0)
        return process.returncode, said.splitlines()

    told = "interrupted by SIGTERM; the same command goes on"
    assert command(f"{place}:terminate") == (128 + signal.SIGTERM, [told])
    (failure,) = tmp_path.rglob("failure*.json")
    assert json.loads(failure.read_text())["status"] == "failed:interrupted"
    assert command("step@0:99:kill")[0] == 0
    (result,) = tmp_path.rglob("result.json")
    assert read_result(result).exact_resume
    promise("R14", "commands of two processes that a signal ended, in one line, resumable", 1)


def test_blank_pictures_in_one_share_only(world, tmp_path):
    blank = shutil.copytree(min(world.glob("world-*")), tmp_path / "blank")
    for number, picture in enumerate(sorted((blank / "images").glob("train*"))):
        if number % 3:
            picture.unlink()
    overrides = ["model=qgn", "data.world=null", f"data.root={blank}", "data.missing_image=blank"]
    assert run(tmp_path, world, *overrides, processes=2)
