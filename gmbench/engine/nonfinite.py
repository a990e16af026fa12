"""A number that is not finite never reaches a weight: training ends, or leaves the step out."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from gmbench.nn.means import over_all, processes

log = logging.getLogger("gmbench")
T = TypeVar("T")


class NonFinite(ArithmeticError):
    """A loss, gradient norm, cost or score is NaN or infinite; weights are as before the step."""


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


def agreed(work: Callable[[], T], like: Tensor) -> T:
    """``work()``; where it is not finite in one process, it fails in all of them.

    Otherwise the others would wait for that one in the next sum over all.

    Args:
        work: may raise ``NonFinite``; must not wait for other processes itself.
        like: any tensor of the device in use.

    Raises:
        NonFinite: here or in another process.
    """
    if processes() == 1:
        return work()
    found, error = None, None
    try:
        found = work()
    except NonFinite as fault:
        error = fault
    failed = float(over_all(like.new_full((), float(error is not None), dtype=torch.float32)))
    if error is not None:
        raise error
    if failed:
        raise NonFinite("something in another process's share of the batch is not finite")
    assert found is not None
    return found


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
