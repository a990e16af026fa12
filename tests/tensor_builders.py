"""Small random batches, targets and outputs for tests of objective, models and training."""

from dataclasses import replace

import torch
from torch import Tensor

from gmbench.core.tensors import MASKED, Batch, Outputs, Targets


def make_targets(
    counts: list[int], *, words: int = 7, types: int = 3, slots: int = 4, seed: int = 0
) -> Targets:
    """Random gold entities, ``counts[b]`` of them in sample b; every other one is groundable."""
    g = torch.Generator().manual_seed(seed)
    rows, golds = len(counts), max(1, *counts)
    mask = torch.arange(golds)[None] < torch.tensor(counts)[:, None]
    starts = torch.randint(0, words, (rows, golds), generator=g)
    ends = torch.minimum(
        starts + torch.randint(0, 3, (rows, golds), generator=g), torch.tensor(words - 1)
    )
    groundable = mask & (torch.arange(golds)[None] % 2 == 0)
    regions = torch.zeros(rows, golds, slots, dtype=torch.bool)
    regions[..., 0] = mask & ~groundable
    pick = torch.randint(1, slots, (rows, golds), generator=g)
    regions |= torch.nn.functional.one_hot(pick, slots).bool() & groundable[..., None]
    return Targets(
        mask=mask,
        types=torch.randint(1, types + 1, (rows, golds), generator=g) * mask,
        starts=starts * mask,
        ends=ends * mask,
        boxes=torch.rand(rows, golds, 1, 4, generator=g) * 0.3 + 0.2,
        box_mask=groundable[..., None],
        regions=regions,
    )


def make_outputs(
    rows: int, *, queries: int = 6, words: int = 7, types: int = 3, slots: int = 4, seed: int = 0
) -> Outputs:
    """Random float64 logits of a proposal-based model."""
    g = torch.Generator().manual_seed(seed)

    def logits(last: int) -> Tensor:
        return torch.randn(rows, queries, last, generator=g, dtype=torch.float64).requires_grad_()

    return Outputs(
        type_logits=logits(types + 1),
        start_logits=logits(words),
        end_logits=logits(words),
        region_logits=logits(slots),
    )


def make_batch(targets: Targets | None, *, rows: int, words: int = 7, slots: int = 4) -> Batch:
    """A batch around targets; candidate i of every image is the box (10 i, 0, 10 i + 9, 9)."""
    boxes = torch.zeros(rows, slots, 4)
    for i in range(1, slots):
        boxes[:, i] = torch.tensor([10.0 * i, 0.0, 10.0 * i + 9, 9.0])
    return Batch(
        ids=tuple(f"tweet{b}" for b in range(rows)),
        input_ids=torch.ones(rows, words + 2, dtype=torch.long),
        token_mask=torch.ones(rows, words + 2, dtype=torch.bool),
        word_index=torch.arange(-1, words + 1).clamp(max=words - 1).repeat(rows, 1),
        word_mask=torch.ones(rows, words, dtype=torch.bool),
        image_sizes=torch.tensor([[200.0, 100.0]] * rows),
        image_mask=torch.ones(rows, dtype=torch.bool),
        region_mask=torch.ones(rows, slots, dtype=torch.bool),
        region_boxes=boxes,
        targets=targets,
    )


def perfect_outputs(
    targets: Targets, *, queries: int = 8, words: int = 7, types: int = 3
) -> Outputs:
    """Outputs that say exactly what the targets hold: query g answers for gold g."""
    rows, golds = targets.mask.shape
    slots = targets.regions.shape[-1] if targets.regions is not None else 1
    kind = torch.full((rows, queries, types + 1), -20.0)
    start = torch.full((rows, queries, words), -20.0)
    end, region = start.clone(), torch.full((rows, queries, slots), -20.0)
    kind[..., 0] = 20.0
    for b in range(rows):
        for g in range(golds):
            if targets.mask[b, g]:
                kind[b, g] = -20.0
                kind[b, g, targets.types[b, g]] = 20.0
                start[b, g, targets.starts[b, g]] = 20.0
                end[b, g, targets.ends[b, g]] = 20.0
                region[b, g, targets.regions[b, g].int().argmax()] = 20.0
    assert MASKED < -20
    return Outputs(type_logits=kind, start_logits=start, end_logits=end, region_logits=region)


def free_outputs(rows: int, *, queries: int = 6, seed: int = 0) -> Outputs:
    """Random float64 outputs of a proposal-free model."""
    plain = make_outputs(rows, queries=queries, seed=seed)
    g = torch.Generator().manual_seed(seed + 100)
    boxes = torch.rand(rows, queries, 4, generator=g, dtype=torch.float64) * 0.5 + 0.2
    absent = torch.randn(rows, queries, generator=g, dtype=torch.float64)
    return replace(
        plain,
        region_logits=None,
        boxes=boxes.requires_grad_(),
        no_target_logits=absent.requires_grad_(),
    )


def perfect_boxes(targets: Targets, queries: int = 8) -> Outputs:
    """Outputs of a proposal-free model that say exactly what the targets hold."""
    plain = perfect_outputs(targets, queries=queries)
    rows, golds = targets.mask.shape
    boxes = torch.full((rows, queries, 4), 0.5)
    absent = torch.full((rows, queries), 20.0)
    boxes[:, :golds] = targets.boxes[:, :, 0]
    absent[:, :golds] = torch.where(targets.groundable, -20.0, 20.0)
    start, end = plain.start_logits, plain.end_logits
    start[:, golds:, -1] = end[:, golds:, 0] = 0.0  # the others name no span at all
    return replace(plain, region_logits=None, boxes=boxes, no_target_logits=absent)
