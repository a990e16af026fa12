"""Optimiser, schedule and staged freezing: which parameters learn, how fast, and when."""

from collections.abc import Iterator, Set
from dataclasses import dataclass

import torch
from torch import nn
from transformers import get_linear_schedule_with_warmup

from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import VisionEncoder


@dataclass(frozen=True, kw_only=True)
class OptimSettings:
    """How to optimise.

    Attributes:
        lr_encoder: peak learning rate of the pretrained encoders.
        lr_head: peak learning rate of everything else.
        weight_decay: of AdamW; none on biases and norms.
        warmup: share of all steps with linearly rising rate; linear decay to 0 follows.
        clip: largest gradient norm; None = any.
        freeze_epochs: epochs in which the pretrained encoders stay as they are (MQSPN: 5).
    """

    lr_encoder: float
    lr_head: float
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float | None = 1.0
    freeze_epochs: int = 0


def pretrained_modules(model: nn.Module) -> Iterator[nn.Module]:
    """The encoders inside a model: what *pretrained* means for learning rates and freezing."""
    for module in model.modules():
        if isinstance(module, TextEncoder | VisionEncoder):
            yield module


def build_optimizer(
    model: nn.Module, settings: OptimSettings, trainable: frozenset[str]
) -> torch.optim.AdamW:
    """AdamW over the named parameters: encoder and head groups, decay on matrices only.

    Args:
        model: what learns.
        settings: learning rates and decay.
        trainable: names of the parameters that ever learn (frozen towers are not in it).
    """
    encoder_ids = {id(p) for module in pretrained_modules(model) for p in module.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if name in trainable:
            key = (id(parameter) in encoder_ids, parameter.ndim >= 2)
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": settings.lr_encoder if encoder else settings.lr_head,
                "weight_decay": settings.weight_decay if matrix else 0.0,
                "name": f"{'encoder' if encoder else 'head'}{'' if matrix else '_no_decay'}",
            }
            for (encoder, matrix), parameters in sorted(groups.items())
        ],
        fused=True,
    )


def build_schedule(
    optimizer: torch.optim.Optimizer, settings: OptimSettings, steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up over ``warmup * steps`` steps, then linear decay to 0 at ``steps``."""
    schedule: torch.optim.lr_scheduler.LambdaLR = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
        optimizer,
        num_warmup_steps=round(settings.warmup * steps),
        num_training_steps=max(1, steps),
    )
    return schedule


# How many parameters each part of a model has, and how many of them learn.
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
