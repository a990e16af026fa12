"""The cross-entropy of every token of the gold sequence, given the tokens before it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gmbench.core.distributed import mean_over
from gmbench.core.tensors import MASKED, Outputs, Targets
from models.hindex.outputs import SequenceOutputs


@dataclass(frozen=True, kw_only=True)
class SequenceLoss:
    """Token by token, each the mean over the entities of the batch.

    Attributes:
        weight: of the whole term.
        type: factor of the type, or of the end behind the last entity.
        span: factor of first and last word.
        region: factor of the slot: ``-log`` of the probability on all slots that show the entity;
            one that no candidate covers teaches nothing here.
    """

    weight: float = 1.0
    type: float = 1.0
    span: float = 1.0
    region: float = 1.0

    def __call__(self, outputs: Outputs, targets: Targets, matching: object) -> Tensor:
        """A scalar.

        Raises:
            ValueError: the outputs are no sequence, or were made without gold.
        """
        if not isinstance(outputs, SequenceOutputs) or outputs.gold is None:
            raise ValueError("the sequence loss needs SequenceOutputs of a batch with gold")
        if outputs.region_logits is None or targets.regions is None:
            raise ValueError("the sequence loss needs candidate regions")
        real = outputs.gold >= 0  # [B, Q]
        types, first, last = (
            rows_of(field, outputs.gold) for field in (targets.types, targets.starts, targets.ends)
        )
        shown = rows_of(targets.regions, outputs.gold)  # [B, Q, K + 1]
        end = torch.arange(real.shape[1], device=real.device) == real.sum(dim=1, keepdim=True)
        inside = outputs.region_logits.masked_fill(~shown, MASKED).logsumexp(dim=-1)
        region = outputs.region_logits.logsumexp(dim=-1) - inside  # [B, Q]
        return (
            self.type * mean_over(nll(outputs.type_logits, types * real), real | end)
            + self.span * mean_over(nll(outputs.start_logits, first), real)
            + self.span * mean_over(nll(outputs.end_logits, last), real)
            + self.region * mean_over(region, real & shown.any(dim=-1))
        )


def nll(logits: Tensor, index: Tensor) -> Tensor:
    """``-log softmax`` of logits ``[B, Q, V]`` at ``[B, Q]`` -> ``[B, Q]``."""
    index = index.clamp(max=logits.shape[-1] - 1)  # padding may point past the last
    return F.cross_entropy(logits.transpose(1, 2), index, reduction="none")


def rows_of(values: Tensor, gold: Tensor) -> Tensor:
    """Values ``[B, G, ...]`` of the gold entity of each row ``[B, Q]`` -> ``[B, Q, ...]``."""
    index = gold.clamp(min=0).view(*gold.shape, *[1] * (values.ndim - 2))
    return values.gather(1, index.expand(-1, -1, *values.shape[2:]))
