"""Gold entities as rows that point at one candidate each (MQSPN's released code)."""

from dataclasses import replace

import torch
from torch.nn.functional import one_hot

from gmbench.engine.gold_rows import take_rows
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
    rows = take_rows(targets, place // slots, mask)
    assert rows.regions is not None
    shown = one_hot(place % slots, slots).bool()
    return replace(rows, regions=rows.regions & shown)
