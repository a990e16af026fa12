"""Memory that ends, and processes that die or hang, end a run with the right cause (R14)."""

import json
import resource
import signal
from pathlib import Path

import pytest
import torch

from gmbench.training.nonfinite import cause_of, message_of
from tests.faults.conftest import trainer
from tests.faults.runs import go
from tests.faults.test_ddp import started

pytestmark = pytest.mark.fault


def test_out_of_memory_in_a_step_is_told_with_the_sizes_of_its_batch(world, tmp_path, promise):
    assert go(tmp_path, world, fault="loss:2:oom") == 1
    said = json.loads((tmp_path / "failure.json").read_text())
    assert (said["status"], said["cause"]) == ("failed:oom", "oom")
    assert "the last training step was on 4 examples: input_ids 4x" in said["message"]
    promise("R14", "endings with the right cause", 1)


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
    promise("R14", "endings with the right cause", 1)


def test_a_killed_process_ends_the_others_at_once(world, tmp_path, promise):
    codes = started(tmp_path, world, processes=2, faults=("", "step:3:kill"))
    assert codes == [1, -signal.SIGKILL]
    said = json.loads((tmp_path / "failure.json").read_text())
    assert (said["status"], said["cause"]) == ("failed:peer", "peer")
    promise("R14", "endings with the right cause", 1)


def test_a_process_that_fails_names_the_cause_for_all(world, tmp_path, promise):
    codes = started(tmp_path, world, processes=2, faults=("", "loss:3:oom"))
    assert codes == [1, 1]
    for name in ("failure.json", "failure.rank1.json"):
        assert json.loads((tmp_path / name).read_text())["cause"] == "oom"
    assert json.loads((tmp_path / "failure.json").read_text())["message"].startswith("process 1:")
    promise("R14", "endings with the right cause", 1)


def test_a_process_that_hangs_is_not_waited_for(world, tmp_path, promise):
    codes = started(
        tmp_path,
        world,
        "+trainer.peer_timeout=10",
        processes=2,
        faults=("", "step:3:hang"),
        follow=True,
    )
    assert codes[0] == 1
    said = json.loads((tmp_path / "failure.json").read_text())
    assert said["cause"] == "peer"
    promise("R14", "endings with the right cause", 1)


def test_other_errors_are_not_taken_for_memory():
    assert cause_of(RuntimeError("shape mismatch")) == "RuntimeError"
    assert cause_of(ValueError("timed out")) == "ValueError"
    assert cause_of(RuntimeError("DataLoader timed out after 5 seconds")) == "RuntimeError"
    gloo = "[/x/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 9ms for recv operation"
    assert cause_of(RuntimeError(gloo)) == "peer"
    assert cause_of(torch.distributed.DistStoreError("wait timeout")) == "peer"
    error = MemoryError("no")
    error.add_note("more")
    assert (cause_of(error), message_of(error)) == ("oom", "no\nmore")
