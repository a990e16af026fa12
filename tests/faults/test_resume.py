"""Killed anywhere, a run goes on as if it had not been (R1), whatever its workers (R4)."""

import json
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gmbench.config import check, compose
from gmbench.core.errors import InputError
from gmbench.lifecycle.start import choose_start
from gmbench.reporting.record import read_result
from gmbench.training.resume import read_origin
from tests.faults.conftest import SMALL
from tests.faults.runs import Made, as_unbroken, go, killed_and_continued, same

pytestmark = pytest.mark.fault
NONE_MISSED = "+trainer.may_miss_saves=0"


@pytest.mark.parametrize(
    ("fault", "workers", "first"),
    [
        ("step:5:kill", 2, 3),  # in the middle of the second epoch
        ("validate:2:kill", 0, 3),
        ("load:22:kill", 0, 3),  # while an example is read
        ("note:1:kill", 0, 0),  # while the first checkpoint is written
    ],
)
def test_killed_and_started_again_it_ends_as_if_unbroken(
    unbroken, world, tmp_path, fault, workers, first, promise
):
    made = killed_and_continued(tmp_path, world, fault, workers)
    same(made, unbroken)
    again = [step for step, *_ in made.losses[-(6 - first) :]]
    assert again == list(range(first, 6))
    as_unbroken(promise, made)


def test_a_damaged_last_checkpoint_costs_an_epoch_and_no_digit(unbroken, world, tmp_path, promise):
    assert go(tmp_path, world, fault="validate:3:kill") == -signal.SIGKILL
    last = tmp_path / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    assert go(tmp_path, world) == 0
    made = Made(tmp_path)
    assert [step for step, *_ in made.losses[6:]] == [3, 4, 5]
    same(made, unbroken)
    as_unbroken(promise, made)


def test_a_full_disk_ends_the_run_and_costs_no_digit(unbroken, world, tmp_path, promise):
    assert go(tmp_path, world, NONE_MISSED, fault="save:2:enospc") == 1
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert (failure["status"], failure["cause"]) == ("failed:disk", "disk")
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {
        f"{name}.ckpt{end}" for name in ("best", "last") for end in ("", ".json")
    }
    assert go(tmp_path, world, NONE_MISSED) == 0
    assert [step for step, *_ in Made(tmp_path).losses[6:]] == [3, 4, 5]
    same(Made(tmp_path), unbroken)
    assert not (tmp_path / "failure.json").exists()
    as_unbroken(promise, Made(tmp_path))


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
    said = (copy / "refused.txt").read_text()
    assert "threads (1 then, 2 now)" in said
    assert "another configuration" not in said
    assert go(copy, world, "trainer.num_threads=2", "resume_inexact=true") == 0
    result = read_result(copy / "result.json")
    assert not result.exact_resume
    assert result.machine.threads == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
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
    halfway, world, caplog, name, value, said, promise
):
    folder = halfway / "checkpoints"
    origin = read_origin(folder / "last.ckpt")
    now = replace(origin.identity, **{name: value})
    auto, inexact = (compose([*SMALL, f"resume_inexact={x}"]) for x in ("false", "true"))
    assert choose_start(auto, folder, origin.identity).checkpoint == folder / "last.ckpt"
    if said:
        with pytest.raises(InputError, match=re.escape(said)):
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
    assert "another configuration" in (tmp_path / "other" / "refused.txt").read_text()
    assert go(copy, world, "optim.lr_head=2e-3") == 0
    assert [step for step, *_ in Made(copy).losses[4:]] == list(range(6))


def test_a_path_from_elsewhere(copy, unbroken, world, tmp_path):
    last = copy / "checkpoints" / "last.ckpt"
    elsewhere = tmp_path / "elsewhere"
    assert go(elsewhere, world, f"resume='{last}'") == 0
    assert [step for step, *_ in Made(elsewhere).losses] == [3, 4, 5]
    assert Made(elsewhere).predictions() == unbroken.predictions()


def test_another_run_with_workers_gives_the_same_bytes(unbroken, world, tmp_path, promise):
    assert go(tmp_path, world, "trainer.num_workers=4") == 0
    made = Made(tmp_path)
    same(made, unbroken)
    assert made.losses == unbroken.losses
    best, theirs = (
        torch.load(m.folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        for m in (made, unbroken)
    )
    assert all(torch.equal(weight, theirs[name]) for name, weight in best.items())
    promise("R4", "other numbers of workers, all bytes equal", 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [("atuo", "did you mean resume=auto?"), ("nowhere/last.ckpt", "nor a checkpoint")],
)
def test_a_typo_is_named(world, value, said):
    cfg = compose([*SMALL, f"data.root={world}", f"resume={value}"])
    with pytest.raises(InputError, match=re.escape(said)):
        check(cfg)
