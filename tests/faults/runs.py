"""Real runs in copies of this process, killed and started again."""

import csv
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from gmbench.faults import VARIABLE
from rich.console import Console

import gmbench.lifecycle.execute
import gmbench.lifecycle.record
from gmbench.config import compose
from gmbench.core.errors import InputError
from gmbench.lifecycle.execute import execute
from gmbench.reporting.record import read_result
from gmbench.training.module import GroundedModule
from tests.faults.conftest import SMALL
from tests.faults.processes import ended


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

    def weights(self) -> dict[str, bytes]:
        """Of the chosen checkpoint."""
        kept = torch.load(self.folder / "checkpoints" / "best.ckpt", weights_only=True)
        return {name: weight.numpy().tobytes() for name, weight in kept["state_dict"].items()}

    def curve(self) -> list[dict[str, str]]:
        with (self.folder / "metrics.csv").open(newline="") as file:
            return [dict(sorted(row.items())) for row in csv.DictReader(file)]


def without_pictures() -> None:
    """They are not at stake here, and take longer than the training."""
    gmbench.lifecycle.record.draw_analysis = gmbench.lifecycle.record.draw_overlays = (
        lambda *_, **__: None
    )
    gmbench.lifecycle.execute.store_curves = lambda *_, **__: None


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
        without_pictures()
        folder.mkdir(parents=True, exist_ok=True)
        paths = [f"data.root={world}", f"cache={world}/cache", f"runs={folder}"]
        cfg = compose([*SMALL, *paths, *overrides])
        execute(cfg, folder, (), Console(file=io.StringIO()))
        code = 0
    except InputError as error:
        (folder / "refused.txt").write_text(str(error))
        code = 2
    except BaseException as error:
        (folder / "error.txt").write_text(repr(error))
    finally:
        os._exit(code)


def same(made: Made, unbroken: Made) -> None:
    """Every step, made once or twice, as in the unbroken run; so are choice and answers."""
    of_step = {step: (loss, ids) for step, loss, ids in unbroken.losses}
    assert {step: (loss, ids) for step, loss, ids in made.losses} == of_step
    assert all(of_step[step] == (loss, ids) for step, loss, ids in made.losses)
    assert made.selected() == unbroken.selected()
    assert made.weights() == unbroken.weights()
    for split in ("dev", "test"):
        assert made.predictions(split) == unbroken.predictions(split)
    assert made.curve() == unbroken.curve()
    assert read_result(made.folder / "result.json").exact_resume
    kept = {path.name for path in (made.folder / "checkpoints").iterdir()}
    assert kept == {f"{name}.ckpt{end}" for name in ("best", "last") for end in ("", ".json")}


def as_unbroken(promise: Callable[..., None], made: Made) -> None:
    """What :func:`same` found, for the table; a step made twice counts twice."""
    promise("R1", "interrupted runs that ended as if unbroken", 1)
    promise("R1", "losses of interrupted runs equal bit for bit", len(made.losses))
    promise("R1", "examples missing or repeated in an epoch", "0")


def killed_and_continued(folder: Path, world: Path, fault: str, workers: int) -> Made:
    setting = f"trainer.num_workers={workers}"
    assert go(folder, world, setting, fault=fault) == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    assert go(folder, world, setting) == 0, list(folder.iterdir())
    return Made(folder)
