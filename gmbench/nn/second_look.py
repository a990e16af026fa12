"""A box corrected by what lies under it: the second look of heads that draw boxes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELLS = 5
"""A side of the grid that is read under a box."""

MARGIN = 1.5
"""The grid reaches half as far again as the box: what was cut off can only be seen outside."""

LOOKS = 2
"""How often a trained model corrects a box, each time where the last look left it. In training it
looks once: a second look there made boxes no better and a step a tenth dearer."""

NARROW = 64
"""Width of what is read from each cell."""


class SecondLook(nn.Module):
    """Visual tokens under a first box, aligned to it, and the query -> a step on the box's logits.

    Starts without any effect. Two-stage detectors' second stage (Faster R-CNN, Cascade R-CNN), with
    a query's own first box in place of a proposal.

    Args:
        width: of queries and patches.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(width, NARROW)
        self.under = nn.Linear(NARROW * CELLS**2, width)
        self.query = nn.Linear(width, width)
        self.step = nn.Linear(width, 4)
        nn.init.zeros_(self.step.weight)
        nn.init.zeros_(self.step.bias)

    def forward(self, boxes: Tensor, queries: Tensor, patches: Tensor) -> Tensor:
        """What to add to the logits of the boxes.

        Args:
            boxes: ``[B, N, 4]`` cxcywh in 0..1; where to look, no gradient flows through it.
            queries: ``[B, N, D]``.
            patches: ``[B, P, D]``, a square row by row.

        Returns:
            ``[B, N, 4]``.
        """
        cells = read_under(boxes.detach(), self.narrow(patches))
        seen = self.under(cells.to(queries).mT.flatten(2))
        step: Tensor = self.step(F.gelu(seen + self.query(queries)))
        return step


def read_under(boxes: Tensor, patches: Tensor) -> Tensor:
    """What ``roi_align`` (aligned, one sample a cell) reads in CELLS x CELLS cells of each box.

    Written as one product with the shares that each cell has of each patch: on a CPU torchvision's
    gradient runs on one core and took a tenth of QGN's training step.

    Args:
        boxes: ``[B, N, 4]`` cxcywh in 0..1; the cells reach MARGIN times as far.
        patches: ``[B, P, D]``, a square row by row.

    Returns:
        ``[B, N, CELLS**2, D]``, cells row by row.
    """
    side = round(patches.shape[1] ** 0.5)
    # Half precision would shift the cells.
    exact = torch.promote_types(boxes.dtype, torch.float32)
    ticks = (torch.arange(CELLS, device=boxes.device, dtype=exact) + 0.5) / CELLS - 0.5
    centre, size = boxes.to(exact)[..., None].chunk(2, dim=2)  # [B, N, 2, 1]
    at = (centre + size * MARGIN * ticks) * side - 0.5  # [B, N, 2, CELLS], 0 = the first patch
    near = (at >= -1) & (at <= side)  # farther out there is nothing to see
    middles = torch.arange(side, device=boxes.device, dtype=exact)
    share = (1 - (at.clamp(0, side - 1)[..., None] - middles).abs()).clamp(min=0)
    across, down = (share * near[..., None]).unbind(dim=2)  # [B, N, CELLS, side]
    weights = down[:, :, :, None, :, None] * across[:, :, None, :, None, :]
    cells: Tensor = weights.flatten(4).flatten(1, 3).to(patches) @ patches  # [B, N * CELLS**2, D]
    return cells.view(*boxes.shape[:2], CELLS**2, patches.shape[2])
