"""Killed anywhere, a run goes on as if it had not been (R1), whatever its workers (R4)."""

import csv
import importlib
import io
import json
import os
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from rich.console import Console

import gmbench.outcome
from gmbench.config import ConfigError, check, compose
from gmbench.engine.faults import VARIABLE
from gmbench.engine.module import GroundedModule
from gmbench.reporting.results import read_result
from gmbench.resuming import sources_of
from gmbench.training import execute
from tests.faults.conftest import SMALL
from tests.faults.processes import ended

pytestmark = pytest.mark.fault


@dataclass(frozen=True)
class Made:
    """What a run left: losses by step, files."""

    folder: Path

    @property
    def losses(self) -> list[tuple[int, str, str]]:
        """Step, loss, ids; a step made twice stands twice."""
        rows = (self.folder / "losses.txt").read_text().splitlines()
        return [(int(s), loss, ids) for s, loss, ids in (row.split(" ", 2) for row in rows)]

    def selected(self):
        result = read_result(self.folder / "result.json")
        return result.selection, result.checkpoint and result.selection.epoch

    def predictions(self, split="test") -> bytes:
        return (self.folder / f"predictions.{split}.jsonl").read_bytes()

    def curve(self) -> list[dict[str, str]]:
        with (self.folder / "metrics.csv").open(newline="") as file:
            return [dict(sorted(row.items())) for row in csv.DictReader(file)]


def go(folder: Path, world: Path, *overrides: str, fault: str = "") -> int:
    """``gmbench.run`` without its command line, in a copy of this process; how it ended."""
    child = os.fork()
    if child:
        return ended(child)
    code = 1
    try:
        os.environ.pop(VARIABLE, None)
        if fault:
            os.environ[VARIABLE] = fault
        step = GroundedModule.training_step

        def noted(self, batch, batch_idx):
            loss = step(self, batch, batch_idx)
            with (folder / "losses.txt").open("a") as file:
                print(self.global_step, float(loss.detach()).hex(), *batch.ids, file=file)
            return loss

        GroundedModule.training_step = noted
        gmbench.outcome.draw_analysis = lambda *_: None  # pictures are not at stake here
        folder.mkdir(parents=True, exist_ok=True)
        paths = [f"data.root={world}", f"cache={world}/cache", f"runs={folder}"]
        cfg = compose([*SMALL, *paths, *overrides])
        execute(cfg, folder, (), Console(file=io.StringIO()))
        code = 0
    except ConfigError as error:
        (folder / "refused.txt").write_text(str(error))
        code = 2
    except BaseException as error:
        (folder / "error.txt").write_text(repr(error))
    finally:
        os._exit(code)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, world) -> Made:
    """Two epochs of three steps, in one go."""
    importlib.import_module("models")
    sources_of("models")  # read once: somebody may be editing while this runs
    folder = tmp_path_factory.mktemp("unbroken")
    assert go(folder, world) == 0, list(folder.iterdir())
    made = Made(folder)
    assert [step for step, *_ in made.losses] == list(range(6))
    return made


def same(made: Made, unbroken: Made) -> None:
    """Every step, made once or twice, as in the unbroken run; so are choice and answers."""
    of_step = {step: (loss, ids) for step, loss, ids in unbroken.losses}
    assert {step: (loss, ids) for step, loss, ids in made.losses} == of_step
    assert all(of_step[step] == (loss, ids) for step, loss, ids in made.losses)
    assert made.selected() == unbroken.selected()
    for split in ("dev", "test"):
        assert made.predictions(split) == unbroken.predictions(split)
    assert made.curve() == unbroken.curve()
    assert read_result(made.folder / "result.json").exact_resume
    kept = {path.name for path in (made.folder / "checkpoints").iterdir()}
    assert kept == {f"{name}.ckpt{end}" for name in ("best", "last") for end in ("", ".json")}


def killed_and_continued(folder: Path, world: Path, fault: str, workers: int) -> Made:
    setting = f"trainer.num_workers={workers}"
    assert go(folder, world, setting, fault=fault) == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    assert go(folder, world, setting) == 0, list(folder.iterdir())
    return Made(folder)


@pytest.mark.parametrize(
    ("fault", "workers", "first"),
    [
        ("step:5:kill", 2, 3),  # in the middle of the second epoch
        ("validate:2:kill", 0, 3),
        ("note:1:kill", 0, 0),  # while the first checkpoint is written
    ],
)
def test_killed_and_started_again_it_ends_as_if_unbroken(
    unbroken, world, tmp_path, fault, workers, first
):
    made = killed_and_continued(tmp_path, world, fault, workers)
    same(made, unbroken)
    again = [step for step, *_ in made.losses[-(6 - first) :]]
    assert again == list(range(first, 6))


SLOW = [f"step:{step}:kill" for step in range(1, 7)]
SLOW += [f"{place}:{n}:kill" for place in ("save", "saved", "note") for n in (1, 2)]
SLOW += ["note:3:kill", "keep:1:kill", "write:3:kill", "validate:1:kill", "validate:3:kill"]


@pytest.mark.fault_slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("fault", SLOW)
def test_killed_anywhere(unbroken, world, tmp_path, fault, workers):
    same(killed_and_continued(tmp_path, world, fault, workers), unbroken)


def test_a_damaged_last_checkpoint_costs_an_epoch_and_no_digit(unbroken, world, tmp_path):
    assert go(tmp_path, world, fault="validate:3:kill") == -signal.SIGKILL
    last = tmp_path / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    assert go(tmp_path, world) == 0
    made = Made(tmp_path)
    assert [step for step, *_ in made.losses[6:]] == [3, 4, 5]
    same(made, unbroken)


def test_a_full_disk_ends_the_run_and_costs_no_digit(unbroken, world, tmp_path):
    assert go(tmp_path, world, fault="save:2:enospc") == 1
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert (failure["status"], failure["cause"]) == ("failed:disk", "disk")
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {
        f"{name}.ckpt{end}" for name in ("best", "last") for end in ("", ".json")
    }
    assert go(tmp_path, world) == 0
    assert [step for step, *_ in Made(tmp_path).losses[6:]] == [3, 4, 5]
    same(Made(tmp_path), unbroken)
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
    said = (copy / "refused.txt").read_text()
    assert "threads (1 then, 2 now)" in said
    assert "another configuration" not in said
    assert go(copy, world, "trainer.num_threads=2", "resume_inexact=true") == 0
    result = read_result(copy / "result.json")
    assert not result.exact_resume
    assert result.machine.threads == 2


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


@pytest.mark.fault_slow
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


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.fault_slow), 4])
def test_another_run_with_workers_gives_the_same_bytes(unbroken, world, tmp_path, workers):
    assert go(tmp_path, world, f"trainer.num_workers={workers}") == 0
    made = Made(tmp_path)
    same(made, unbroken)
    assert made.losses == unbroken.losses
    best, theirs = (
        torch.load(m.folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        for m in (made, unbroken)
    )
    assert all(torch.equal(weight, theirs[name]) for name, weight in best.items())


@pytest.mark.parametrize(
    ("value", "said"),
    [("atuo", "did you mean resume=auto?"), ("nowhere/last.ckpt", "nor a checkpoint")],
)
def test_a_typo_is_named(world, value, said):
    cfg = compose([*SMALL, f"data.root={world}", f"resume={value}"])
    with pytest.raises(ConfigError, match=re.escape(said)):
        check(cfg)
