"""Why a run failed, in one word that a grid can count, and the exit code that says so."""

import errno

import torch

from gmbench.engine.nonfinite import NonFinite

EXIT_NONFINITE = 3


def cause_of(error: BaseException) -> str:
    """``nan``, ``oom``, ``disk``, or the name of the exception.

    Args:
        error: that ended the run; torch's allocator on a CPU raises a plain RuntimeError, and so
            does torch where a disk is full: what it was raised from counts too.
    """
    if isinstance(error, NonFinite):
        return "nan"
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError | torch.OutOfMemoryError):
            return "oom"
        if isinstance(seen, RuntimeError) and "can't allocate memory" in str(seen):
            return "oom"
        if isinstance(seen, OSError) and seen.errno == errno.ENOSPC:
            return "disk"
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__
