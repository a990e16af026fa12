"""Query-guided Fusion Net (QFNet): queries attend to words, regions to queries; noise is cut."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.nn.additions import added, measuring
from gmbench.nn.layers import Attention, CrossBlock, FeedForward
from models.mqspn.aggregator import SAGSettings, SimilarityAwareAggregator


@dataclass(frozen=True, kw_only=True)
class QFNetSettings:
    """Switches of QFNet.

    Attributes:
        layers: L.
        qct: query-text cross-attention; false = the ablation *w/o QCT*: the same block without
            text keys, so queries attend to queries.
        query_pos: learned query position averaged with (the released code; the paper is silent)
            or added to the queries of an attention.
        query_self_attention: queries attend to each other before they see the words.
        prefix_source: what prefixes the regions' attention; ``none`` = *w/o QPI*.
        aggregator: similarity-aware aggregator; ``none`` = *w/o SAG*.
        direct: direct fusion, which QFNet is to improve on: a layer is one block in which queries,
            words and regions attend to each other; the other switches but ``layers`` and
            ``query_pos`` have no effect.
    """

    layers: int = 3
    qct: bool = True
    query_pos: Literal["avg", "add", "none"] = "avg"
    query_self_attention: bool = False
    prefix_source: Literal["query", "token", "none"] = "query"
    aggregator: Literal["similarity", "none"] = "similarity"
    direct: bool = False


class QueryTextCrossAttention(nn.Module):
    """QCT: a post-norm transformer block in which queries attend to words.

    The learned query position enters the attention's query only.

    Args:
        width: h.
        heads: attention heads.
        dropout: after attention and feed-forward.
        settings: ``qct``, ``query_pos`` and ``query_self_attention`` are read.
    """

    def __init__(self, *, width: int, heads: int, dropout: float, settings: QFNetSettings) -> None:
        super().__init__()
        self.text = settings.qct
        self.average = settings.query_pos == "avg"
        self.among = None
        if settings.query_self_attention:
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
        """Queries ``[B, u, h]`` after the block.

        Args:
            queries: ``[B, u, h]``.
            words: ``[B, n, h]``.
            word_mask: ``[B, n]``.
            position: ``[u, h]``, or None.
        """
        if self.among is not None:
            asking = placed(queries, position, self.average)
            queries = self.among_norm(queries + self.dropout(self.among(asking, asking)))
        asking = placed(queries, position, self.average)
        heard = self.cross(asking, words, word_mask) if self.text else self.cross(asking, asking)
        queries = self.cross_norm(added(self, queries, self.dropout(heard)))
        result: Tensor = self.feed_norm(queries + self.dropout(self.feed_forward(queries)))
        return result


def placed(queries: Tensor, position: Tensor | None, average: bool) -> Tensor:
    """Queries ``[B, u, h]`` with their learned positions ``[u, h]``; as they are where none is."""
    if position is None:
        return queries
    return (queries + position) / (2 if average else 1)


class QueryRegionPrefix(nn.Module):
    """QPI: regions attend to ``[prefix; regions]``, the prefix being projected queries.

    ``softmax(Q_V [K_pre; K_V]^T / sqrt(d_head)) [V_pre; V_V]`` with real masks; the paper's
    appendix is not public, so the form is that of its sources (HVPNeT, MKGformer).

    Args:
        width: h.
        heads: attention heads.
        dropout: after attention and feed-forward.
        prefix: false = the ablation *w/o QPI*: plain self-attention among regions.
    """

    def __init__(self, *, width: int, heads: int, dropout: float, prefix: bool) -> None:
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
            keys = torch.cat([self.prefix(source), regions], dim=1)  # [B, s + k + 1, h]
            mask = torch.cat([source_mask, region_mask], dim=1)  # [B, s + k + 1]
        heard = self.attention(regions, keys, mask)  # [B, k + 1, h]
        if self.prefix is not None and measuring():
            alone = self.attention(regions, regions, region_mask)
            added(self, alone, heard - alone, "prefix")
        regions = self.attention_norm(regions + self.dropout(heard))
        result: Tensor = self.feed_norm(regions + self.dropout(self.feed_forward(regions)))
        return result


class QFNetLayer(nn.Module):
    """One layer of QFNet: QCT, then QPI, then SAG; or of direct fusion.

    Args:
        width: h.
        heads: attention heads of QCT and QPI.
        dropout: in all three.
        settings: switches.
        sag: switches of SAG.
    """

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        dropout: float,
        settings: QFNetSettings,
        sag: SAGSettings,
    ) -> None:
        super().__init__()
        self.sag = None
        self.average = settings.query_pos == "avg"
        self.direct = None
        if settings.direct:
            self.direct = CrossBlock(width=width, heads=heads, dropout=dropout)
            return
        self.qct = QueryTextCrossAttention(
            width=width, heads=heads, dropout=dropout, settings=settings
        )
        self.prefix_source = settings.prefix_source
        self.qpi = QueryRegionPrefix(
            width=width, heads=heads, dropout=dropout, prefix=settings.prefix_source != "none"
        )
        if settings.aggregator == "similarity":
            self.sag = SimilarityAwareAggregator(width=width, dropout=dropout, settings=sag)

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
        if self.direct is not None:
            states = torch.cat([placed(queries, position, self.average), words, regions], dim=1)
            mask = torch.cat([word_mask.new_ones(queries.shape[:2]), word_mask, region_mask], dim=1)
            states = self.direct(states, states, mask)  # [B, u + n + k + 1, h]
            return states[:, : queries.shape[1]], states[:, -regions.shape[1] :]
        queries, regions = self._meet(queries, words, word_mask, regions, region_mask, position)
        if self.sag is not None:
            queries = self.sag(queries, words, word_mask, regions, region_mask)
        return queries, regions

    def weights(
        self,
        queries: Tensor,
        words: Tensor,
        word_mask: Tensor,
        regions: Tensor,
        region_mask: Tensor,
        position: Tensor | None,
    ) -> tuple[Tensor, Tensor] | None:
        """The aggregator's alpha over words and regions, given :meth:`forward`'s arguments.

        Returns:
            ``[B, u, n]`` and ``[B, u, k + 1]``; None without an aggregator.
        """
        if self.sag is None:
            return None
        queries, regions = self._meet(queries, words, word_mask, regions, region_mask, position)
        return (
            self.sag.weights(queries, words, word_mask),
            self.sag.weights(queries, regions, region_mask),
        )

    def _meet(
        self,
        queries: Tensor,
        words: Tensor,
        word_mask: Tensor,
        regions: Tensor,
        region_mask: Tensor,
        position: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """QCT, then QPI: queries ``[B, u, h]`` and regions ``[B, k + 1, h]``."""
        queries = self.qct(queries, words, word_mask, position)
        if self.prefix_source == "token":
            source, source_mask = words, word_mask
        else:
            source, source_mask = queries, queries.new_ones(queries.shape[:2], dtype=torch.bool)
        return queries, self.qpi(regions, region_mask, source, source_mask)
