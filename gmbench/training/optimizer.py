"""Optimiser, schedule and freezing: which parameters learn, when and how fast."""

from collections.abc import Iterator, Set
from dataclasses import dataclass

import torch
from torch import nn
from transformers import get_linear_schedule_with_warmup

from gmbench.config.schema import Optim
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import VisionEncoder


def pretrained_modules(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the encoders inside a model, which learn at their own rate or are frozen."""
    for module in model.modules():
        if isinstance(module, TextEncoder | VisionEncoder):
            yield module


def freeze_encoders(model: nn.Module, learns: Set[str], frozen: bool) -> None:
    """Put a model into training mode with its encoders frozen or not.

    An encoder that does not learn runs without dropout, as it does where its features are cached.

    Args:
        model: any model.
        learns: names of the parameters that ever learn.
        frozen: whether the encoders are frozen for now.
    """
    model.train()
    for module in pretrained_modules(model):
        module.requires_grad_(not frozen)
    for name, parameter in model.named_parameters():
        if name not in learns:
            parameter.requires_grad_(False)
    for module in pretrained_modules(model):
        module.train(any(p.requires_grad for p in module.parameters()))


def build_optimizer(model: nn.Module, settings: Optim, learns: Set[str]) -> torch.optim.AdamW:
    """Build AdamW with a learning rate for encoders and one for the rest; decay on matrices only.

    Args:
        model: any model.
        settings: learning rates and decay.
        learns: names of the parameters that ever learn.
    """
    encoder_ids = {id(p) for module in pretrained_modules(model) for p in module.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if name in learns:
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
    optimizer: torch.optim.Optimizer, settings: Optim, steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Warm up linearly over ``warmup * steps`` steps, then decay linearly to 0 at ``steps``."""
    schedule: torch.optim.lr_scheduler.LambdaLR = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
        optimizer,
        num_warmup_steps=round(settings.warmup * steps),
        num_training_steps=max(1, steps),
    )
    return schedule


@dataclass(frozen=True)
class PartSize:
    """Parameter counts of a child module of a model (``own``: the model's own parameters)."""

    name: str
    total: int
    trainable: int


def parameters_by_part(model: nn.Module, learns: Set[str]) -> tuple[PartSize, ...]:
    """Count parameters by child module; a shared one counts in the first module only."""
    sizes: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        part = name.split(".")[0] if "." in name else "own"
        size = sizes.setdefault(part, [0, 0])
        size[0] += parameter.numel()
        size[1] += parameter.numel() if name in learns else 0
    return tuple(PartSize(name, total, trainable) for name, (total, trainable) in sizes.items())


def without_gradient(model: nn.Module, prefix: str = "") -> tuple[str, ...]:
    """Name the parameters that require a gradient and have none after a backward pass.

    A module without any gradient is named in place of its parameters.
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
