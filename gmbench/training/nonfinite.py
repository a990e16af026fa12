"""A number that is not finite never reaches a weight: training ends, or leaves the step out."""

import dataclasses
import logging
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gmbench.core.distributed import NonFinite, over_all, processes
from gmbench.core.tensors import Batch
from gmbench.training.durable_files import is_full

log = logging.getLogger("gmbench")


class Skips:
    """Steps left out because something in them was not finite.

    Attributes:
        most: so many may be.
        taken: so many have been.
    """

    def __init__(self, most: int = 0) -> None:
        """Keep the setting."""
        self.most = most
        self.taken = 0

    @property
    def left(self) -> int:
        """How many more may be."""
        return max(0, self.most - self.taken)

    def take(self, error: NonFinite, step: int, ids: Sequence[str]) -> None:
        """Leave one more step out, with a warning.

        Args:
            error: what is not finite.
            step: optimiser steps before it.
            ids: of its examples.

        Raises:
            NonFinite: as given, where it would be one too many.
        """
        if not self.left:
            raise error
        self.taken += 1
        log.warning(
            "step %d left out (%d of %d that may be): %s; examples %s",
            step,
            self.taken,
            self.most,
            error,
            ", ".join(ids),
        )


def gradient_norm(model: nn.Module, loss: Tensor) -> Tensor:
    """Norm over all gradients; one look from the host for it and every process's loss.

    ``error_if_nonfinite`` of torch's clipping looks at the norm alone and names nothing.

    Raises:
        NonFinite: the loss or a gradient is NaN or infinite.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm: Tensor = nn.utils.get_total_norm(gradients)
    finite = torch.isfinite(norm) & torch.isfinite(loss)
    if processes() > 1:
        finite = over_all((~finite).float()) == 0
    if not bool(finite):
        named = nonfinite_gradients(model)
        where = f"; gradients of {', '.join(named[:3])}" if named else ""
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        raise NonFinite(f"loss {float(loss)}, gradient norm {float(norm)}{where}{more}")
    return norm


def nonfinite_gradients(model: nn.Module) -> tuple[str, ...]:
    """Names of the parameters whose gradient holds NaN or infinity."""
    return tuple(
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all())
    )


# Out of memory: how the error is known, and what the last step was about.
def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ended; torch's allocator on a CPU raises a plain RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def shapes_of(batch: Batch) -> str:
    """``16 examples: input_ids 16x41, pixels 16x3x224x224``."""
    named = ((f.name, getattr(batch, f.name)) for f in dataclasses.fields(batch))
    sizes = [f"{n} {'x'.join(map(str, v.shape))}" for n, v in named if isinstance(v, Tensor)]
    return f"{len(batch)} examples: {', '.join(sizes)}"


# Why a run failed, in one word that a grid can count, and the exit code that says so.
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
