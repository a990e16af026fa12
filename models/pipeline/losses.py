"""The two losses: tags of all words, regions of the entities."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gmbench.core.distributed import mean_over
from gmbench.core.tensors import MASKED, Outputs, Targets
from models.pipeline.outputs import tags_of
from models.pipeline.tags import gold_sequence, log_partition, sequence_score


@dataclass(frozen=True, kw_only=True)
class TagLoss:
    """``-log p`` of a sentence's gold tags, averaged over sentences.

    Attributes:
        weight: of the term.
        crf: the probability of the whole sequence among all; otherwise the product of the words'
            own.
    """

    weight: float = 1.0
    crf: bool = True

    def __call__(self, outputs: Outputs, targets: Targets, matching: object) -> Tensor:
        """A scalar.

        Raises:
            ValueError: the model tags no words.
        """
        tags, transitions, mask = tags_of(outputs)
        gold = gold_sequence(targets, tags.shape[1])  # [B, W]
        if self.crf:
            loss = log_partition(tags, transitions, mask)
            loss = loss - sequence_score(tags, transitions, mask, gold)  # [B]
        else:
            each = F.cross_entropy(tags.flatten(0, 1), gold.flatten(), reduction="none")
            loss = each.view_as(gold).masked_fill(~mask, 0.0).sum(dim=1)  # [B]
        return mean_over(loss, torch.ones_like(loss, dtype=torch.bool))


@dataclass(frozen=True, kw_only=True)
class GroundingLoss:
    """``-log`` of the probability of the slots that show an entity, averaged over answers.

    An answer is taught by the gold entities of its span: in training by its own, in evaluation by
    whichever it has found. Entities that no candidate covers teach nothing.

    Attributes:
        weight: of the term.
        grounding: what chooses the regions; a table has nothing to learn.
    """

    weight: float = 1.0
    grounding: Literal["learned", "zero_shot"] = "learned"

    def __call__(self, outputs: Outputs, targets: Targets, matching: object) -> Tensor:
        """A scalar.

        Raises:
            ValueError: the model scores no regions, or the data holds no candidates.
        """
        logits, regions = outputs.region_logits, targets.regions
        if logits is None or regions is None:
            raise ValueError("the grounding loss needs region_logits and candidate regions")
        if self.grounding == "zero_shot":
            return logits.new_zeros(())
        start, end = (
            t.argmax(dim=-1)[..., None] for t in (outputs.start_logits, outputs.end_logits)
        )
        same = (start == targets.starts[:, None]) & (end == targets.ends[:, None])  # [B, N, G]
        same &= targets.mask[:, None] & (outputs.type_logits.argmax(dim=-1) > 0)[..., None]
        shown = (same[..., None] & regions[:, None]).any(dim=2)  # [B, N, G, K1] -> [B, N, K1]
        inside = logits.masked_fill(~shown, MASKED).logsumexp(dim=-1)
        return mean_over(logits.logsumexp(dim=-1) - inside, shown.any(dim=-1))
