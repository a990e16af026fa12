"""Named loss terms over matched queries, and SetLoss, which matches and adds them up.

Every term is dense over ``[B, Q]``: a query without gold is masked, never indexed away, so the
number of operations does not depend on the data and a batch without any entity stays finite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gmbench.engine.gold_boxes import GoldBoxes
from gmbench.engine.gold_regions import expand_regions
from gmbench.engine.matcher import Matcher, Matching
from gmbench.engine.nonfinite import agreed
from gmbench.nn.means import each, mean_over, over_all
from gmbench.tensors import MASKED, Batch, Outputs, Targets

SpanLossKind = Literal["bce", "softmax_nll"]


class LossTerm(Protocol):
    """One named, weighted part of the training loss."""

    @property
    def weight(self) -> float:
        """Factor of the term in the total."""
        ...

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        """A scalar."""
        ...


@dataclass(frozen=True, kw_only=True)
class TypeLoss:
    """Cross-entropy over *no entity* and the types, for every query.

    Attributes:
        nil_weight: weight of *no entity*; ``auto`` = matched / unmatched queries of the batch
            (MQSPN's dynamic weight), clamped to ``nil_range`` so that neither an empty batch nor a
            full one can make it zero, negative or infinite.
    """

    weight: float = 1.0
    nil_weight: float | Literal["auto"] = "auto"
    nil_range: tuple[float, float] = (0.05, 5.0)

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        """A scalar: the weighted mean over all queries."""
        matched = matching.gold >= 0
        types = torch.where(matched, take(targets.types, matching), 0)  # [B, Q]
        loss = F.cross_entropy(outputs.type_logits.flatten(0, 1), types.flatten(), reduction="none")
        if self.nil_weight == "auto":
            ratio = over_all(matched.sum()) / over_all((~matched).sum()).clamp(min=1)
            nil = ratio.clamp(*self.nil_range)
        else:
            nil = torch.as_tensor(self.nil_weight, device=loss.device)
        weights = torch.where(matched, 1.0, nil.to(loss.dtype)).flatten()
        return (loss * weights).sum() / each(over_all(weights.sum()))


@dataclass(frozen=True, kw_only=True)
class SpanLoss:
    """Both ends of matched queries' spans.

    Attributes:
        kind: ``bce`` over all words against the one-hot end, summed over words (the released
            code); ``softmax_nll`` = -log of the softmax probability of the gold word. The paper's
            literal -log of a sigmoid has a degenerate optimum (all ones), so it is not offered.
    """

    weight: float = 1.0
    kind: SpanLossKind = "bce"

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        """A scalar: the mean over matched queries."""
        loss = self._end(outputs.start_logits, take(targets.starts, matching))
        loss = loss + self._end(outputs.end_logits, take(targets.ends, matching))
        return mean_over(loss, matching.gold >= 0)

    def _end(self, logits: Tensor, word: Tensor) -> Tensor:
        """Logits ``[B, Q, W]`` and gold words ``[B, Q]`` -> ``[B, Q]``."""
        word = word.clamp(max=logits.shape[-1] - 1)
        if self.kind == "softmax_nll":
            return -logits.log_softmax(dim=-1).gather(2, word[..., None]).squeeze(-1)
        truth = F.one_hot(word, logits.shape[-1]).to(logits.dtype)
        return masked_bce(logits, truth)


@dataclass(frozen=True, kw_only=True)
class RegionLoss:
    """Which candidate slots show the matched entity (multi-hot; slot 0 = not in the image).

    Groundable entities that no candidate covers have no truth among the slots: they are left out,
    so that a model is never taught *not in the image* by its detector's misses.

    Attributes:
        kind: ``bce`` over all real slots, summed; ``softmax_nll`` = -log of the probability mass
            on the slots that show the entity.
    """

    weight: float = 1.0
    kind: SpanLossKind = "bce"

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        """A scalar: the mean over matched queries with a covered or ungroundable entity.

        Raises:
            ValueError: the model predicted no regions, or the data holds no candidates.
        """
        if outputs.region_logits is None or targets.regions is None:
            raise ValueError("the region loss needs a proposal-based model and candidate regions")
        logits = outputs.region_logits
        rows = matching.gold.clamp(min=0)[..., None].expand(-1, -1, logits.shape[-1])
        shown = targets.regions.gather(1, rows)  # [B, Q, K1]
        if self.kind == "softmax_nll":
            inside = logits.masked_fill(~shown, MASKED).logsumexp(dim=-1)
            loss = logits.logsumexp(dim=-1) - inside
        else:
            loss = masked_bce(logits, shown.to(logits.dtype))
        return mean_over(loss, (matching.gold >= 0) & shown.any(dim=-1))


class SetLoss:
    """Matches queries with gold entities, then adds up the weighted terms; one value a layer."""

    def __init__(
        self,
        *,
        matcher: Matcher,
        terms: Mapping[str, LossTerm],
        aux_weight: float = 1.0,
        gold: GoldBoxes | None = None,
        region_target: Literal["multi_hot", "expand"] = "multi_hot",
    ) -> None:
        """Keep the parts.

        Args:
            matcher: says which query answers for which gold entity, for each layer on its own.
            terms: named loss terms.
            aux_weight: weight of each earlier layer (deep supervision); 0 leaves them out.
            gold: which gold boxes are taught; None = the batch's targets as they are.
            region_target: an entity's query is taught every candidate that shows it, or each such
                candidate is a gold row of its own (MQSPN's released code).
        """
        self.matcher = matcher
        self.terms = dict(terms)
        self.aux_weight = aux_weight
        self.gold = gold
        self.region_target = region_target

    def start_epoch(self, epoch: int) -> None:
        """Tell the parts that differ from epoch to epoch."""
        if self.gold is not None:
            self.gold.epoch = epoch

    def __call__(self, outputs: Outputs, batch: Batch) -> "LossValues":
        """The loss of a batch, in float32 outside autocast.

        Raises:
            ValueError: the batch carries no targets.
            NonFiniteCost: from the matcher.
        """
        if batch.targets is None:
            raise ValueError("a loss needs a batch with targets")
        targets = batch.targets if self.gold is None else self.gold(batch)
        if self.region_target == "expand":
            targets = expand_regions(targets)
        with torch.autocast(outputs.type_logits.device.type, enabled=False):
            full = outputs.map(lambda t: t.float() if t.dtype in HALF else t)
            layers = (replace(full, aux=()), *(full.aux if self.aux_weight else ()))
            matchings = agreed(lambda: self.matcher(layers, targets, batch.ids), full.type_logits)
            parts: dict[str, Tensor] = {}
            total = full.type_logits.new_zeros(())
            for depth, (layer, matching) in enumerate(zip(layers, matchings, strict=True)):
                for name, term in self.terms.items():
                    value = term.weight * term(layer, targets, matching)
                    total = total + (value if depth == 0 else self.aux_weight * value)
                    if depth == 0:
                        parts[name] = value.detach()
        return LossValues(total=total, parts=parts, matching=matchings[0])


@dataclass(frozen=True, eq=False)
class LossValues:
    """A loss and where it comes from.

    Attributes:
        total: the scalar to minimise, every layer included.
        parts: weighted terms of the last layer, detached.
        matching: of the last layer.
    """

    total: Tensor
    parts: Mapping[str, Tensor]
    matching: Matching


HALF = (torch.float16, torch.bfloat16)


def take(values: Tensor, matching: Matching) -> Tensor:
    """Gold values ``[B, G]`` of each query's gold entity -> ``[B, Q]`` (row 0 where none)."""
    return values.gather(1, matching.gold.clamp(min=0))


def masked_bce(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy summed over the last axis; padded slots (``MASKED``) add nothing."""
    loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return loss.masked_fill(logits <= MASKED / 2, 0.0).sum(dim=-1)
