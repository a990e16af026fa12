"""Several layers' outputs as those of one larger batch: fewer and larger operations."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gmbench.tensors import Outputs, Targets


def stack_layers(layers: Sequence[Outputs]) -> Outputs:
    """Outputs of L layers, ``[B, ...]`` each, as ``[L * B, ...]``, one layer after another.

    Attention, earlier layers and what a layer lacks are left out.
    """

    def joined(name: str) -> Any:
        values = [getattr(layer, name) for layer in layers]
        if not all(isinstance(value, Tensor) for value in values):
            return None
        return torch.cat(values) if len(values) > 1 else values[0]

    names = [f.name for f in dataclasses.fields(layers[0]) if f.name not in ("aux", "attention")]
    return dataclasses.replace(
        layers[0], aux=(), attention=None, **{name: joined(name) for name in names}
    )


def repeat_targets(targets: Targets, times: int) -> Targets:
    """The gold of a batch for each of several layers: ``[B, ...]`` -> ``[times * B, ...]``."""
    if times == 1:
        return targets
    return targets.map(lambda values: values.repeat(times, *[1] * (values.ndim - 1)))
