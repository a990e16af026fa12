"""Why a run failed, in one word that a grid can count, and the exit code that says so."""

import torch.distributed as dist

from gmbench.engine.disk import is_full
from gmbench.engine.memory import is_out_of_memory
from gmbench.engine.nonfinite import NonFinite

EXIT_NONFINITE = 3

PEER = "peer"
"""The cause where it was another process that ended, or did not answer in time."""


def cause_of(error: BaseException) -> str:
    """``nan``, ``oom``, ``disk``, ``peer``, or the name of the exception.

    Args:
        error: that ended the run; torch raises a plain RuntimeError where a disk is full: what it
            was raised from counts too.
    """
    if isinstance(error, NonFinite):
        return "nan"
    seen: BaseException | None = error
    while seen is not None:
        if is_out_of_memory(seen):
            return "oom"
        if is_full(seen):
            return "disk"
        if _of_another(seen):
            return PEER
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


def _of_another(error: BaseException) -> bool:
    """Whether processes could not talk: gloo raises plain RuntimeErrors that name its files."""
    known: tuple[type[BaseException], ...] = (getattr(dist, "DistError", ConnectionError),)
    text = str(error)
    gloo = "/gloo/" in text or "by peer" in text
    return isinstance(error, known) or (isinstance(error, RuntimeError) and gloo)


def message_of(error: BaseException) -> str:
    """What an error says, with the notes that were added to it on its way."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])
