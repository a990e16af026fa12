"""Gold entities as rows that point at one candidate each (MQSPN's released code)."""

import torch
from torch import Tensor

from gmbench.tensors import Targets


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
    wanted = targets.regions & targets.mask[..., None]
    wanted[..., 0] |= lone  # a row to keep, at no slot
    flat = wanted.flatten(1)  # [B, G * K1]
    longest = max(1, int(flat.sum(dim=1).max()))
    place = torch.argsort(~flat, dim=1, stable=True)[:, :longest]  # rows first, in gold's order
    mask = flat.gather(1, place)
    gold = place // slots

    def take(values: Tensor) -> Tensor:
        rows = gold.view(*gold.shape, *[1] * (values.ndim - 2))
        return values.gather(1, rows.expand(-1, -1, *values.shape[2:]))

    shown = torch.nn.functional.one_hot(place % slots, slots).bool()
    return Targets(
        mask=mask,
        types=take(targets.types) * mask,
        starts=take(targets.starts) * mask,
        ends=take(targets.ends) * mask,
        boxes=take(targets.boxes),
        box_mask=take(targets.box_mask) & mask[..., None],
        regions=shown & take(targets.regions) & mask[..., None],
    )
