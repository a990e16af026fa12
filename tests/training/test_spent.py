"""Time on the clock and of CPU: of children too, and across an interruption."""

import math
import subprocess
import sys
from pathlib import Path

from gmbench.core.spent import Spent
from gmbench.training.checkpoints import Checkpoints, DurableCheckpoints

BUSY = "import time\nwhile time.process_time() < 0.3: pass"


def test_cpu_of_this_process_and_of_children_that_have_ended_counts():
    began = Spent.now()
    sum(range(1_000_000))
    here = Spent.now() - began
    assert 0 < here.cpu < 2
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    with_child = Spent.now() - began
    assert with_child.cpu - here.cpu >= 0.29
    assert with_child.seconds > 0


def test_time_before_an_interruption_is_added():
    def callback() -> Checkpoints:
        return Checkpoints(Path("unused"), "dev/select", DurableCheckpoints())

    before = callback()
    before.spent = Spent(10.0, 30.0)
    state = before.state_dict()
    after = callback()
    after.load_state_dict(state)
    assert after.earlier == after.spent == Spent(10.0, 30.0)
    assert after.earlier + Spent(1.0, 2.0) == Spent(11.0, 32.0)
    del state["cpu_seconds"]  # written before CPU time was counted
    after.load_state_dict(state)
    assert after.earlier.seconds == 10.0
    assert math.isnan((after.earlier + Spent(1.0, 2.0)).cpu)
