"""What the pipeline answers: one row an entity, and beside them the tags behind the rows."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from gmbench.core.tensors import MASKED, Outputs
from models.pipeline.tags import Spans

LEAST = 1e-6
"""Log-odds are those of a probability that lies this far from 0 and 1 at least."""


@dataclass(frozen=True, eq=False)
class TagOutputs(Outputs):
    """Query n answers with the n-th entity of the sentence, or with none.

    ``type_logits`` name that entity's type alone. ``start_logits`` are log-odds of its one first
    word, ``end_logits`` of its last word given the first; all other words are ``MASKED``.

    Attributes:
        tag_logits: score of each tag of each word.
        transitions: score of each tag behind another; see ``tags.py``.
        word_mask: True for a word.
    """

    tag_logits: Float[Tensor, "B W L"] | None = None
    transitions: Float[Tensor, "B S L"] | None = None
    word_mask: Bool[Tensor, "B W"] | None = None


def tags_of(outputs: Outputs) -> tuple[Tensor, Tensor, Tensor]:
    """The fields of tags, with the type that the base record cannot promise.

    Raises:
        ValueError: the model tags no words.
    """
    if not isinstance(outputs, TagOutputs):
        raise ValueError("the tag loss needs TagOutputs")
    assert outputs.tag_logits is not None
    assert outputs.transitions is not None
    assert outputs.word_mask is not None
    return outputs.tag_logits, outputs.transitions, outputs.word_mask


def type_logits(spans: Spans, types: int) -> Tensor:
    """``[B, N, C + 1]``: 0 for each entity's type (class 0 in padding), ``MASKED`` elsewhere."""
    chosen = F.one_hot(spans.types, types + 1).bool()
    return torch.zeros(chosen.shape, device=chosen.device).masked_fill(~chosen, MASKED)


@torch.no_grad()
def end_logits(spans: Spans, tag_logits: Tensor, word_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Log-odds of the first words and, given those, of the last words, ``[B, N, W]`` twice.

    The first: P(B of the type). The last: the product of P(I of the type) from the second word on,
    and of 1 - P(I of the type) behind the last.
    """
    words = tag_logits.shape[1]
    share = tag_logits.softmax(dim=-1).masked_fill(~word_mask[..., None], 0.0)  # [B, W, L]

    def of_type(tag: Tensor) -> Tensor:
        return share.gather(2, tag[:, None].expand(-1, words, -1)).mT  # [B, W, N] -> [B, N, W]

    begin = of_type((2 * spans.types - 1).clamp(min=0))
    inside = F.pad(of_type(2 * spans.types), (0, 1))  # [B, N, W + 1]
    place = torch.arange(words + 1, device=share.device)
    start, end = spans.starts[..., None], spans.ends[..., None]  # [B, N, 1]
    goes_on = torch.where((start < place) & (place <= end), inside, 1.0).prod(dim=-1)  # [B, N]
    stops = 1 - inside.gather(2, end + 1)[..., 0]
    first = begin.gather(2, start)[..., 0]

    def at(word: Tensor, probability: Tensor) -> Tensor:
        odds = probability.clamp(LEAST, 1 - LEAST).logit()[..., None].expand(-1, -1, words)
        return odds.masked_fill((place[:-1] != word) | ~spans.mask[..., None], MASKED)

    return at(start, first), at(end, goes_on * stops)
