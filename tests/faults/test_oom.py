"""Memory that ends, and processes that die or hang, end a run with the right cause (R14)."""

import json
import resource
import signal
from pathlib import Path

import pytest
import torch

from gmbench.training.failures import cause_of
from tests.faults.conftest import trainer
from tests.faults.runs import go, go_together

pytestmark = pytest.mark.fault
ENDED = ("R14", "endings with the right cause", 1)


def failure(folder: Path, rank: int = 0) -> dict[str, str]:
    name = f"failure.rank{rank}.json" if rank else "failure.json"
    record = json.loads((folder / name).read_text())
    assert record["status"] == f"failed:{record['cause']}"
    return record


def test_out_of_memory_in_a_step_is_told_with_the_sizes_of_its_batch(world, tmp_path, promise):
    assert go(tmp_path, world, fault="loss:2:oom") == 1
    record = failure(tmp_path)
    assert record["cause"] == "oom"
    assert "the last training step was on 4 examples: input_ids 4x" in record["message"]
    promise(*ENDED)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_the_allocator_of_the_system_says_no(build, tmp_path, promise):
    """Address space is cut off in the middle of a real step; no fault is planned."""
    run = build()
    before = resource.getrlimit(resource.RLIMIT_AS)

    def greedy(batch, batch_idx):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, before[1]))
        try:
            return torch.empty(2**28).sum()
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    run.module.training_step = greedy
    with pytest.raises(RuntimeError) as ended:
        trainer(tmp_path).fit(run.module, run.data)
    assert cause_of(ended.value) == "oom"
    promise(*ENDED)


def test_a_killed_process_ends_the_others_at_once(world, tmp_path, promise):
    codes = go_together(tmp_path, world, faults=("", "step:3:kill"))
    assert codes == [1, -signal.SIGKILL]
    assert failure(tmp_path)["cause"] == "peer"
    promise(*ENDED)


def test_a_process_that_fails_names_the_cause_for_all(world, tmp_path, promise):
    assert go_together(tmp_path, world, faults=("", "loss:3:oom")) == [1, 1]
    assert [failure(tmp_path, rank)["cause"] for rank in (0, 1)] == ["oom", "oom"]
    assert failure(tmp_path)["message"].startswith("process 1:")
    promise(*ENDED)


def test_a_process_that_hangs_is_not_waited_for(world, tmp_path, promise):
    setting = "+trainer.peer_timeout=10"
    codes = go_together(tmp_path, world, setting, faults=("", "step:3:hang"), follow=True)
    assert codes[0] == 1
    assert failure(tmp_path)["cause"] == "peer"
    promise(*ENDED)
