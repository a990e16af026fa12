"""The long matrices: a kill at every place, and training together under every circumstance."""

import json
import shutil
import signal

import pytest
import torch

from gmbench.faults import VARIABLE
from gmbench.reporting.record import read_result
from tests.faults.conftest import SMALL
from tests.faults.runs import Made, as_unbroken, go, killed_and_continued, same
from tests.faults.test_ddp import run, started, trained_by_one_and_two
from tests.test_run import gmbench

pytestmark = pytest.mark.fault_slow

SLOW = [f"step:{step}:kill" for step in range(1, 7)]
SLOW += [f"{place}:{n}:kill" for place in ("save", "saved", "note") for n in (1, 2)]
SLOW += ["note:3:kill", "keep:1:kill", "write:3:kill", "validate:1:kill", "validate:3:kill"]
SLOW += ["log:1:kill", "log:2:kill", "match:4:kill"]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("fault", SLOW)
def test_killed_anywhere(unbroken, world, tmp_path, fault, workers, promise):
    made = killed_and_continued(tmp_path, world, fault, workers)
    same(made, unbroken)
    as_unbroken(promise, made)


@pytest.mark.parametrize("number", [5, 22, 40])
def test_killed_while_an_example_is_read(unbroken, world, tmp_path, number, promise):
    """In training and in validation; with workers it would be one of them that dies."""
    made = killed_and_continued(tmp_path, world, f"load:{number}:kill", 0)
    same(made, unbroken)
    as_unbroken(promise, made)


def test_a_loader_s_worker_that_is_killed_ends_the_run_which_goes_on(
    unbroken, world, tmp_path, promise
):
    assert go(tmp_path, world, "trainer.num_workers=2", fault="load:9:kill") == 1
    assert json.loads((tmp_path / "failure.json").read_text())["cause"] == "RuntimeError"
    assert go(tmp_path, world, "trainer.num_workers=2") == 0
    same(Made(tmp_path), unbroken)
    as_unbroken(promise, Made(tmp_path))


def test_patience_that_had_ended_stays_ended(world, tmp_path):
    settings = ["callbacks.patience=1", "trainer.epochs=6", "optim.lr_head=0.1", "optim.warmup=0"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert go(whole, world, *settings) == 0
    epochs = len(Made(whole).losses) // 3
    assert epochs < 6
    assert go(broken, world, *settings, fault=f"validate:{epochs + 1}:kill") == -signal.SIGKILL
    assert go(broken, world, *settings) == 0
    assert len(Made(broken).losses) == len(Made(whole).losses)
    assert Made(broken).predictions() == Made(whole).predictions()


def test_one_worker_gives_the_same_bytes(unbroken, world, tmp_path, promise):
    assert go(tmp_path, world, "trainer.num_workers=1") == 0
    same(Made(tmp_path), unbroken)
    promise("R4", "other numbers of workers, all bytes equal", 1)


@pytest.mark.parametrize("model", ["qgn", "mner_qg"])
def test_two_processes_train_another_model_as_one(world, tmp_path, model):
    trained_by_one_and_two(model, world, tmp_path)


def test_a_loss_that_is_nan_on_one_process_stops_both(world, tmp_path):
    codes = started(tmp_path, world, processes=2, faults=("loss:99:nan", "loss:3:nan"))
    assert codes == [1, 1]
    for name in ("failure.json", "failure.rank1.json"):
        assert json.loads((tmp_path / name).read_text())["status"] == "failed:nan"
    for folder in ("nonfinite", "nonfinite.1"):
        assert json.loads((tmp_path / folder / "step.json").read_text())["step"] == 2
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_cost_that_is_nan_on_one_process_is_left_out_on_both(world, tmp_path, promise):
    faults = ("match:99:nan", "match:3:nan;loss:4:nan")
    setting = "+trainer.may_skip_steps=2"
    assert started(tmp_path, world, setting, processes=2, faults=faults) == [0, 0]
    result = read_result(tmp_path / "result.json")
    assert result.degraded == ("nan",)
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["skipped_steps"] == 2
    assert all(weight.isfinite().all() for weight in kept["state_dict"].values())
    promise("R3", "steps left out, weights and moments bitwise as before", 2)


def test_the_command_notices_that_its_other_process_was_killed(
    world, tmp_path, monkeypatch, promise
):
    """Started as a user does: two processes, the second killed in its third step."""
    device = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]
    monkeypatch.setenv(VARIABLE, "step@1:3:kill")
    done = gmbench(
        "run",
        *(*SMALL, *device, f"data.root={world}", f"cache={world}/cache"),
        folder=tmp_path,
    )
    # Lightning looks every 5 s whether its processes live, and kills all where one does not: on a
    # slow machine that may come before the first process has written down why it ended.
    assert done.returncode in (1, -signal.SIGKILL)
    assert [json.loads(p.read_text())["cause"] for p in tmp_path.rglob("failure.json")] in (
        ["peer"],
        [],
    )
    assert not list(tmp_path.rglob("result.json"))
    promise("R14", "commands that end with their killed process", 1)


def test_blank_pictures_in_one_share_only(world, tmp_path):
    blank = shutil.copytree(min(world.glob("world-*")), tmp_path / "blank")
    for number, picture in enumerate(sorted((blank / "images").glob("train*"))):
        if number % 3:
            picture.unlink()
    overrides = ["model=qgn", "data.world=null", f"data.root={blank}", "data.missing_image=blank"]
    assert run(tmp_path, world, *overrides, processes=2)
