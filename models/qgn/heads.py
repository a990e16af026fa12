"""Prediction heads: type, left and right end, box, no-target (QGN III-C)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gmbench.core.tensors import Attention, Outputs
from gmbench.nn.box_head import BoxHead, BoxRegression
from gmbench.nn.layers import PairScores


class PredictionHeads(nn.Module):
    """All heads; the same weights answer for every layer under deep supervision.

    Args:
        width: of all states.
        num_types: C.
        prefix: visual tokens before the patches.
        box: see BoxRegression.
    """

    def __init__(self, *, width: int, num_types: int, prefix: int, box: BoxHead) -> None:
        super().__init__()
        self.entity_type = nn.Linear(width, num_types + 1)
        self.left = PairScores(width=width)
        self.right = PairScores(width=width)
        self.box = BoxRegression(width=width, prefix=prefix, kind=box)
        # One logit where the paper's classifier has two: their difference is all that counts.
        self.no_target = nn.Linear(width, 1)

    def forward(
        self,
        layers: Sequence[tuple[Tensor, Tensor]],
        vision: Tensor,
        *,
        word_mask: Tensor,
        vision_mask: Tensor,
    ) -> list[Outputs]:
        """An answer a layer; ``attention`` holds where box heads that point at patches pointed.

        Args:
            layers: queries ``[B, N, D]`` and words ``[B, W, D]`` of each.
            vision: ``[B, V, D]``, the same for all; boxes are read off it.
            word_mask: ``[B, W]``.
            vision_mask: ``[B, V]``.
        """
        count = layers[0][0].shape[1]  # N
        # All at once: what the patches say of themselves is then computed once.
        asked = torch.cat([queries for queries, _ in layers], dim=1)  # [B, layers * N, D]
        # each [B, layers * N, 4], and [B, layers * N, P]
        (*drafts, boxes), pointed = self.box(asked, vision, vision_mask)
        return [
            Outputs(
                type_logits=self.entity_type(queries),  # [B, N, C + 1]
                start_logits=self.left(queries, words, word_mask)[..., 0],  # [B, N, W]
                end_logits=self.right(queries, words, word_mask)[..., 0],
                boxes=boxes[:, first : first + count],
                drafts=tuple(draft[:, first : first + count] for draft in drafts),
                no_target_logits=self.no_target(queries)[..., 0],  # [B, N, 1] -> [B, N]
                attention=None
                if pointed is None
                else Attention(query_to_patch=pointed[:, first : first + count]),
            )
            for first, (queries, words) in zip(range(0, asked.shape[1], count), layers, strict=True)
        ]
