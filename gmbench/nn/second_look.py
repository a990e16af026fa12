"""A box corrected by what lies under it: the second look of heads that draw boxes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert, roi_align

CELLS = 5
"""A side of the grid that is read under a box."""

MARGIN = 1.5
"""The grid reaches half as far again as the box: what was cut off can only be seen outside."""

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
        side = round(patches.shape[1] ** 0.5)
        # roi_align wants one number type, and half precision would shift its grid.
        exact = torch.promote_types(boxes.dtype, torch.float32)
        area = self.narrow(patches).to(exact).mT.unflatten(2, (side, side))  # [B, d, side, side]
        wide = boxes.detach().to(exact) * boxes.new_tensor([1, 1, MARGIN, MARGIN], dtype=exact)
        corners = (box_convert(wide, "cxcywh", "xyxy") * side).flatten(0, 1)  # [B * N, 4]
        # Which picture each box is of, as roi_align would write it down sample by sample.
        picture = torch.arange(len(boxes), device=boxes.device).repeat_interleave(boxes.shape[1])
        places = torch.cat([picture[:, None].to(exact), corners], dim=1)
        cells = roi_align(area, places, output_size=CELLS, sampling_ratio=1, aligned=True)
        seen = self.under(cells.to(queries).flatten(1)).unflatten(0, boxes.shape[:2])
        step: Tensor = self.step(F.gelu(seen + self.query(queries)))
        return step
