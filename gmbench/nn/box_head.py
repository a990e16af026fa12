"""Boxes from queries: regressed alone, or from patches that a query points at first."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert

from gmbench.boxes import patch_centres
from gmbench.nn.second_look import LOOKS, SecondLook

BoxHead = Literal["mlp", "attention", "patches", "refined"]

START = -1.5
"""``softplus`` of it is 0.2: patches start with boxes of two fifths of the picture, where a
sigmoid still has a slope."""


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
    ) -> tuple[Tensor, Tensor | None]:
        """Where each query draws its box.

        Args:
            queries: ``[B, N, D]``.
            vision: ``[B, V, D]``.
            mask: ``[B, V]``.

        Returns:
            Boxes ``[B, N, 4]``, and the weights ``[B, N, P]`` of the patches it points at, if any.
        """
        offset: Tensor = self.layers(queries)
        if self.kind == "mlp":
            return offset.sigmoid(), None
        patches, real = vision[:, self.prefix :], mask[:, self.prefix :]
        scores = self.pointer(queries) @ self.patch(patches).mT * queries.shape[-1] ** -0.5
        # A sample without any patch points nowhere in particular.
        scores = scores.masked_fill(~real[:, None], torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1)  # [B, N, P]
        middle = patch_centres(round(patches.shape[1] ** 0.5), patches.device).to(patches)  # [P, 2]
        if self.kind == "attention":
            reference = F.pad(weights @ middle, (0, 2), value=0.3)  # [B, N, 4]
        else:
            reach = F.softplus(self.sides(patches))
            corners = torch.cat([middle - reach[..., :2], middle + reach[..., 2:]], dim=-1)
            reference = weights @ box_convert(corners, "xyxy", "cxcywh")  # [B, N, 4]
        start = torch.logit(reference.masked_fill(~real.any(dim=1)[:, None, None], 0.5), eps=1e-3)
        drawn = offset + start
        looks = 0 if self.kind != "refined" else 1 if self.training else LOOKS
        for _ in range(looks):
            step = self.again(drawn.sigmoid(), queries, patches)
            drawn = drawn + step.masked_fill(~real.any(dim=1)[:, None, None], 0.0)
        return drawn.sigmoid(), weights
