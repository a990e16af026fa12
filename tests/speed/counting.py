"""Exact companions of a timing: the same on every machine."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

RESHAPES = (torch.ops.aten._unsafe_view.default,)


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts aten operations that compute or write something.

    Views do not count, nor does ``_unsafe_view``, which only reshapes a fresh result.

    Attributes:
        count: operations so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        """Count, and go on."""
        returns = func._schema.returns
        view = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
        self.count += func.namespace == "aten" and not view and func not in RESHAPES
        return func(*args, **(kwargs or {}))


def operations(task: Callable[[], object]) -> tuple[float, int]:
    """GFLOP and non-view aten operations of one call (forward, backward, optimiser alike)."""
    # The counter inside: FlopCounterMode hands on operations taken apart.
    with FlopCounterMode(display=False) as flop, OperationCounter() as counter:
        task()
    return flop.get_total_flops() / 1e9, counter.count


def autograd_nodes(loss: Tensor) -> int:
    """Nodes of the graph behind a loss, the accumulators of parameters included."""
    seen: set[Any] = set()
    waiting: list[Any] = [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting.extend(following for following, _ in node.next_functions)
    return len(seen)


def parameters(model: torch.nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
