"""A number that is not finite ends training before it reaches a weight."""

import torch
from torch import Tensor, nn


class NonFinite(ArithmeticError):
    """A loss, gradient norm, cost or score is NaN or infinite; weights are as before the step."""


def gradient_norm(model: nn.Module, loss: Tensor) -> Tensor:
    """Norm over all gradients; one look from the host for it and the loss.

    ``error_if_nonfinite`` of torch's clipping looks at the norm alone and names nothing.

    Raises:
        NonFinite: the loss or a gradient is NaN or infinite.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm: Tensor = nn.utils.get_total_norm(gradients)
    if not bool(torch.isfinite(norm) & torch.isfinite(loss)):
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
