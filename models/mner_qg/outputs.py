"""What MNER-QG answers: one row a type, with a score for every span of the sentence."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gmbench.core.tensors import MASKED, Outputs


@dataclass(frozen=True, eq=False)
class SpanOutputs(Outputs):
    """Query ``c`` asks for type ``c + 1`` alone and may answer with several spans.

    ``start_logits`` and ``end_logits`` are log-odds of each word on its own; ``type_logits`` hold
    the log-odds that the sentence names the type at all, against 0 for *no entity*.

    Attributes:
        match_logits: log-odds that words i to j, both inclusive, are one entity of the type;
            ``MASKED`` where j < i and in padding.
        exists_logits: log-odds that the sentence names an entity of the type (e_c).
    """

    match_logits: Float[Tensor, "B Q W W"] | None = None
    exists_logits: Float[Tensor, "B Q"] | None = None


def own_type_logits(exists: Tensor) -> Tensor:
    """Log-odds ``[B, C]`` of each query's own type -> ``[B, C, C + 1]``, the others masked."""
    types = exists.shape[1]
    own = torch.eye(types, dtype=torch.bool, device=exists.device)
    named = exists[..., None].expand(-1, -1, types).masked_fill(~own, MASKED)  # [B, C, C]
    return torch.cat([torch.zeros_like(named[..., :1]), named], dim=-1)


def spans_of(outputs: Outputs) -> Tensor:
    """``match_logits``, with the type that the base record cannot promise.

    Raises:
        ValueError: the model scores no spans.
    """
    if not isinstance(outputs, SpanOutputs) or outputs.match_logits is None:
        raise ValueError("MNER-QG's losses and decoder need SpanOutputs with match_logits")
    return outputs.match_logits


def existence_of(outputs: Outputs) -> Tensor:
    """``exists_logits``; see ``spans_of``.

    Raises:
        ValueError: the model does not say whether a type is named.
    """
    if not isinstance(outputs, SpanOutputs) or outputs.exists_logits is None:
        raise ValueError("MNER-QG's losses need SpanOutputs with exists_logits")
    return outputs.exists_logits
