"""Multi-View Query Attention (MQA): queries gather what the text says (QGN III-A, eq. 1 and 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.nn.additions import added
from gmbench.nn.layers import Attention
from models.qgn.queries import InitialQueries, QueryInit


@dataclass(frozen=True, kw_only=True)
class MQASettings:
    """Switches of MQA.

    Attributes:
        enabled: false = Table III without MQA: initial queries and plain text go on.
        query_init: where queries start; see InitialQueries.
        query_std: of what is learned there, at the start.
        tqc: text-guided query cross-attention, eq. 1; false = *w/o TQC*.
        jca: joint self-attention of words and queries, eq. 2; false = *w/o JCA*.
        jca_residual: add what came in and normalise; false = eq. 2 as printed.
        jca_mask: ``piqn`` keeps words from looking at queries.
    """

    enabled: bool = True
    query_init: QueryInit = "param"
    query_std: float = 0.02
    tqc: bool = True
    jca: bool = True
    jca_residual: bool = True
    jca_mask: Literal["full", "piqn"] = "full"


class MultiViewQueryAttention(nn.Module):
    """Refine the queries with the sentence, and the text with the queries.

    Args:
        width: of text and queries.
        heads: of both attentions.
        num_queries: N.
        dropout: on attention weights and on what each stage adds.
        settings: switches.
    """

    def __init__(
        self, *, width: int, heads: int, num_queries: int, dropout: float, settings: MQASettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.initial = InitialQueries(
            width=width, number=num_queries, init=settings.query_init, std=settings.query_std
        )
        self.tqc = settings.enabled and settings.tqc
        self.jca = settings.enabled and settings.jca
        self.dropout = nn.Dropout(dropout)
        if self.tqc:
            self.look = Attention(width=width, heads=heads, dropout=dropout)
            self.look_norm = nn.LayerNorm(width)
        if self.jca:
            self.joint = Attention(width=width, heads=heads, dropout=dropout)
        if self.jca and settings.jca_residual:
            self.joint_norm = nn.LayerNorm(width)

    def forward(self, text: Tensor, mask: Tensor, ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Refine text and queries.

        Args:
            text: ``F^t [B, S, D]``.
            mask: ``[B, S]``.
            ids: of the samples.

        Returns:
            ``F~^t [B, S, D]`` and ``Q~ [B, N, D]``.
        """
        queries = self.initial(text, mask, ids)  # [B, N, D]
        if self.tqc:
            message = self.dropout(self.look(queries, text, mask))
            queries = self.look_norm(added(self, queries, message, "tqc"))
        if not self.jca:
            return text, queries
        sequence = torch.cat([text, queries], dim=1)  # [B, S + N, D]
        joint = self.joint(sequence, sequence, self._mask(mask, queries.shape[1]))
        if self.settings.jca_residual:
            joint = self.joint_norm(added(self, sequence, self.dropout(joint), "jca"))
        size = text.shape[1]
        return joint[:, :size], joint[:, size:]  # [B, S, D], [B, N, D]

    def _mask(self, mask: Tensor, queries: int) -> Tensor:
        """``[B, S + N]``, or ``[B, S + N, S + N]`` where words may not look at queries."""
        keys = torch.cat([mask, mask.new_ones(len(mask), queries)], dim=1)  # [B, S + N]
        if self.settings.jca_mask == "full":
            return keys
        words = mask.shape[1]
        grid = keys[:, None].repeat(1, keys.shape[1], 1)  # [B, S + N, S + N]
        grid[:, :words, words:] = False
        return grid
