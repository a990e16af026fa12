"""Why a run failed, in one word."""

import errno

import pytest
import torch

from gmbench.core.errors import NonFinite
from gmbench.objective.matcher import NonFiniteCost
from gmbench.training.failures import cause_of, message_of

GLOO = "[/x/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 9ms for recv operation"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NonFinite("loss nan"), "nan"),
        (NonFiniteCost("box"), "nan"),
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (OSError(errno.EACCES, "no right"), "PermissionError"),
        (RuntimeError(GLOO), "peer"),
        (torch.distributed.DistStoreError("wait timeout"), "peer"),
        (RuntimeError("DataLoader timed out after 5 seconds"), "loader"),
        (ValueError("timed out"), "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_each_error_has_one_cause(error, cause):
    assert cause_of(error) == cause


def test_memory_that_cannot_be_had_is_oom():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**55)
    assert cause_of(refused.value) == "oom"


def test_a_full_disk_is_found_behind_what_torch_makes_of_it():
    error = RuntimeError("unexpected pos 704 vs 598")
    error.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert cause_of(error) == "disk"


def test_the_message_holds_the_notes():
    error = MemoryError("no")
    error.add_note("more")
    assert message_of(error) == "no\nmore"
