"""The training step under way: what it started from, and how far it came."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gmbench.engine.dump import Dump, StepRecord, hexes, learnt
from gmbench.engine.losses import LossValues
from gmbench.engine.nonfinite import NonFinite, nonfinite_gradients
from gmbench.engine.rng import RandomState
from gmbench.tensors import Batch


@dataclass
class Step:
    """A training step.

    Attributes:
        batch: of it.
        random: generators before its forward pass.
        values: its loss, once there is one.
        error: of the matcher, in a step that is left out.
    """

    batch: Batch
    random: RandomState
    values: LossValues | None = None
    error: NonFinite | None = None

    @property
    def total(self) -> Tensor:
        """The loss, detached; NaN where there is none."""
        nothing = torch.tensor(float("nan"), device=self.batch.input_ids.device)
        return nothing if self.values is None else self.values.total

    def dump(
        self,
        model: nn.Module,
        learns: frozenset[str],
        *,
        message: str,
        step: int,
        epoch: int,
        precision: str,
    ) -> Dump:
        """All that it takes to make the step again.

        Args:
            model: with the gradients of the step, if it came so far.
            learns: names of parameters that ever learn.
            message: why.
            step: optimiser steps before it.
            epoch: from 0.
            precision: Lightning's.
        """
        values = self.values
        record = StepRecord(
            step=step,
            epoch=epoch,
            ids=self.batch.ids,
            loss=None if values is None else float(values.total).hex(),
            parts={} if values is None else hexes(values.parts),
            gradients=nonfinite_gradients(model),
            precision=precision,
            message=message,
        )
        return Dump(record, self.random, learnt(model, learns))


def no_loss(model: nn.Module) -> Tensor:
    """A loss that every parameter takes part in, as DDP wants, and no step can come of."""
    sums = [parameter.sum() for parameter in model.parameters() if parameter.requires_grad]
    return torch.stack(sums).sum() * float("nan")
