"""Heads: where spans start and end, which start belongs to which end, and one box a type."""

import torch
from torch import Tensor, nn

from gmbench.core.tensors import MASKED
from gmbench.nn.box_head import BoxRegression
from gmbench.nn.layers import PairScores

RARE_END, RARE_SPAN = -2.0, -4.0
"""Log-odds at the start: most words begin no entity, most pairs of words are none."""


class SpanHeads(nn.Module):
    """Start, end and match as in reading comprehension with several answers (Li et al., 2020).

    Args:
        width: of the word states.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.start = nn.Linear(width, 1)
        self.end = nn.Linear(width, 1)
        self.match = PairScores(width=width)
        for bias, value in (
            (self.start.bias, RARE_END),
            (self.end.bias, RARE_END),
            (self.match.score.bias, RARE_SPAN),
        ):
            nn.init.constant_(bias, value)

    def forward(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-odds of each start, each end and each span.

        Args:
            words: ``[N, W, D]``.
            mask: ``[N, W]``.

        Returns:
            ``[N, W]``, ``[N, W]`` and ``[N, W, W]``: words i to j at ``[i, j]``.
        """
        start = self.start(words)[..., 0].masked_fill(~mask, MASKED)  # [N, W, 1] -> [N, W]
        end = self.end(words)[..., 0].masked_fill(~mask, MASKED)
        pairs = self.match(words, words, mask)[..., 0]  # [N, W, W]
        forward = torch.ones_like(pairs[0], dtype=torch.bool).triu()  # [W, W], i <= j
        return start, end, pairs.masked_fill(~(forward & mask[..., None]), MASKED)


class GroundingHead(nn.Module):
    """One box a question, read off the patches that the question points at.

    As in one-stage visual grounding every place has a score and a box of its own; the answer is
    their mean by the softmax of the scores, so that the choice can be learned from the box.

    Args:
        width: of text and patches.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.box = BoxRegression(width=width, prefix=0, kind="patches")

    def forward(self, question: Tensor, vision: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes and places.

        Args:
            question: ``[N, D]``, the state of [CLS].
            vision: ``[N, P, D]``.
            mask: ``[N, P]``.

        Returns:
            Boxes ``[N, 4]`` cxcywh in 0..1, and the weights ``[N, P]`` of the places.
        """
        (boxes,), weights = self.box(question[:, None], vision, mask)  # one query: [N, 1, 4 | P]
        assert weights is not None
        return boxes[:, 0], weights[:, 0]
