"""Several processes train as one would, and every parameter takes part (R5)."""

import io
import json
import os
from pathlib import Path

import pytest
import torch
from rich.console import Console

from gmbench.config import compose
from gmbench.faults import VARIABLE
from gmbench.lifecycle.execute import execute
from gmbench.reporting.record import read_result
from gmbench.training.module import GroundedModule
from gmbench.training.optimizer import pretrained_modules
from tests.faults.conftest import SMALL
from tests.faults.processes import together
from tests.faults.runs import without_pictures

pytestmark = pytest.mark.fault

EVEN = ["data.world.train=11", "data.world.dev=5", "data.world.test=1"]
"""Not divisible by two: an uneven batch, uneven shares, and a process without a test example."""


def started(folder, world, *overrides: str, processes: int, faults=(), follow=False) -> list[int]:
    """Exit codes of processes that train together, each with a fault plan of its own."""
    device = ["trainer=ddp", f"trainer.devices={processes}", "trainer.accelerator=cpu"]
    device += ["trainer.epochs=2"]
    paths = [f"data.root={world}", f"cache={world}/cache", f"runs={folder}"]
    cfg = compose([*SMALL, *device, *EVEN, *paths, *overrides])

    def work(rank: int) -> None:
        if faults:
            os.environ[VARIABLE] = faults[rank]
        step = GroundedModule.training_step

        def noted(self, batch, batch_idx):
            loss = step(self, batch, batch_idx)
            row = {"loss": float(loss.detach()), "ids": batch.ids}
            with (folder / f"steps.{rank}.jsonl").open("a") as file:
                print(json.dumps(row), file=file)
            return loss

        begin = GroundedModule.start_epoch

        def still(self, epoch):  # two processes have dropout of their own
            begin(self, epoch)
            for module in self.model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            for module in pretrained_modules(self.model):
                module.eval()

        without_pictures()
        GroundedModule.training_step, GroundedModule.start_epoch = noted, still
        execute(cfg, folder, (), Console(file=io.StringIO()))

    return together(processes, work, folder, follow=follow)


def run(folder, world, *overrides: str, processes: int) -> list[dict[str, object]]:
    """Per step the loss over the whole batch and the ids, from every process's own record."""
    codes = started(folder, world, *overrides, processes=processes)
    assert codes == [0] * processes, [p.read_text() for p in folder.glob("error.*.txt")]
    rows = [
        [json.loads(line) for line in (folder / f"steps.{rank}.jsonl").read_text().splitlines()]
        for rank in range(processes)
    ]
    return [
        {
            "loss": sum(part["loss"] for part in parts) / processes,
            "ids": sorted(id_ for part in parts for id_ in part["ids"]),
        }
        for parts in zip(*rows, strict=True)
    ]


def trained_by_one_and_two(model: str, world: Path, tmp_path: Path) -> None:
    """The same losses, the same examples, and a result of both."""
    seen = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        seen[processes] = run(folder, world, f"model={model}", processes=processes)
    assert [row["ids"] for row in seen[1]] == [row["ids"] for row in seen[2]]
    one, two = (torch.tensor([row["loss"] for row in seen[n]]) for n in (1, 2))
    assert len(one) == 6
    print(f"{model}: greatest relative difference {((one - two).abs() / one).max():.1e}")
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)
    result = read_result(tmp_path / "2" / "result.json")
    assert result.machine.processes == 2
    assert result.data.n == 1
    kept = torch.load(tmp_path / "2" / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(kept["gmbench"]["random"]) == 2


def test_two_processes_train_as_one(world, tmp_path):
    trained_by_one_and_two("mqspn", world, tmp_path)
