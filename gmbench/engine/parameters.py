"""How many parameters each part of a model has, and how many of them learn."""

from collections.abc import Set
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class PartSize:
    """One child module of a model (or ``own``: parameters it holds itself)."""

    name: str
    total: int
    trainable: int


def parameters_by_part(model: nn.Module, learns: Set[str]) -> tuple[PartSize, ...]:
    """Counts by child module, in order; a shared parameter counts in the first part only.

    Args:
        model: any model.
        learns: names of the parameters that ever learn.
    """
    sizes: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        part = name.split(".")[0] if "." in name else "own"
        size = sizes.setdefault(part, [0, 0])
        size[0] += parameter.numel()
        size[1] += parameter.numel() if name in learns else 0
    return tuple(PartSize(name, total, trainable) for name, (total, trainable) in sizes.items())


def without_gradient(model: nn.Module, prefix: str = "") -> tuple[str, ...]:
    """What a backward pass left without a gradient, of all that may learn.

    A module that got none at all is named once, in place of its parameters.

    Args:
        model: any model, after the backward pass.
        prefix: of its parameters' names.
    """
    learning = [p for p in model.parameters() if p.requires_grad]
    if prefix and learning and all(p.grad is None for p in learning):
        return (prefix.removesuffix("."),)
    own = [
        prefix + name
        for name, parameter in model.named_parameters(recurse=False)
        if parameter.requires_grad and parameter.grad is None
    ]
    nested = (
        name
        for part, module in model.named_children()
        for name in without_gradient(module, f"{prefix}{part}.")
    )
    return (*own, *nested)
