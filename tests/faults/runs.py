"""Real runs in copies of this process, killed and started again."""

import csv
import io
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import gmbench.lifecycle.record
from gmbench.config import compose, parse
from gmbench.lifecycle.execute import execute
from gmbench.reporting.record import read_result
from gmbench.training.module import GroundedModule
from gmbench.training.optimizer import pretrained_modules
from tests.faults.plan import install
from tests.faults.processes import ended, forked, together

SMALL = ["data=synthetic_tiny", "trainer=debug", "data.world.train=12", "data.world.dev=6"]
SMALL += ["data.world.test=6", "trainer.batch_size=4", "callbacks.progress=false"]
"""Three steps an epoch."""


def paths(world: Path) -> list[str]:
    return [f"data.root={world}", f"cache={world}/cache"]


@dataclass(frozen=True)
class Made:
    """What a run left: losses by step, files."""

    folder: Path
    rank: int = 0

    @property
    def losses(self) -> list[tuple[int, str, str]]:
        """Step, loss, ids; a step made twice stands twice."""
        rows = (self.folder / f"losses.{self.rank}.txt").read_text().splitlines()
        return [(int(s), loss, ids) for s, loss, ids in (row.split(" ", 2) for row in rows)]

    @property
    def steps(self) -> list[int]:
        return [step for step, *_ in self.losses]

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

    def checkpoints(self) -> set[str]:
        return {path.name for path in (self.folder / "checkpoints").iterdir()}


BEST_AND_LAST = {f"{name}.ckpt{end}" for name in ("best", "last") for end in ("", ".json")}


def undrawn(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Draw no pictures of runs, for tests of other things: they take longer than the training."""
    for name in ("draw_analysis", "draw_overlays", "curves_png"):
        put(gmbench.lifecycle.record, name, lambda *_, **__: None)


def execute_here(
    folder: Path,
    overrides: Sequence[str],
    fault: str,
    rank: int = 0,
    *,
    dropout: bool = True,
    screen: Console | None = None,
) -> None:
    """``gmbench.run`` without its command line; patches this process for good."""
    if fault:
        install(fault)
    step, begin = GroundedModule.training_step, GroundedModule.on_train_epoch_start

    def noted(self, batch, batch_idx):
        values = step(self, batch, batch_idx)
        with (folder / f"losses.{rank}.txt").open("a") as file:
            print(self.global_step, float(values["loss"].detach()).hex(), *batch.ids, file=file)
        return values

    def still(self):
        begin(self)
        for module in self.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        for module in pretrained_modules(self.model):
            module.eval()

    GroundedModule.training_step = noted
    if not dropout:
        GroundedModule.on_train_epoch_start = still
    undrawn()
    settings = parse(compose([*SMALL, f"runs={folder}", *overrides]))
    execute(settings, folder, (), screen or Console(file=io.StringIO()))


def go(folder: Path, world: Path, *overrides: str, fault: str = "") -> int:
    """A run in a copy of this process; how it ended. Its error is in ``error.txt``."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = [*paths(world), *overrides]
    return ended(forked(lambda: execute_here(folder, whole, fault), folder / "error.txt"))


EVEN = ["data.world.train=11", "data.world.dev=5", "data.world.test=1"]
"""Not divisible by two: an uneven batch, uneven shares, and a process without a test example."""


def go_together(
    folder: Path, world: Path, *overrides: str, processes=2, faults=("", ""), follow=False
) -> list[int]:
    """Exit codes of processes that train together, each with a fault plan of its own.

    Without dropout: two processes have one of their own.
    """
    device = ["trainer=ddp", f"trainer.devices={processes}", "trainer.accelerator=cpu"]
    whole = [*device, "trainer.epochs=2", *EVEN, *paths(world), *overrides]

    def work(rank: int) -> None:
        execute_here(folder, whole, faults[rank], rank, dropout=False)

    return together(processes, work, folder, follow=follow)


def same(made: Made, unbroken: Made, promise: Callable[..., None]) -> None:
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
    assert made.checkpoints() == BEST_AND_LAST
    promise("R1", "interrupted runs that ended as if unbroken", 1)
    promise("R1", "losses of interrupted runs equal bit for bit", len(made.losses))
    promise("R1", "examples missing or repeated in an epoch", "0")


def killed_and_continued(folder: Path, world: Path, fault: str, workers: int = 0) -> Made:
    setting = f"trainer.num_workers={workers}"
    assert go(folder, world, setting, fault=fault) == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    assert go(folder, world, setting) == 0, (folder / "error.txt").read_text()
    return Made(folder)
