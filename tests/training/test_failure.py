"""Why a run failed, in one word."""

import errno

import pytest
import torch

from gmbench.core.distributed import NonFinite
from gmbench.objective.matcher import NonFiniteCost
from gmbench.training.nonfinite import cause_of


def test_memory_that_cannot_be_had_is_oom():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**55)
    assert cause_of(refused.value) == "oom"
    assert cause_of(MemoryError()) == "oom"
    assert cause_of(torch.OutOfMemoryError("CUDA out of memory")) == "oom"


def test_a_full_disk_is_found_behind_what_torch_makes_of_it():
    error = RuntimeError("unexpected pos 704 vs 598")
    error.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert cause_of(error) == "disk"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NonFinite("loss nan"), "nan"),
        (NonFiniteCost("box"), "nan"),
        (OSError(errno.EACCES, "no right"), "PermissionError"),
        (RuntimeError("something else"), "RuntimeError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_other_causes(error, cause):
    assert cause_of(error) == cause
