"""Boxes from queries: regressed alone, or from patches that a query points at first.

:class:`BoxRegression` draws the box; :class:`SecondLook` corrects it by what lies under it, as the
second stage of two-stage detectors does.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert

from gmbench.core.boxes import patch_centres
from gmbench.nn.additions import added

BoxHead = Literal["mlp", "attention", "patches", "refined"]

START = -1.5
"""``softplus`` of it is 0.2: patches start with boxes of two fifths of the picture, where a
sigmoid still has a slope."""

CELLS = 5
"""A side of the grid that is read under a box."""

MARGIN = 1.5
"""The grid reaches half as far again as the box: what was cut off can only be seen outside."""

LOOKS = 2
"""How often a trained model corrects a box, each time where the last look left it. In training it
looks once: a second look there made boxes no better and a step a tenth dearer."""

NARROW = 64
"""Width of what is read from each cell."""


class BoxRegression(nn.Module):
    """A box a query, ``cxcywh`` in 0..1.

    Args:
        width: of queries and patches.
        prefix: visual tokens before the patches.
        kind: ``mlp`` = three layers and a sigmoid (the paper, DETR). The others let the query
            point at patches first and start from there: ``attention`` at their mean centre,
            ``patches`` at the mean of the boxes that each patch reads off itself. ``refined`` =
            ``patches``, then corrected by looking at what lies under that box, once in training and
            twice in answers.
    """

    def __init__(self, *, width: int, prefix: int, kind: BoxHead) -> None:
        super().__init__()
        self.kind = kind
        self.prefix = prefix
        last = nn.Linear(width, 4)
        self.layers = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last
        )
        if kind != "mlp":
            self.pointer = nn.Linear(width, width)
            self.patch = nn.Linear(width, width)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        if kind in ("patches", "refined"):
            self.sides = nn.Linear(width, 4)
            nn.init.constant_(self.sides.bias, START)
        if kind == "refined":
            self.again = SecondLook(width=width)

    def forward(
        self, queries: Tensor, vision: Tensor, mask: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Where each query draws its box, and where it drew it before each second look.

        Args:
            queries: ``[B, N, D]``.
            vision: ``[B, V, D]``.
            mask: ``[B, V]``.

        Returns:
            Drafts ``[B, N, 4]``, the last of which is the box, and the weights ``[B, N, P]`` of the
            patches it points at, if any.
        """
        offset: Tensor = self.layers(queries)
        if self.kind == "mlp":
            return (offset.sigmoid(),), None
        patches, real = vision[:, self.prefix :], mask[:, self.prefix :]  # [B, P, D], [B, P]
        scores = self.pointer(queries) @ self.patch(patches).mT * queries.shape[-1] ** -0.5
        # A sample without any patch points nowhere in particular.
        scores = scores.masked_fill(~real[:, None], torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1)  # [B, N, P]
        middle = patch_centres(round(patches.shape[1] ** 0.5), patches.device).to(patches)  # [P, 2]
        if self.kind == "attention":
            reference = F.pad(weights @ middle, (0, 2), value=0.3)  # [B, N, 4]
        else:
            reach = F.softplus(self.sides(patches))  # [B, P, 4]: left, top, right, bottom
            corners = torch.cat([middle - reach[..., :2], middle + reach[..., 2:]], dim=-1)
            reference = weights @ box_convert(corners, "xyxy", "cxcywh")  # [B, N, 4]
        nowhere = ~real.any(dim=1)[:, None, None]  # [B, 1, 1]
        start = torch.logit(reference.masked_fill(nowhere, 0.5), eps=1e-3)
        drawn = offset + start
        drafts = [drawn.sigmoid()]
        looks = 0 if self.kind != "refined" else 1 if self.training else LOOKS
        for _ in range(looks):
            step = self.again(drafts[-1], queries, patches)
            drawn = added(self.again, drawn, step.masked_fill(nowhere, 0.0))
            drafts.append(drawn.sigmoid())
        return tuple(drafts), weights


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
        cells = read_under(boxes.detach(), self.narrow(patches))  # [B, N, CELLS**2, NARROW]
        seen = self.under(cells.to(queries).mT.flatten(2))  # [B, N, NARROW * CELLS**2] -> [B, N, D]
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
    # Of each cell (two axes) on each patch (two axes): [B, N, CELLS, CELLS, side, side]
    weights = down[:, :, :, None, :, None] * across[:, :, None, :, None, :]
    weights = weights.flatten(4).flatten(1, 3)  # [B, N * CELLS**2, P]
    cells: Tensor = weights.to(patches) @ patches  # [B, N * CELLS**2, D]
    return cells.view(*boxes.shape[:2], CELLS**2, patches.shape[2])
