"""Optimiser, schedule and staged freezing: which parameters learn, how fast, and when."""

from collections.abc import Iterator
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
