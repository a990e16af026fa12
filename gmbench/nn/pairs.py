"""Scores of query-key pairs, the form in which set predictors of entities point at words."""

import torch
from torch import Tensor, nn

from gmbench.tensors import MASKED

CHUNK = 10
"""Queries whose pair representation exists at once: half the time and a third of the memory of
all 60 (measured at paper size on a CPU)."""


class PairScores(nn.Module):
    """``ReLU(H_Q W_Q + H_K W_K) w``: one score (or more) for each pair of query and key.

    Args:
        width: of queries and keys.
        scores: outputs a pair.
    """

    def __init__(self, *, width: int, scores: int = 1) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, scores)

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Queries ``[B, Q, D]``, keys ``[B, K, D]``, mask ``[B, K]`` -> logits ``[B, Q, K, s]``."""
        left, right = self.query(queries)[:, :, None], self.key(keys)[:, None]
        # In place and as one flat product: half the time of a linear layer on four axes.
        parts = [
            (part + right).relu_().flatten(0, 2) @ self.score.weight.T  # [B * CHUNK * K, s]
            for part in left.split(CHUNK, dim=1)
        ]
        shape = (len(queries), -1, *mask.shape[1:], self.score.out_features)
        logits = torch.cat([part.view(shape) for part in parts], dim=1) + self.score.bias
        return logits.masked_fill(~mask[:, None, :, None], MASKED)
