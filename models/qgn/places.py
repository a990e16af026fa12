"""Where words and patches stand: what Vision-Text Fusion adds to them (QGN III-B)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmbench.nn.layers import sinusoids

Positions = Literal["learned", "sinusoid"]

MOST_WORDS = 512
"""Sub-words that learned positions are kept for."""


class Places(nn.Module):
    """Positions and a mark of the modality, ``F + pos + e``, for text and visual tokens.

    Args:
        width: of both.
        prefix: visual tokens before the patches; they have a learned place of their own.
        grid: patches a side at the vision encoder's native size; learned places of another size
            are interpolated.
        positions: ``learned``, or fixed sines (rows and columns in halves of the width).
    """

    def __init__(self, *, width: int, prefix: int, grid: int, positions: Positions) -> None:
        super().__init__()
        self.prefix = prefix
        self.positions = positions
        self.marks = nn.Parameter(torch.randn(2, width) * 0.02)  # e_v, e_t
        if prefix:
            self.class_place = nn.Parameter(torch.randn(prefix, width) * 0.02)
        if positions == "learned":
            self.words = nn.Parameter(torch.randn(MOST_WORDS, width) * 0.02)
            self.patches = nn.Parameter(torch.randn(grid, grid, width) * 0.02)

    def text(self, states: Tensor) -> Tensor:
        """``[B, S, D]`` -> ``[B, S, D]``.

        Raises:
            ValueError: more sub-words than learned places.
        """
        size, width = states.shape[1:]
        if self.positions == "sinusoid":
            return states + sinusoids(size, width).to(states) + self.marks[1]
        if size > MOST_WORDS:
            raise ValueError(
                f"{size} sub-words, but positions are learned for {MOST_WORDS}; set "
                "model.network.mqd.positions=sinusoid"
            )
        return states + self.words[:size] + self.marks[1]

    def vision(self, states: Tensor) -> Tensor:
        """``[B, prefix + P, D]`` -> ``[B, prefix + P, D]``; the P patches are a square."""
        width = states.shape[-1]
        side = round((states.shape[1] - self.prefix) ** 0.5)
        if self.positions == "sinusoid":
            place = square(side, width).to(states)
        else:
            place = self._resized(side)
        if self.prefix:
            place = torch.cat([self.class_place, place])  # [P, D] -> [prefix + P, D]
        return states + place + self.marks[0]

    def _resized(self, side: int) -> Tensor:
        """``[side * side, D]``."""
        grid: Tensor = self.patches
        if side != len(grid):
            stretched = F.interpolate(
                grid.permute(2, 0, 1)[None], size=(side, side), mode="bilinear", align_corners=False
            )  # [g, g, D] -> [1, D, side, side]
            grid = stretched[0].permute(1, 2, 0)  # [side, side, D]
        return grid.flatten(0, 1)


def square(side: int, width: int) -> Tensor:
    """Sines of rows in one half of the width, of columns in the other: ``[side^2, width]``."""
    half = width // 2
    rows = sinusoids(side, half)[:, None].expand(-1, side, -1)  # [side, side, D / 2]
    columns = sinusoids(side, width - half)[None].expand(side, -1, -1)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1)  # [side, side, D] -> [side^2, D]
