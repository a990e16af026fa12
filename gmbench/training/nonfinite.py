"""Stop before a loss or gradient that is not finite reaches a weight."""

import torch
from torch import Tensor, nn

from gmbench.core.distributed import over_all, processes
from gmbench.core.errors import NonFinite

SHOWN = 3
"""Parameters named in an error."""


def finite_gradient_norm(model: nn.Module, loss: Tensor) -> Tensor:
    """Return the norm of all gradients; synchronises once with the host.

    ``error_if_nonfinite`` of torch's clipping checks the norm only and does not say where.

    Args:
        model: any model, after the backward pass.
        loss: scalar, detached.

    Raises:
        NonFinite: the loss or a gradient of any process is NaN or infinite.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm: Tensor = nn.utils.get_total_norm(gradients)
    finite = torch.isfinite(norm) & torch.isfinite(loss)
    if processes() > 1:
        finite = over_all((~finite).float()) == 0
    if not bool(finite):
        names = nonfinite_gradients(model)
        where = f"; gradients of {', '.join(names[:SHOWN])}" if names else ""
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise NonFinite(f"loss {float(loss)}, gradient norm {float(norm)}{where}{more}")
    return norm


def nonfinite_gradients(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the parameters whose gradient holds NaN or infinity."""
    return tuple(
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all())
    )
