"""Several processes train as one would, and every parameter takes part (R5)."""

from pathlib import Path

import pytest
import torch

from gmbench.reporting.record import read_result
from tests.faults.runs import Made, go_together

pytestmark = pytest.mark.fault


def run(folder, world, *overrides: str, processes: int) -> list[tuple[float, list[str]]]:
    """Per step the loss over the whole batch and the ids, from every process's own record."""
    codes = go_together(folder, world, *overrides, processes=processes, faults=("", ""))
    assert codes == [0] * processes, [p.read_text() for p in folder.glob("error.*.txt")]
    losses = [Made(folder, rank).losses for rank in range(processes)]
    return [
        (
            sum(float.fromhex(loss) for _, loss, _ in parts) / processes,
            sorted(id_ for *_, ids in parts for id_ in ids.split()),
        )
        for parts in zip(*losses, strict=True)
    ]


def trained_by_one_and_two(model: str, world: Path, tmp_path: Path) -> None:
    """The same losses, the same examples, and a result of both."""
    seen = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        seen[processes] = run(folder, world, f"model={model}", processes=processes)
    assert [ids for _, ids in seen[1]] == [ids for _, ids in seen[2]]
    one, two = (torch.tensor([loss for loss, _ in seen[n]]) for n in (1, 2))
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
