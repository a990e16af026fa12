"""Query-guided Fusion Net (QFNet): queries meet words, regions meet queries, noise is filtered."""

from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.nn.layers import Attention, FeedForward
from gmbench.tensors import MASKED


class QueryTextCrossAttention(nn.Module):
    """QCT: a post-norm transformer block in which queries attend to words.

    The learned query position enters the attention's query only, averaged with the state (the
    released code; the paper is silent).
    """

    def __init__(
        self, *, width: int, heads: int, dropout: float, text: bool, self_attention: bool
    ) -> None:
        """Build the block.

        Args:
            width: h.
            heads: attention heads.
            dropout: after attention and feed-forward.
            text: false = the ablation *w/o QCT*: the same block without text keys, so queries
                attend to queries.
            self_attention: queries also attend to each other before they see the words.
        """
        super().__init__()
        self.text = text
        self.among = None
        if self_attention:
            self.among = Attention(width=width, heads=heads, dropout=dropout)
            self.among_norm = nn.LayerNorm(width)
        self.cross = Attention(width=width, heads=heads, dropout=dropout)
        self.cross_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width=width, hidden=4 * width, dropout=dropout)
        self.feed_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, queries: Tensor, words: Tensor, word_mask: Tensor, position: Tensor | None
    ) -> Tensor:
        """Queries ``[B, u, h]``, words ``[B, n, h]``, mask ``[B, n]`` -> ``[B, u, h]``."""
        if self.among is not None:
            placed = place(queries, position)
            queries = self.among_norm(queries + self.dropout(self.among(placed, placed)))
        placed = place(queries, position)
        found = self.cross(placed, words, word_mask) if self.text else self.cross(placed, placed)
        queries = self.cross_norm(queries + self.dropout(found))
        result: Tensor = self.feed_norm(queries + self.dropout(self.feed_forward(queries)))
        return result


def place(queries: Tensor, position: Tensor | None) -> Tensor:
    """Average of query state and learned query position; the state where there is none."""
    return queries if position is None else (queries + position) / 2


class QueryRegionPrefix(nn.Module):
    """QPI: regions attend to ``[prefix; regions]``, the prefix being projected queries.

    ``softmax(Q_V [K_pre; K_V]^T / sqrt(d_head)) [V_pre; V_V]`` with real masks; the paper's
    appendix is not public, so the form is that of its sources (HVPNeT, MKGformer).
    """

    def __init__(self, *, width: int, heads: int, dropout: float, prefix: bool) -> None:
        """Build the block.

        Args:
            width: h.
            heads: attention heads.
            dropout: after attention and feed-forward.
            prefix: false = the ablation *w/o QPI*: plain self-attention among regions.
        """
        super().__init__()
        self.prefix = nn.Linear(width, width) if prefix else None
        self.attention = Attention(width=width, heads=heads, dropout=dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width=width, hidden=4 * width, dropout=dropout)
        self.feed_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, regions: Tensor, region_mask: Tensor, source: Tensor, source_mask: Tensor
    ) -> Tensor:
        """Regions ``[B, k + 1, h]`` and prefix source ``[B, s, h]`` -> ``[B, k + 1, h]``."""
        keys, mask = regions, region_mask
        if self.prefix is not None:
            keys = torch.cat([self.prefix(source), regions], dim=1)
            mask = torch.cat([source_mask, region_mask], dim=1)
        found = self.attention(regions, keys, mask)
        regions = self.attention_norm(regions + self.dropout(found))
        result: Tensor = self.feed_norm(regions + self.dropout(self.feed_forward(regions)))
        return result


class SimilarityAwareAggregator(nn.Module):
    """SAG: ``F(H_Q) = Tanh(H_Q W1 + sum_phi lambda_phi alpha^phi H_phi) W2 + b``.

    ``alpha_j^phi = softmax_j(H_phi_j . H_Q)`` over words (T) and over regions (V). F stands where
    a transformer block has its feed-forward part: added to the queries, then normalised.
    """

    def __init__(
        self,
        *,
        width: int,
        dropout: float,
        lambda_visual: float = 0.5,
        scale: Literal["none", "sqrt_h"] = "sqrt_h",
    ) -> None:
        """Build the projections.

        Args:
            width: h.
            dropout: on F.
            lambda_visual: weight of the regions; the words get the rest of 1.
            scale: ``none`` is the paper's plain dot product, which saturates at large widths;
                ``sqrt_h`` divides it by the square root of h.
        """
        super().__init__()
        self.first = nn.Linear(width, width, bias=False)
        self.second = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.lambda_visual = lambda_visual
        self.factor = 1.0 if scale == "none" else width**-0.5

    def weights(self, queries: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """``alpha [B, u, n]`` of queries ``[B, u, h]`` over states ``[B, n, h]``."""
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
        """``[B, u, h]``."""
        text = self.weights(queries, words, word_mask) @ words
        vision = self.weights(queries, regions, region_mask) @ regions
        mixed = self.lambda_visual * vision + (1 - self.lambda_visual) * text
        fused = self.second(torch.tanh(self.first(queries) + mixed))
        result: Tensor = self.norm(queries + self.dropout(fused))
        return result


class QFNetLayer(nn.Module):
    """One layer of QFNet: QCT, then QPI, then SAG."""

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        dropout: float,
        qct: bool = True,
        query_self_attention: bool = False,
        prefix_source: Literal["query", "token", "none"] = "query",
        aggregator: Literal["similarity", "none"] = "similarity",
        lambda_visual: float = 0.5,
        aggregator_scale: Literal["none", "sqrt_h"] = "sqrt_h",
    ) -> None:
        """Build the three interactions; each switch removes what it names."""
        super().__init__()
        self.qct = QueryTextCrossAttention(
            width=width,
            heads=heads,
            dropout=dropout,
            text=qct,
            self_attention=query_self_attention,
        )
        self.prefix_source = prefix_source
        self.qpi = QueryRegionPrefix(
            width=width, heads=heads, dropout=dropout, prefix=prefix_source != "none"
        )
        self.sag = None
        if aggregator == "similarity":
            self.sag = SimilarityAwareAggregator(
                width=width, dropout=dropout, lambda_visual=lambda_visual, scale=aggregator_scale
            )

    def forward(
        self,
        queries: Tensor,
        words: Tensor,
        word_mask: Tensor,
        regions: Tensor,
        region_mask: Tensor,
        position: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Queries ``[B, u, h]`` and regions ``[B, k + 1, h]`` after one layer."""
        queries = self.qct(queries, words, word_mask, position)
        if self.prefix_source == "token":
            source, source_mask = words, word_mask
        else:
            source, source_mask = queries, queries.new_ones(queries.shape[:2], dtype=torch.bool)
        regions = self.qpi(regions, region_mask, source, source_mask)
        if self.sag is not None:
            queries = self.sag(queries, words, word_mask, regions, region_mask)
        return queries, regions
