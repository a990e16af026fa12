"""Losses of a proposal-free model: boxes, *not in the image*, and agreement on it (QGN III-D)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gmbench.boxes import patches_inside
from gmbench.engine.box_costs import box_distance, boxes_of, nearest
from gmbench.engine.losses import take
from gmbench.engine.matcher import Matching
from gmbench.nn.means import mean_over
from gmbench.tensors import Outputs, Targets


@dataclass(frozen=True, kw_only=True)
class BoxLoss:
    """L1 and ``1 - GIoU`` of matched queries whose entity has a box; the nearest box counts.

    Attributes:
        weight: of the whole term.
        l1, giou: factors of the two parts (DETR: 5 and 2).
    """

    weight: float = 1.0
    l1: float = 5.0
    giou: float = 2.0

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        """A scalar: the mean over matched queries with a groundable entity.

        Raises:
            ValueError: the model predicted no boxes.
        """
        boxes = boxes_of(outputs)
        rows = matching.gold.clamp(min=0)[..., None]  # [B, Q, 1]
        real = targets.box_mask.gather(1, rows.expand(-1, -1, targets.box_mask.shape[-1]))
        gold = targets.boxes.gather(
            1, rows[..., None].expand(-1, -1, *targets.boxes.shape[-2:])
        )  # [B, Q, M, 4]
        distance = box_distance(boxes[:, :, None], gold, l1=self.l1, giou_weight=self.giou)
        return mean_over(nearest(distance, real), (matching.gold >= 0) & real.any(dim=-1))


@dataclass(frozen=True, kw_only=True)
class PointLoss:
    """Whether matched queries point at patches of their gold box: ``-log`` of the weight inside.

    Ours, for heads that point before they regress (not in the paper). A box that holds no patch's
    centre is shown by the patch nearest to its own. Models that do not point learn nothing here.
    """

    weight: float = 1.0

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        """A scalar: the mean over matched queries with a groundable entity; 0 without pointing."""
        pointed = None if outputs.attention is None else outputs.attention.query_to_patch
        if pointed is None:
            return outputs.type_logits.new_zeros(())
        rows = matching.gold.clamp(min=0)[..., None].expand(-1, -1, pointed.shape[-1])
        shown = patches_inside(targets.boxes, pointed.shape[-1]) & targets.box_mask[..., None]
        inside = shown.any(dim=2).gather(1, rows)  # [B, G, M, P] -> [B, Q, P]
        held = (pointed * inside).sum(dim=-1)
        where = (matching.gold >= 0) & take(targets.groundable, matching)
        return mean_over(-held.clamp(min=LEAST_WEIGHT).log(), where)


LEAST_WEIGHT = 1e-8
"""Of the patches inside: keeps the logarithm finite where softmax gave them nothing."""


@dataclass(frozen=True, kw_only=True)
class NoTargetLoss:
    """Whether the matched entity is *not in the image*: binary cross-entropy.

    Attributes:
        weight: of the term.
        unmatched: the paper says both that queries without entity are supervised as *no target*
            (III-C) and that matched ones alone are (III-D). ``ignore``: *no entity* removes them
            already, and with them 99 % of the labels would be *no target*.
    """

    weight: float = 1.0
    unmatched: Literal["ignore", "no_target"] = "ignore"

    def __call__(self, outputs: Outputs, targets: Targets, matching: Matching) -> Tensor:
        """A scalar: the mean over matched (or all) queries.

        Raises:
            ValueError: the model predicts no such logit.
        """
        logits = no_target_of(outputs)
        matched = matching.gold >= 0
        absent = ~(matched & take(targets.groundable, matching))
        loss = F.binary_cross_entropy_with_logits(logits, absent.to(logits.dtype), reduction="none")
        where = matched if self.unmatched == "ignore" else torch.ones_like(matched)
        return mean_over(loss, where)


@dataclass(frozen=True, kw_only=True)
class ConsistencyLoss:
    """Queries of one span agree whether it is in the image (QGN III-D).

    A group is all gold entities with one span. Its label: in the image if any of them has a box.
    Its members: the queries matched to one of them and, with ``members=span``, the unmatched
    queries whose likeliest first and last word are that span.

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
        """A scalar: the mean over queries in groups of at least ``min_group``; 0 without any.

        Raises:
            ValueError: the model predicts no such logit.
        """
        logits = no_target_of(outputs)
        group = same_group(targets, self.group_by)  # [B, G] first gold of each gold's group
        label = grounded_groups(targets, group)  # [B, G] of group heads
        matched = matching.gold >= 0
        own = take(group, matching)  # [B, Q]
        member = matched
        if self.members == "span":
            first, last = outputs.start_logits.argmax(dim=-1), outputs.end_logits.argmax(dim=-1)
            names = (
                (first[..., None] == targets.starts[:, None])
                & (last[..., None] == targets.ends[:, None])
                & targets.mask[:, None]
            )  # [B, Q, G]
            named = group.gather(1, names.int().argmax(dim=-1))
            own = torch.where(matched, own, named)
            member = matched | names.any(dim=-1)
        sizes = torch.zeros_like(group).scatter_add(1, own, member.long())
        counted = member & (sizes.gather(1, own) >= self.min_group)
        absent = ~label.gather(1, own)
        loss = F.binary_cross_entropy_with_logits(logits, absent.to(logits.dtype), reduction="none")
        return mean_over(loss, counted)


def same_group(targets: Targets, by: Literal["span", "span_region"]) -> Tensor:
    """The first gold entity of the group of each, ``[B, G]``; padding is a group of its own."""
    starts, ends, mask = targets.starts, targets.ends, targets.mask
    same = (starts[:, :, None] == starts[:, None]) & (ends[:, :, None] == ends[:, None])
    same &= mask[:, :, None] & mask[:, None]
    if by == "span_region":
        boxes = targets.boxes.masked_fill(~targets.box_mask[..., None], 0.0).flatten(2)
        same &= (boxes[:, :, None] == boxes[:, None]).all(dim=-1)
    same |= torch.eye(same.shape[1], dtype=torch.bool, device=same.device)
    return same.int().argmax(dim=-1)


def grounded_groups(targets: Targets, group: Tensor) -> Tensor:
    """Whether any entity of the group that gold ``[B, G]`` heads has a box."""
    counts = torch.zeros_like(group).scatter_add(1, group, targets.groundable.long())
    return counts > 0


def no_target_of(outputs: Outputs) -> Tensor:
    """Log-odds of *not in the image*, ``[B, Q]``.

    Raises:
        ValueError: the model predicted none.
    """
    if outputs.no_target_logits is None:
        raise ValueError("a no-target term needs outputs with no_target_logits")
    return outputs.no_target_logits
