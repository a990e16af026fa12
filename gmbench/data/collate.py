"""Items -> Batch: padding with real masks, and the gold targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gmbench.boxes import pairwise_iou, to_unit
from gmbench.data.dataset import Item
from gmbench.tensors import Batch, Targets


@dataclass(frozen=True)
class Collate:
    """Pads the items of a batch.

    Attributes:
        classes: class index of each type, from 1.
        pad_id: the tokenizer's padding id.
        iou_threshold: least IoU at which a candidate shows an entity (the released code: 0.5).
        with_regions: whether the batch carries candidate slots.
    """

    classes: Mapping[str, int]
    pad_id: int
    iou_threshold: float = 0.5
    with_regions: bool = True

    def __call__(self, items: Sequence[Item]) -> Batch:
        """One batch; items without a picture get zero pixels and a false ``image_mask``.

        Raises:
            KeyError: an entity's type is not among ``classes``.
        """
        tokens = [torch.tensor(item.tokens.ids) for item in items]
        words = [torch.tensor(item.tokens.words) for item in items]
        boxes = pad([item.boxes for item in items])
        slots = mask_of([len(item.boxes) for item in items])
        return Batch(
            ids=tuple(item.example.id for item in items),
            input_ids=pad(tokens, self.pad_id),
            token_mask=mask_of([len(row) for row in tokens]),
            word_index=pad(words, -1),
            word_mask=mask_of([len(item.example.words) for item in items]),
            image_sizes=torch.tensor([item.size for item in items], dtype=torch.float32),
            image_mask=torch.tensor([item.example.image is not None for item in items]),
            pixels=stack_or_zeros([item.pixels for item in items]),
            region_mask=slots if self.with_regions else None,
            region_boxes=boxes if self.with_regions else None,
            region_pixels=pad_present([item.crops for item in items]),
            region_features=pad_present([item.features for item in items]),
            targets=self._targets(items, boxes, slots),
        )

    def _targets(self, items: Sequence[Item], boxes: Tensor, slots: Tensor) -> Targets:
        counts = [len(item.example.entities) for item in items]
        golds = max(1, *counts)
        most = max([1, *(len(e.boxes) for item in items for e in item.example.entities)])
        fields = torch.zeros(3, len(items), golds, dtype=torch.long)
        gold_boxes = torch.zeros(len(items), golds, most, 4)
        box_mask = torch.zeros(len(items), golds, most, dtype=torch.bool)
        regions = torch.zeros(len(items), golds, slots.shape[1], dtype=torch.bool)
        for b, item in enumerate(items):
            size = torch.tensor(item.size, dtype=torch.float64)
            for g, entity in enumerate(item.example.entities):
                fields[:, b, g] = torch.tensor(
                    [self.classes[entity.type], entity.start, entity.end]
                )
                if not entity.groundable:
                    regions[b, g, 0] = True
                    continue
                pixels = torch.tensor(entity.boxes, dtype=torch.float64)
                gold_boxes[b, g, : len(pixels)] = to_unit(pixels, size).float()
                box_mask[b, g, : len(pixels)] = True
                overlap = pairwise_iou(boxes[b, 1:].double(), pixels).amax(dim=1)
                regions[b, g, 1:] = (overlap >= self.iou_threshold) & slots[b, 1:]
        return Targets(
            mask=mask_of(counts, golds),
            types=fields[0],
            starts=fields[1],
            ends=fields[2],
            boxes=gold_boxes,
            box_mask=box_mask,
            regions=regions if self.with_regions else None,
        )


def pad(rows: Sequence[Tensor], value: int = 0) -> Tensor:
    """Rows of different length -> ``[B, longest, ...]``."""
    return pad_sequence(list(rows), batch_first=True, padding_value=value)


def mask_of(counts: Sequence[int], longest: int | None = None) -> Tensor:
    """``[B, longest]``: True for the first ``counts[b]`` places of each row."""
    longest = longest or max(counts)
    return torch.arange(longest)[None, :] < torch.tensor(counts)[:, None]


def stack_or_zeros(rows: Sequence[Tensor | None]) -> Tensor | None:
    """Stack equal shapes, zeros for what is missing; None if everything is."""
    present = next((row for row in rows if row is not None), None)
    if present is None:
        return None
    return torch.stack([torch.zeros_like(present) if row is None else row for row in rows])


def pad_present(rows: Sequence[Tensor | None]) -> Tensor | None:
    """Pad rows that are all present; None if none is."""
    present = [row for row in rows if row is not None]
    return pad(present) if present else None
