"""Gold entities as a model is taught them, where an entity has several boxes or regions.

A proposal-free model draws one box a query: GoldBoxes decides which of an entity's gold boxes it is
taught (QGN section 5). A proposal-based model points at candidates: :func:`expand_regions` gives
each candidate that shows an entity a gold row of its own (MQSPN's released code). Evaluation always
accepts any gold box.
"""

from dataclasses import replace
from random import Random
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torchvision.ops import box_convert

from gmbench.core.tensors import Batch, Targets

MultiBox = Literal["largest", "min_cost", "random", "expand", "union"]


class GoldBoxes:
    """Targets as a proposal-free model learns them.

    An entity whose tweet has no picture is taught as *not in the image*, here alone: scores keep
    its boxes.

    Args:
        multi_box: ``largest`` = by area; ``min_cost`` = whichever is nearest to the query, in cost
            and loss alike; ``random`` = one an epoch, drawn from seed, epoch and mention;
            ``expand`` = one gold entity a box (decoding then drops the repeated spans); ``union`` =
            the hull of all, which most often matches none of them (kept to show the damage).
        seed: of ``random``.

    Attributes:
        epoch: set by the training loop; ``random`` draws anew in each.
    """

    def __init__(self, *, multi_box: MultiBox = "largest", seed: int = 1) -> None:
        self.multi_box = multi_box
        self.seed = seed
        self.epoch = 0

    def __call__(self, batch: Batch) -> Targets:
        """The targets of a batch.

        Raises:
            ValueError: the batch carries none.
        """
        if batch.targets is None:
            raise ValueError("gold boxes need a batch with targets")
        targets = batch.targets
        # [B, G, M] with the masks of pictures [B] and of entities [B, G]
        seen = targets.box_mask & batch.image_mask[:, None, None] & targets.mask[..., None]
        targets = replace(targets, box_mask=seen)
        if self.multi_box == "min_cost" or seen.shape[-1] == 1:
            return targets
        if self.multi_box == "expand":
            return expand_boxes(targets)
        if self.multi_box == "union":
            return replace(targets, boxes=hull(targets), box_mask=seen.any(-1, keepdim=True))
        if self.multi_box == "largest":
            area = targets.boxes[..., 2:].prod(dim=-1).masked_fill(~seen, -1.0)  # [B, G, M]
            return choose(targets, area.argmax(dim=-1))
        return choose(targets, self._draw(targets, batch.ids))

    def _draw(self, targets: Targets, ids: tuple[str, ...]) -> Tensor:
        """A box of each entity, ``[B, G]``."""
        fields = (targets.box_mask.sum(dim=-1), targets.starts, targets.ends)
        rows = [
            [
                Random(f"{self.seed}/{self.epoch}/{name}/{start}-{end}").randrange(max(1, count))
                for count, start, end in zip(*columns, strict=True)
            ]
            for name, *columns in zip(ids, *(field.tolist() for field in fields), strict=True)
        ]
        return torch.tensor(rows, device=targets.starts.device)


def choose(targets: Targets, index: Tensor) -> Targets:
    """Keep box ``index [B, G]`` of each entity: M becomes 1."""
    rows = index[..., None]  # [B, G, 1]
    return replace(
        targets,
        boxes=targets.boxes.gather(2, rows[..., None].expand(-1, -1, -1, 4)),
        box_mask=targets.box_mask.gather(2, rows),
    )


def hull(targets: Targets) -> Tensor:
    """The smallest box around all boxes of each entity: ``[B, G, 1, 4]`` cxcywh."""
    corners = box_convert(targets.boxes, "cxcywh", "xyxy")
    out = ~targets.box_mask[..., None]  # [B, G, M, 1]
    low = corners[..., :2].masked_fill(out, 1.0).amin(dim=2)  # [B, G, M, 2] -> [B, G, 2]
    high = corners[..., 2:].masked_fill(out, 0.0).amax(dim=2)
    around: Tensor = box_convert(torch.cat([low, high], dim=-1), "xyxy", "cxcywh")
    return around[:, :, None].masked_fill(out.all(dim=2, keepdim=True), 0.0)


def expand_boxes(targets: Targets) -> Targets:
    """One gold row for each box of an entity, its other fields repeated; at least one row each."""
    copies = targets.box_mask.sum(dim=-1).clamp(min=1) * targets.mask  # [B, G]
    longest = max(1, int(copies.sum(dim=1).max()))
    gold = torch.zeros(len(copies), longest, dtype=torch.long, device=copies.device)  # [B, N]
    nth = torch.zeros_like(gold)
    mask = torch.zeros_like(gold, dtype=torch.bool)
    for b, row in enumerate(copies.tolist()):
        pairs = [(g, n) for g, count in enumerate(row) for n in range(count)]
        if pairs:
            gold[b, : len(pairs)], nth[b, : len(pairs)] = torch.tensor(pairs, device=gold.device).T
            mask[b, : len(pairs)] = True
    return choose(take_rows(targets, gold, mask), nth)


def expand_regions(targets: Targets) -> Targets:
    """One gold row for each candidate slot that shows an entity, its other fields repeated.

    Different queries of one entity are then pulled to different boxes. An entity that no candidate
    covers keeps one row without any slot.

    Raises:
        ValueError: the data holds no candidates.
    """
    if targets.regions is None:
        raise ValueError("region_target=expand needs candidate regions")
    slots = targets.regions.shape[-1]
    lone = ~targets.regions.any(dim=-1) & targets.mask  # [B, G]
    wanted = targets.regions & targets.mask[..., None]  # [B, G, K1]
    wanted[..., 0] |= lone  # a row to keep, at no slot
    flat = wanted.flatten(1)  # [B, G * K1]
    longest = max(1, int(flat.sum(dim=1).max()))
    place = torch.argsort(~flat, dim=1, stable=True)[:, :longest]  # [B, N], in gold's order
    rows = take_rows(targets, place // slots, flat.gather(1, place))
    assert rows.regions is not None
    shown = one_hot(place % slots, slots).bool()  # [B, N, K1]
    return replace(rows, regions=rows.regions & shown)


def take_rows(targets: Targets, gold: Tensor, mask: Tensor) -> Targets:
    """The gold entities that ``gold`` names, in its order; some entities may be repeated.

    Args:
        targets: ``G`` gold entities a sample.
        gold: ``[B, N]`` index of the entity each new row copies; anything valid in padding.
        mask: ``[B, N]``, True where a row stands.
    """
    return Targets(
        mask=mask,
        types=gather_rows(targets.types, gold) * mask,
        starts=gather_rows(targets.starts, gold) * mask,
        ends=gather_rows(targets.ends, gold) * mask,
        boxes=gather_rows(targets.boxes, gold),
        box_mask=gather_rows(targets.box_mask, gold) & mask[..., None],
        regions=(
            None
            if targets.regions is None
            else gather_rows(targets.regions, gold) & mask[..., None]
        ),
    )


def gather_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Values ``[B, G, ...]`` of the gold entities that ``rows [B, N]`` names -> ``[B, N, ...]``."""
    index = rows.view(*rows.shape, *[1] * (values.ndim - 2))  # [B, N, 1, ...]
    return values.gather(1, index.expand(-1, -1, *values.shape[2:]))
