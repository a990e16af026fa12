"""Tags of words: which sequences BIO allows, how likely one is, the best one and its entities.

With C types there are ``L = 2 C + 1`` tags: O is 0, B of type t is ``2 t - 1``, I is ``2 t``.
Transitions are ``[L + 1, L]``: row 0 stands before the first word, row ``i + 1`` behind tag i.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gmbench.core.tensors import MASKED, Targets


@dataclass(frozen=True, eq=False)
class Spans:
    """Entities of a batch in reading order, padded to N.

    Attributes:
        mask: ``[B, N]``, False in padding, whose other fields are 0.
        types: ``[B, N]`` classes, from 1.
        starts: ``[B, N]`` first words.
        ends: ``[B, N]`` last words, inclusive.
    """

    mask: Tensor
    types: Tensor
    starts: Tensor
    ends: Tensor


def well_formed(types: int) -> Tensor:
    """Whether a tag may follow, ``[L + 1, L]``: I of a type only behind B or I of that type."""
    inside = torch.arange(2, 2 * types + 1, 2)
    legal = torch.ones(2 * types + 2, 2 * types + 1, dtype=torch.bool)
    legal[:, inside] = False
    legal[inside, inside] = True  # behind B
    legal[inside + 1, inside] = True  # behind I
    return legal


class Transitions(nn.Module):
    """Scores of one tag behind another; ill-formed ones are ``MASKED``.

    Args:
        types: C.
        learned: false = all well-formed ones are equal.
    """

    legal: Tensor

    def __init__(self, *, types: int, learned: bool) -> None:
        super().__init__()
        self.register_buffer("legal", well_formed(types), persistent=False)
        self.scores = nn.Parameter(torch.zeros(self.legal.shape)) if learned else None

    def forward(self, like: Tensor) -> Tensor:
        """``[L + 1, L]``, of the dtype of ``like``."""
        scores = like.new_zeros(self.legal.shape) if self.scores is None else self.scores
        return scores.masked_fill(~self.legal, MASKED)


def log_partition(tags: Tensor, transitions: Tensor, mask: Tensor) -> Tensor:
    """Log of the sum of ``exp(score)`` over all sequences of each sentence, ``[B]``.

    Args:
        tags: ``[B, W, L]`` score of each tag of each word.
        transitions: ``[B, L + 1, L]``.
        mask: ``[B, W]``, True for a word; the words come first.
    """
    reached = transitions[:, 0] + tags[:, 0]  # [B, L]
    for word in range(1, tags.shape[1]):
        # [B, L, 1] + [B, L, L] -> [B, L]
        step = (reached[:, :, None] + transitions[:, 1:]).logsumexp(dim=1) + tags[:, word]
        reached = torch.where(mask[:, word, None], step, reached)
    return reached.logsumexp(dim=1)


def sequence_score(tags: Tensor, transitions: Tensor, mask: Tensor, sequence: Tensor) -> Tensor:
    """Score of one sequence ``[B, W]`` of each sentence, ``[B]``; see ``log_partition``."""
    own = tags.gather(2, sequence[..., None])[..., 0]  # [B, W]
    before = torch.cat([torch.zeros_like(sequence[:, :1]), sequence[:, :-1] + 1], dim=1)  # [B, W]
    rows = torch.arange(len(tags), device=tags.device)[:, None]
    moves = transitions[rows, before, sequence]  # [B, W]
    return (own + moves).masked_fill(~mask, 0.0).sum(dim=1)


@torch.no_grad()
def best_sequence(tags: Tensor, transitions: Tensor, mask: Tensor) -> Tensor:
    """The sequence of the highest score, ``[B, W]``, O in padding (Viterbi)."""
    reached, back = transitions[:, 0] + tags[:, 0], []
    for word in range(1, tags.shape[1]):
        best, origin = (reached[:, :, None] + transitions[:, 1:]).max(dim=1)  # [B, L] each
        reached = torch.where(mask[:, word, None], best + tags[:, word], reached)
        back.append(origin)
    last = reached.argmax(dim=1, keepdim=True)  # [B, 1]
    found = [last]
    for word in range(tags.shape[1] - 1, 0, -1):
        last = torch.where(mask[:, word, None], back[word - 1].gather(1, last), last)
        found.append(last)
    return torch.cat(found[::-1], dim=1).masked_fill(~mask, 0)  # [B, W]


def gold_sequence(targets: Targets, words: int) -> Tensor:
    """Gold tags ``[B, W]``."""
    place = torch.arange(words, device=targets.starts.device)
    within = (targets.starts[..., None] <= place) & (place <= targets.ends[..., None])
    within &= targets.mask[..., None]  # [B, G, W]
    first = place == targets.starts[..., None]
    tags: Tensor = (2 * targets.types[..., None] - first.long()) * within  # [B, G, W]
    return tags.amax(dim=1)


def spans_of(sequence: Tensor, count: int) -> Spans:
    """The first ``count`` entities of well-formed sequences ``[B, W]``, whose padding is O."""
    words = sequence.shape[1]
    begins = sequence % 2 == 1
    goes_on = nn.functional.pad(sequence[:, 1:], (0, 1))  # [B, W]: the next word's tag
    closes = (sequence > 0) & ~((goes_on > 0) & (goes_on % 2 == 0))
    place = torch.arange(words, device=sequence.device)
    # The n-th first word belongs to the n-th last word.
    starts, ends = (
        nn.functional.pad(
            torch.where(ends_here, place, words).sort(dim=1).values, (0, count), value=words
        )[:, :count]
        for ends_here in (begins, closes)
    )
    mask = starts < words
    starts, ends = starts * mask, ends * mask
    return Spans(mask, (sequence.gather(1, starts) + 1) // 2 * mask, starts, ends)


def gold_spans(targets: Targets, count: int) -> Spans:
    """The first ``count`` gold entities."""
    late = torch.iinfo(targets.starts.dtype).max
    order = torch.where(targets.mask, targets.starts, late).argsort(dim=1, stable=True)

    def row(values: Tensor) -> Tensor:
        kept = (values * targets.mask).gather(1, order)[:, :count]  # [B, G] -> [B, at most N]
        return nn.functional.pad(kept, (0, count - kept.shape[1]))

    mask = row(targets.mask).bool()
    return Spans(mask, row(targets.types), row(targets.starts), row(targets.ends))
