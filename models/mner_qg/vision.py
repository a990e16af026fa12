"""Multi-scale visual features: patches as several depths of the vision encoder see them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gmbench.core.tensors import Batch
from gmbench.nn.vision import VisionEncoder

PAPER_DEPTH = 12
"""Blocks of the encoder that ``levels`` are counted for; others are scaled in proportion."""


def scaled_levels(levels: Sequence[int], depth: int) -> tuple[int, ...]:
    """Blocks of 12 as blocks of an encoder of ``depth``, from 1; equal ones count once.

    Raises:
        ValueError: a block that is not in 1..12, or none.
    """
    if not levels or min(levels) < 1 or max(levels) > PAPER_DEPTH:
        raise ValueError(f"levels {list(levels)}: blocks are counted from 1 to {PAPER_DEPTH}")
    return tuple(sorted({math.ceil(level * depth / PAPER_DEPTH) for level in levels}))


class MultiScaleVision(nn.Module):
    """Each patch's states after several blocks, normalised, joined and projected.

    It stands in for the feature pyramid of a convolutional detector. Blocks that nothing reads
    are taken out of the encoder. Class tokens are left out: grounding needs places.

    Args:
        vision_encoder: the tower; it is changed in place.
        width: of the patches given back.
        levels: blocks of 12 that are read.
    """

    def __init__(self, *, vision_encoder: VisionEncoder, width: int, levels: Sequence[int]) -> None:
        super().__init__()
        self.read = scaled_levels(levels, vision_encoder.depth)
        vision_encoder.drop_unread(depth=self.read[-1], norm=False)
        self.tower = vision_encoder
        self.norms = nn.ModuleList(nn.LayerNorm(vision_encoder.width) for _ in self.read)
        self.project = nn.Linear(len(self.read) * vision_encoder.width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Patches ``[B, P, D]`` and their mask ``[B, P]``.

        A missing image has patches of 0, whatever its pixels; a batch without any pixels one such
        patch a sentence.
        """
        if batch.pixels is None:
            nothing = self.project.weight.new_zeros(len(batch), 1, self.project.out_features)
            return nothing, torch.zeros_like(nothing[..., 0], dtype=torch.bool)
        states, levels = self.tower.embed(batch.pixels), []  # [B, prefix + P, Dv]
        for number, block in enumerate(self.tower.blocks, start=1):
            states = block(states)
            if number in self.read:
                levels.append(states[:, self.tower.prefix_tokens :])  # [B, P, Dv]
        normed = [norm(level) for norm, level in zip(self.norms, levels, strict=True)]
        # [B, P, levels * Dv] -> [B, P, D]
        patches: Tensor = self.norm(self.project(torch.cat(normed, dim=-1)))
        mask = batch.image_mask[:, None].expand(-1, patches.shape[1])
        return patches.masked_fill(~mask[..., None], 0.0), mask
