"""Multimodal Set Prediction (MSP): span boundaries, candidate regions and entity types."""

from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.core.tensors import MASKED
from gmbench.nn.layers import PairScores


class EntityClassifier(nn.Module):
    """``S^c = ReLU([H_Q W; P^s H_T; P^e H_T; P^r H_V])``, then types.

    ``softmax`` answers over all types and *no entity*, which the paper's own loss needs;
    ``existence`` is the paper's sentence read literally: one sigmoid says whether an entity of
    the query's own type exists, every other type is impossible for it. Without regions
    ``P^r H_V`` is left out (the released code).
    """

    def __init__(
        self,
        *,
        width: int,
        num_types: int,
        kind: Literal["softmax", "existence"] = "softmax",
        regions: bool = True,
        dropout: float = 0.1,
    ) -> None:
        """Build the projections.

        Args:
            width: h.
            num_types: p.
            kind: see the class.
            regions: whether the regions are evidence too.
            dropout: before the last projection.
        """
        super().__init__()
        self.kind = kind
        self.num_types = num_types
        self.query = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.regions = regions
        self.score = nn.Linear(
            (4 if regions else 3) * width, num_types + 1 if kind == "softmax" else 1
        )

    def forward(
        self,
        queries: Tensor,
        words: Tensor,
        regions: Tensor,
        *,
        start: Tensor,
        end: Tensor,
        region: Tensor,
        type_of_query: Tensor,
    ) -> Tensor:
        """Type logits.

        Args:
            queries: ``[B, u, h]``.
            words: ``[B, n, h]``.
            regions: ``[B, k + 1, h]``.
            start: P^s ``[B, u, n]``, 0 on padding.
            end: P^e ``[B, u, n]``, 0 on padding.
            region: P^r ``[B, u, k + 1]``, 0 on padding.
            type_of_query: ``[u]`` class of each query, used by ``existence``.

        Returns:
            ``[B, u, p + 1]``; index 0 = no entity.
        """
        evidence = [self.query(queries), start @ words, end @ words]
        if self.regions:
            evidence.append(region @ regions)
        logits: Tensor = self.score(self.dropout(torch.cat(evidence, dim=-1).relu()))
        if self.kind == "softmax":
            return logits
        own = nn.functional.one_hot(type_of_query, self.num_types + 1).bool()  # [u, p + 1]
        answer = torch.where(own, logits, torch.full_like(logits, MASKED))
        # sigmoid(x) = softmax([0, x])[1]: index 0 stays at 0
        return torch.cat([torch.zeros_like(logits), answer[..., 1:]], dim=-1)


class SetPrediction(nn.Module):
    """All heads of MSP; the same weights answer for every fusion layer (deep supervision)."""

    def __init__(
        self,
        *,
        width: int,
        num_types: int,
        entity_classifier: Literal["softmax", "existence"] = "softmax",
        classifier_regions: bool = True,
        share_boundary_proj: bool = True,
        activation: Literal["sigmoid", "softmax"] = "sigmoid",
        dropout: float = 0.1,
        region_dropout: float = 0.0,
    ) -> None:
        """Build the heads.

        Args:
            width: h.
            num_types: p.
            entity_classifier: see EntityClassifier.
            classifier_regions: see EntityClassifier.
            share_boundary_proj: start and end read one ``S^b`` (paper) or two (released code).
            activation: turns scores into P^s, P^e, P^r (paper: sigmoid); must be the matcher's
                and the losses' own.
            dropout: inside the classifier; none on pairs, where it costs a third of a step.
            region_dropout: on what region matching reads of the regions (released code: 0.5).
        """
        super().__init__()
        self.activation = activation
        sizes = (2,) if share_boundary_proj else (1, 1)
        self.boundary = nn.ModuleList(PairScores(width=width, scores=size) for size in sizes)
        self.region = PairScores(width=width)
        self.region_dropout = nn.Dropout(region_dropout)
        self.entity_type = EntityClassifier(
            width=width,
            num_types=num_types,
            kind=entity_classifier,
            regions=classifier_regions,
            dropout=dropout,
        )

    def forward(
        self,
        queries: Tensor,
        words: Tensor,
        regions: Tensor,
        *,
        word_mask: Tensor,
        region_mask: Tensor,
        type_of_query: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits of types, starts, ends and regions.

        Args:
            queries: ``[B, u, h]``.
            words: ``[B, n, h]``.
            regions: ``[B, k + 1, h]``.
            word_mask: ``[B, n]``.
            region_mask: ``[B, k + 1]``.
            type_of_query: ``[u]`` class of each query.

        Returns:
            ``[B, u, p + 1]``, ``[B, u, n]``, ``[B, u, n]``, ``[B, u, k + 1]``.
        """
        pairs = torch.cat([head(queries, words, word_mask) for head in self.boundary], dim=-1)
        start, end = pairs[..., 0], pairs[..., 1]
        region = self.region(queries, self.region_dropout(regions), region_mask)[..., 0]
        types = self.entity_type(
            queries,
            words,
            regions,
            start=self._probability(start),
            end=self._probability(end),
            region=self._probability(region),
            type_of_query=type_of_query,
        )
        return types, start, end, region

    def _probability(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.activation == "sigmoid" else logits.softmax(dim=-1)
