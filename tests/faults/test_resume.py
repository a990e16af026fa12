"""Killed anywhere, a run goes on as if it had not been (R1), whatever its workers (R4)."""

import json
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from gmbench.config import check, compose, parse
from gmbench.core.errors import InputError
from gmbench.lifecycle.start import choose_start
from gmbench.reporting.record import read_result
from gmbench.training.resume import read_origin
from tests.faults.runs import BEST_AND_LAST, SMALL, Made, go, killed_and_continued, same
from tests.faults.test_checkpoints import flip

pytestmark = pytest.mark.fault


@pytest.mark.parametrize(
    ("fault", "workers", "done", "first"),
    [
        ("step:5:kill", 2, 4, 3),  # in the middle of the second epoch
        ("validate:2:kill", 0, 6, 3),
        ("load:22:kill", 0, 3, 3),  # while an example is read
        ("note:1:kill", 0, 3, 0),  # while the first checkpoint is written
        ("validate:3:kill", 0, 6, 6),  # after the last epoch
    ],
)
def test_killed_and_started_again_it_ends_as_if_unbroken(
    unbroken, world, tmp_path, fault, workers, done, first, promise
):
    made = killed_and_continued(tmp_path, world, fault, workers)
    assert made.steps == [*range(done), *range(first, 6)]
    same(made, unbroken, promise)


def test_a_damaged_last_checkpoint_costs_an_epoch_and_no_digit(unbroken, world, tmp_path, promise):
    assert go(tmp_path, world, fault="validate:3:kill") == -signal.SIGKILL
    kept = tmp_path / "checkpoints"
    last, auto = kept / "last.ckpt", parse(compose(SMALL))
    now = read_origin(last).identity
    for number, harm in enumerate((Path.touch, Path.mkdir)):  # an empty file, an empty folder
        copy = shutil.copytree(kept, tmp_path / str(number))
        (copy / "last.ckpt").unlink()
        (copy / "last.ckpt.json").unlink()
        harm(copy / "last.ckpt")
        assert choose_start(auto, copy, now).checkpoint == copy / "previous.ckpt"
        assert (copy / "last.ckpt").read_bytes() == (kept / "previous.ckpt").read_bytes()
        assert choose_start(auto, copy, now).checkpoint == copy / "last.ckpt"
    flip(last)
    assert go(tmp_path, world) == 0
    assert Made(tmp_path).steps[6:] == [3, 4, 5]
    same(Made(tmp_path), unbroken, promise)


def test_a_full_disk_ends_the_run_and_costs_no_digit(unbroken, world, tmp_path, promise):
    setting = "+trainer.may_miss_saves=0"
    assert go(tmp_path, world, setting, fault="save:2:enospc") == 1
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert (failure["status"], failure["cause"]) == ("failed:disk", "disk")
    assert Made(tmp_path).checkpoints() == BEST_AND_LAST
    assert go(tmp_path, world, setting) == 0
    assert Made(tmp_path).steps[6:] == [3, 4, 5]
    same(Made(tmp_path), unbroken, promise)
    assert not (tmp_path / "failure.json").exists()


@pytest.fixture(scope="module")
def halfway(tmp_path_factory, world) -> Path:
    """A run killed in its second epoch."""
    folder = tmp_path_factory.mktemp("halfway")
    assert go(folder, world, fault="step:5:kill") == -signal.SIGKILL
    return folder


@pytest.fixture
def copy(halfway, tmp_path) -> Path:
    return shutil.copytree(halfway, tmp_path / "run")


def test_another_number_of_threads_is_refused_unless_allowed_and_then_marked(copy, world):
    assert go(copy, world, "trainer.num_threads=2") == 2
    refused = (copy / "error.txt").read_text()
    assert "threads (1 then, 2 now)" in refused
    assert "another configuration" not in refused
    assert go(copy, world, "trainer.num_threads=2", "resume_inexact=true") == 0
    result = read_result(copy / "result.json")
    assert not result.exact_resume
    assert result.machine.threads == 2


@pytest.mark.parametrize(
    ("name", "value", "refusal"),
    [
        ("processes", 2, "processes (1 then, 2 now)"),
        ("threads", 7, "threads (1 then, 7 now)"),
        ("device", "NVIDIA H200", "device (cpu then, NVIDIA H200 now)"),
        ("torch", "0.1", "torch ("),
        ("code", "changed", None),
        ("data", "other", None),
        ("config", "other", None),
    ],
)
def test_what_would_change_a_digit_is_refused_or_begins_anew(
    halfway, caplog, name, value, refusal, promise
):
    folder = halfway / "checkpoints"
    then = read_origin(folder / "last.ckpt").identity
    now = replace(then, **{name: value})
    auto, inexact = (parse(compose([*SMALL, f"resume_inexact={x}"])) for x in ("false", "true"))
    assert choose_start(auto, folder, then).checkpoint == folder / "last.ckpt"
    if refusal:
        with pytest.raises(InputError, match=re.escape(refusal)):
            choose_start(auto, folder, now)
    else:
        assert choose_start(auto, folder, now).checkpoint is None
        assert "the run begins anew" in caplog.text
    allowed = choose_start(inexact, folder, now)
    if name in ("data", "config"):
        assert allowed.checkpoint is None
    else:
        assert (allowed.checkpoint, allowed.exact) == (folder / "last.ckpt", False)
    promise("R1", "changes that cost digits told apart", 1)


def test_another_configuration_begins_anew_or_is_refused_by_name(copy, world, tmp_path):
    last = copy / "checkpoints" / "last.ckpt"
    assert go(tmp_path / "other", world, "optim.lr_head=2e-3", f"resume='{last}'") == 2
    why = (tmp_path / "other" / "error.txt").read_text()
    assert "of another configuration (optim.lr_head: 0.001 then, 0.002 now); repeat" in why
    assert go(copy, world, "optim.lr_head=2e-3") == 0
    assert Made(copy).steps[4:] == list(range(6))


def test_a_path_from_elsewhere(copy, unbroken, world, tmp_path):
    last = copy / "checkpoints" / "last.ckpt"
    elsewhere = Made(tmp_path / "elsewhere")
    assert go(elsewhere.folder, world, f"resume='{last}'") == 0
    assert elsewhere.steps == [3, 4, 5]
    assert elsewhere.predictions() == unbroken.predictions()


@pytest.mark.parametrize("workers", [4, pytest.param(1, marks=pytest.mark.fault_slow)])
def test_another_run_with_workers_gives_the_same_bytes(unbroken, world, tmp_path, workers, promise):
    assert go(tmp_path, world, f"trainer.num_workers={workers}") == 0
    made = Made(tmp_path)
    same(made, unbroken, lambda *_: None)
    assert made.losses == unbroken.losses
    promise("R4", "other numbers of workers, all bytes equal", 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [("atuo", "did you mean resume=auto?"), ("nowhere/last.ckpt", "nor a checkpoint")],
)
def test_a_typo_is_named(world, value, message):
    cfg = compose([*SMALL, f"data.root={world}", f"resume={value}"])
    with pytest.raises(InputError, match=re.escape(message)):
        check(cfg)
