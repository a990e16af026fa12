"""Terms of the training loss over matched queries, and SetLoss, which matches and adds them up.

With ``g`` the gold entity that ``matcher.py`` assigned to query ``q``, MQSPN's loss and QGN's
eq. 5 are sums of::

    - log p_q^c(type_g), or - log p_q^c(no entity)              TypeLoss, every query
    - log p_q^s(start_g) - log p_q^e(end_g)                     SpanLoss, matched queries
    - log p_q^r(slots that show g)                              RegionLoss (proposal-based)
    l1 |b_q - b_g|_1 + giou (1 - GIoU(b_q, b_g))                BoxLoss (proposal-free)
    BCE(p_q(not in the image), g has no box)                    NoTargetLoss (proposal-free)
    the same over all queries of one span                       ConsistencyLoss (QGN)
    - log of the weight on patches inside b_g                   PointLoss (ours)

Every term is dense over ``[B, Q]``: a query without gold is masked, never indexed away, so the
number of operations does not depend on the data and a batch without any entity stays finite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gmbench.core.boxes import patches_inside
from gmbench.core.distributed import agreed, each, mean_over, over_all
from gmbench.core.tensors import MASKED, Batch, Outputs, Targets
from gmbench.objective.costs import box_distance, boxes_of, nearest, regions_of
from gmbench.objective.matcher import Matcher, Matching
from gmbench.objective.targets import GoldBoxes, expand_regions, gather_rows

HALF = (torch.float16, torch.bfloat16)

MIN_WEIGHT = 1e-8
"""Lower bound of the weight inside a box: keeps the logarithm finite where softmax gave 0."""

ScoreLoss = Literal["bce", "softmax_nll"]


class LossTerm(Protocol):
    """One named, weighted part of the training loss."""

    @property
    def weight(self) -> float:
        """Factor of the term in the total."""
        ...

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        """A scalar.

        Raises:
            ValueError: the model does not predict what the term reads.
        """
        ...


@dataclass(frozen=True, eq=False)
class LossValues:
    """A loss, its parts and the matching behind it.

    Attributes:
        total: the scalar to minimise, every layer included.
        parts: weighted terms of the last layer, detached.
        matching: of the last layer.
    """

    total: Tensor
    parts: Mapping[str, Tensor]
    matching: Matching


class SetLoss:
    """Matches queries with gold entities, layer by layer, then adds up the weighted terms.

    Args:
        matcher: assigns gold entities to queries, for each layer on its own.
        terms: named loss terms.
        aux_weight: weight of each earlier layer (deep supervision); 0 leaves them out.
        gold: selects the gold boxes to train on; None = all of them.
        region_target: train an entity's query on every candidate that shows it, or make each such
            candidate a gold row of its own (MQSPN's released code).
    """

    def __init__(
        self,
        *,
        matcher: Matcher,
        terms: Mapping[str, LossTerm],
        aux_weight: float = 1.0,
        gold: GoldBoxes | None = None,
        region_target: Literal["multi_hot", "expand"] = "multi_hot",
    ) -> None:
        self.matcher = matcher
        self.terms = dict(terms)
        self.aux_weight = aux_weight
        self.gold = gold
        self.region_target = region_target

    def start_epoch(self, epoch: int) -> None:
        """Set the epoch of parts that differ from epoch to epoch."""
        if self.gold is not None:
            self.gold.epoch = epoch

    def __call__(self, outputs: Outputs, batch: Batch) -> LossValues:
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
            layers = (replace(full, aux=()), *(full.aux if self.aux_weight else ()))  # last first
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


@dataclass(frozen=True, kw_only=True)
class TypeLoss:
    """Cross-entropy over *no entity* and the types: the weighted mean over all queries.

    Attributes:
        nil_weight: weight of *no entity*; ``auto`` = matched / unmatched queries of the batch
            (MQSPN's dynamic weight), clamped to ``nil_range`` so that neither an empty batch nor a
            full one can make it zero, negative or infinite.
    """

    weight: float = 1.0
    nil_weight: float | Literal["auto"] = "auto"
    nil_range: tuple[float, float] = (0.05, 5.0)

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        matched = matching.gold >= 0
        types = torch.where(matched, take(targets.types, matching), 0)  # [B, Q]
        # [B, Q, C + 1] -> [B * Q, C + 1] -> [B * Q]
        loss = F.cross_entropy(outputs.type_logits.flatten(0, 1), types.flatten(), reduction="none")
        if self.nil_weight == "auto":
            ratio = over_all(matched.sum()) / over_all((~matched).sum()).clamp(min=1)
            nil = ratio.clamp(*self.nil_range)
        else:
            nil = torch.as_tensor(self.nil_weight, device=loss.device)
        weights = torch.where(matched, 1.0, nil.to(loss.dtype)).flatten()  # [B * Q]
        return (loss * weights).sum() / each(over_all(weights.sum()))


@dataclass(frozen=True, kw_only=True)
class SpanLoss:
    """Both ends of the span: the mean over matched queries.

    Attributes:
        kind: ``bce`` over all words against the one-hot end, summed over words (the released
            code); ``softmax_nll`` = -log of the softmax probability of the gold word. The paper's
            literal -log of a sigmoid has a degenerate optimum (all ones), so it is not offered.
    """

    weight: float = 1.0
    kind: ScoreLoss = "bce"

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        loss = self._end(outputs.start_logits, take(targets.starts, matching))
        loss = loss + self._end(outputs.end_logits, take(targets.ends, matching))
        return mean_over(loss, matching.gold >= 0)

    def _end(self, logits: Tensor, word: Tensor) -> Tensor:
        """Logits ``[B, Q, W]`` and gold words ``[B, Q]`` -> ``[B, Q]``."""
        word = word.clamp(max=logits.shape[-1] - 1)
        if self.kind == "softmax_nll":
            return -logits.log_softmax(dim=-1).gather(2, word[..., None]).squeeze(-1)
        truth = F.one_hot(word, logits.shape[-1]).to(logits.dtype)  # [B, Q, W]
        return masked_bce(logits, truth)


@dataclass(frozen=True, kw_only=True)
class RegionLoss:
    """Which candidate slots show the matched entity (multi-hot; slot 0 = not in the image).

    The mean over matched queries with a covered or ungroundable entity. Groundable entities that
    no candidate covers have no right slot: they are left out, so that a model is never
    taught *not in the image* by its detector's misses.

    Attributes:
        kind: ``bce`` over all real slots, summed; ``softmax_nll`` = -log of the probability mass
            on the slots that show the entity.
    """

    weight: float = 1.0
    kind: ScoreLoss = "bce"

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        logits, regions = regions_of(outputs, targets)
        shown = take(regions, matching)  # [B, G, K1] -> [B, Q, K1]
        if self.kind == "softmax_nll":
            inside = logits.masked_fill(~shown, MASKED).logsumexp(dim=-1)
            loss = logits.logsumexp(dim=-1) - inside  # [B, Q]
        else:
            loss = masked_bce(logits, shown.to(logits.dtype))
        return mean_over(loss, (matching.gold >= 0) & shown.any(dim=-1))


@dataclass(frozen=True, kw_only=True)
class BoxLoss:
    """L1 and ``1 - GIoU`` to the nearest gold box: the mean over matched queries with a box.

    Attributes:
        weight: of the whole term.
        l1: factor of the L1 distance (DETR: 5).
        giou: factor of ``1 - GIoU`` (DETR: 2).
        drafts: add the same for each earlier draft of the boxes, under the same matching.
    """

    weight: float = 1.0
    l1: float = 5.0
    giou: float = 2.0
    drafts: bool = False

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        drawn = [*(outputs.drafts if self.drafts else ()), boxes_of(outputs)]
        boxes = torch.stack(drawn)[..., None, :]  # [drafts, B, Q, 1, 4]
        real = take(targets.box_mask, matching)  # [B, G, M] -> [B, Q, M]
        gold = take(targets.boxes, matching)  # [B, G, M, 4] -> [B, Q, M, 4]
        # [drafts, B, Q, M]
        distance = box_distance(boxes, gold[None], l1=self.l1, giou_weight=self.giou)
        loss = nearest(distance, real).sum(dim=0)  # [B, Q]
        return mean_over(loss, (matching.gold >= 0) & real.any(dim=-1))


@dataclass(frozen=True, kw_only=True)
class PointLoss:
    """``-log`` of the attention weight on the gold box: the mean over matched queries with one.

    Ours, for heads that point before they regress (not in the paper). A box that holds no patch's
    centre is shown by the patch nearest to its own. 0 for models that do not point.
    """

    weight: float = 1.0

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        pointed = None if outputs.attention is None else outputs.attention.query_to_patch
        if pointed is None:
            return outputs.type_logits.new_zeros(())
        shown = patches_inside(targets.boxes, pointed.shape[-1])  # [B, G, M, P]
        shown = (shown & targets.box_mask[..., None]).any(dim=2)  # [B, G, P]
        inside = (pointed * take(shown, matching)).sum(dim=-1)  # [B, Q, P] -> [B, Q]
        where = (matching.gold >= 0) & take(targets.groundable, matching)
        return mean_over(-inside.clamp(min=MIN_WEIGHT).log(), where)


@dataclass(frozen=True, kw_only=True)
class NoTargetLoss:
    """Whether the entity is *not in the image*: the mean over matched (or all) queries.

    Attributes:
        weight: of the term.
        unmatched: the paper says both that queries without entity are supervised as *no target*
            (III-C) and that matched ones alone are (III-D). ``ignore``: *no entity* removes them
            already, and with them 99 % of the labels would be *no target*.
    """

    weight: float = 1.0
    unmatched: Literal["ignore", "no_target"] = "ignore"

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        logits = no_target_of(outputs)
        matched = matching.gold >= 0
        absent = ~(matched & take(targets.groundable, matching))  # [B, Q]
        loss = F.binary_cross_entropy_with_logits(logits, absent.to(logits.dtype), reduction="none")
        where = matched if self.unmatched == "ignore" else torch.ones_like(matched)
        return mean_over(loss, where)


@dataclass(frozen=True, kw_only=True)
class ConsistencyLoss:
    """Queries of one span agree whether it is in the image (QGN III-D).

    A group is all gold entities with one span. Its label: in the image if any of them has a box.
    Its members: the queries matched to one of them and, with ``members=span``, the unmatched
    queries whose likeliest first and last word are that span. The loss is the mean over queries in
    groups of at least ``min_group``; 0 without any.

    With one entity a span and one query an entity every group is a single query: under
    ``members=matched`` and ``min_group=1`` this is NoTargetLoss. The defaults leave single
    queries to that loss.

    Attributes:
        weight: of the term.
        group_by: ``span_region`` also tells entities of one span apart by their boxes, the paper's
            words: all labels inside a group are then equal from the start.
        members: see above.
        min_group: least number of queries that can disagree.
    """

    weight: float = 1.0
    group_by: Literal["span", "span_region"] = "span"
    members: Literal["span", "matched"] = "span"
    min_group: int = 2

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        logits = no_target_of(outputs)
        group = same_group(targets, self.group_by)  # [B, G], the group's first entity
        shown = torch.zeros_like(group).scatter_add(1, group, targets.groundable.long()) > 0
        member = matching.gold >= 0
        own = take(group, matching)  # [B, G] -> [B, Q]
        if self.members == "span":
            first, last = outputs.start_logits.argmax(dim=-1), outputs.end_logits.argmax(dim=-1)
            names = (
                (first[..., None] == targets.starts[:, None])
                & (last[..., None] == targets.ends[:, None])
                & targets.mask[:, None]
            )  # [B, Q, G]
            named = group.gather(1, names.int().argmax(dim=-1))  # [B, Q]
            own = torch.where(member, own, named)
            member = member | names.any(dim=-1)
        sizes = torch.zeros_like(group).scatter_add(1, own, member.long())  # [B, G]
        counted = member & (sizes.gather(1, own) >= self.min_group)
        absent = ~shown.gather(1, own)  # [B, Q]
        loss = F.binary_cross_entropy_with_logits(logits, absent.to(logits.dtype), reduction="none")
        return mean_over(loss, counted)


def same_group(targets: Targets, by: Literal["span", "span_region"]) -> Tensor:
    """The first gold entity of the group of each, ``[B, G]``; padding is a group of its own."""
    starts, ends, mask = targets.starts, targets.ends, targets.mask
    # [B, G, 1] against [B, 1, G] -> [B, G, G]
    same = (starts[:, :, None] == starts[:, None]) & (ends[:, :, None] == ends[:, None])
    same &= mask[:, :, None] & mask[:, None]
    if by == "span_region":
        boxes = targets.boxes.masked_fill(~targets.box_mask[..., None], 0.0).flatten(2)
        same &= (boxes[:, :, None] == boxes[:, None]).all(dim=-1)
    same |= torch.eye(same.shape[1], dtype=torch.bool, device=same.device)
    return same.int().argmax(dim=-1)


def take(values: Tensor, matching: Matching) -> Tensor:
    """Values ``[B, G, ...]`` of each query's gold entity, ``[B, Q, ...]``; row 0 where none."""
    return gather_rows(values, matching.gold.clamp(min=0))


def masked_bce(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy summed over the last axis; padded slots (``MASKED``) add nothing."""
    loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return loss.masked_fill(logits <= MASKED / 2, 0.0).sum(dim=-1)


def no_target_of(outputs: Outputs) -> Tensor:
    """Log-odds of *not in the image*, ``[B, Q]``.

    Raises:
        ValueError: the model predicted none.
    """
    if outputs.no_target_logits is None:
        raise ValueError("a no-target term needs outputs with no_target_logits")
    return outputs.no_target_logits
