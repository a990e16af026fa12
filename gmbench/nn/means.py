"""Means over a whole batch, whichever process holds which part of it; for losses."""

import torch.distributed as dist
from torch import Tensor


def processes() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def over_all(value: Tensor) -> Tensor:
    """The sum of a count over all processes; itself where there is one."""
    if processes() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def each(count: Tensor) -> Tensor:
    """What a process divides its sum by where ``count`` is over all of them.

    Gradients are then averaged over processes: the mean of ``sum / (count / n)`` over n of them is
    the sum of all divided by ``count``, as if there were one.
    """
    return count if processes() == 1 else count / processes()


def mean_over(loss: Tensor, where: Tensor) -> Tensor:
    """Mean of ``loss`` over ``where``, of the same shape; 0 (with a graph) if it is nowhere."""
    return loss.masked_fill(~where, 0.0).sum() / each(over_all(where.sum()).clamp(min=1))
