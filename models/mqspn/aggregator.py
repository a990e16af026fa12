"""Similarity-aware aggregator (SAG): what of words and regions a query takes in."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.core.tensors import MASKED
from gmbench.nn.additions import added


@dataclass(frozen=True, kw_only=True)
class SAGSettings:
    """Switches of SAG.

    Attributes:
        lambda_visual: weight of the regions; the words get the rest of 1.
        lambda_learnable: let it learn, from there; it stays between 0 and 1.
        scale: ``none`` is the paper's plain dot product, which saturates at large widths;
            ``sqrt_h`` divides it by the square root of h.

    Raises:
        ValueError: ``lambda_visual`` lies outside 0..1, or is learnable and lies at an end.
    """

    lambda_visual: float = 0.5
    lambda_learnable: bool = False
    scale: Literal["none", "sqrt_h"] = "sqrt_h"

    def __post_init__(self) -> None:
        at_an_end = self.lambda_visual in (0, 1)
        if not 0 <= self.lambda_visual <= 1 or (self.lambda_learnable and at_an_end):
            between = "above 0 and below 1" if self.lambda_learnable else "from 0 to 1"
            raise ValueError(f"lambda_visual={self.lambda_visual} does not lie {between}")


class SimilarityAwareAggregator(nn.Module):
    """SAG: ``F(H_Q) = Tanh(H_Q W1 + sum_phi lambda_phi alpha^phi H_phi) W2 + b``.

    ``alpha_j^phi = softmax_j(H_phi_j . H_Q)`` over words (T) and over regions (V). F stands where
    a transformer block has its feed-forward part: added to the queries, then normalised.

    Args:
        width: h.
        dropout: on F.
        settings: switches.
    """

    def __init__(self, *, width: int, dropout: float, settings: SAGSettings) -> None:
        super().__init__()
        self.first = nn.Linear(width, width, bias=False)
        self.second = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.fixed_lambda = settings.lambda_visual
        self.lambda_logit = None
        if settings.lambda_learnable:  # as log-odds, so that every value is a share
            odds = torch.tensor(settings.lambda_visual / (1 - settings.lambda_visual))
            self.lambda_logit = nn.Parameter(odds.log())
        self.factor = 1.0 if settings.scale == "none" else width**-0.5

    def lambda_visual(self) -> Tensor | float:
        """The regions' share, fixed or learned."""
        return self.fixed_lambda if self.lambda_logit is None else self.lambda_logit.sigmoid()

    def weights(self, queries: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """``alpha [B, u, n]`` of queries ``[B, u, h]`` over states ``[B, n, h]``."""
        # [B, u, h] @ [B, h, n] -> [B, u, n]
        similarity = queries @ states.transpose(1, 2) * self.factor
        return similarity.masked_fill(~mask[:, None], MASKED).softmax(dim=-1)

    def forward(
        self,
        queries: Tensor,
        words: Tensor,
        word_mask: Tensor,
        regions: Tensor,
        region_mask: Tensor,
    ) -> Tensor:
        """Queries after SAG, ``[B, u, h]``.

        Args:
            queries: ``[B, u, h]``.
            words: ``[B, n, h]``.
            word_mask: ``[B, n]``.
            regions: ``[B, k + 1, h]``.
            region_mask: ``[B, k + 1]``.
        """
        # alpha^T H_T and alpha^V H_V: [B, u, n] @ [B, n, h] -> [B, u, h]
        text = self.weights(queries, words, word_mask) @ words
        vision = self.weights(queries, regions, region_mask) @ regions
        share = self.lambda_visual()
        mixed = share * vision + (1 - share) * text
        fused = self.second(torch.tanh(self.first(queries) + mixed))
        result: Tensor = self.norm(added(self, queries, self.dropout(fused)))
        return result
