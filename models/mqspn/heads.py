"""Multimodal Set Prediction (MSP): span boundaries, candidate regions and entity types."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.core.tensors import MASKED
from gmbench.nn.layers import PairScores


@dataclass(frozen=True, kw_only=True)
class MSPSettings:
    """Switches of the heads.

    Attributes:
        entity_classifier: types and *no entity*, or the query's own type alone; see
            EntityClassifier.
        classifier_regions: the regions a query points at are evidence for its type.
        share_boundary_proj: start and end read one ``S^b`` (paper) or two (released code).
        activation: turns scores into P^s, P^e, P^r (paper: sigmoid); must be the matcher's and the
            losses' own.
        dropout: in the classifier and on what region matching reads of the regions (released code:
            0.5); None = the model's in the former, none in the latter.
    """

    entity_classifier: Literal["softmax", "existence"] = "softmax"
    classifier_regions: bool = True
    share_boundary_proj: bool = True
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    dropout: float | None = None


class EntityClassifier(nn.Module):
    """``S^c = ReLU([H_Q W; P^s H_T; P^e H_T; P^r H_V])``, then types.

    ``softmax`` answers over all types and *no entity*, which the paper's own loss needs;
    ``existence`` is the paper's sentence read literally: one sigmoid says whether an entity of
    the query's own type exists, every other type is impossible for it. Without regions
    ``P^r H_V`` is left out (the released code).

    Args:
        width: h.
        num_types: p.
        settings: ``entity_classifier`` and ``classifier_regions`` are read.
        dropout: before the last projection.
    """

    def __init__(
        self, *, width: int, num_types: int, settings: MSPSettings, dropout: float
    ) -> None:
        super().__init__()
        self.kind = settings.entity_classifier
        self.num_types = num_types
        self.query = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.regions = settings.classifier_regions
        evidence = 4 if self.regions else 3
        self.score = nn.Linear(evidence * width, num_types + 1 if self.kind == "softmax" else 1)

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
        # [B, u, n] @ [B, n, h] -> [B, u, h]
        evidence = [self.query(queries), start @ words, end @ words]
        if self.regions:
            evidence.append(region @ regions)  # [B, u, k + 1] @ [B, k + 1, h] -> [B, u, h]
        combined = torch.cat(evidence, dim=-1).relu()  # S^c [B, u, 4 h]
        logits: Tensor = self.score(self.dropout(combined))  # [B, u, p + 1], or [B, u, 1]
        if self.kind == "softmax":
            return logits
        own = nn.functional.one_hot(type_of_query, self.num_types + 1).bool()  # [u, p + 1]
        # [B, u, 1] -> [B, u, p + 1]
        answer = torch.where(own, logits, torch.full_like(logits, MASKED))
        # sigmoid(x) = softmax([0, x])[1]: index 0 stays at 0
        return torch.cat([torch.zeros_like(logits), answer[..., 1:]], dim=-1)


class SetPrediction(nn.Module):
    """All heads of MSP; the same weights answer for every fusion layer (deep supervision).

    Args:
        width: h.
        num_types: p.
        dropout: inside the classifier, unless the settings name one; none on pairs, where it costs
            a third of a step.
        settings: switches.
    """

    def __init__(
        self, *, width: int, num_types: int, dropout: float, settings: MSPSettings
    ) -> None:
        super().__init__()
        self.activation = settings.activation
        sizes = (2,) if settings.share_boundary_proj else (1, 1)
        self.boundary = nn.ModuleList(PairScores(width=width, scores=size) for size in sizes)
        self.region = PairScores(width=width)
        self.region_dropout = nn.Dropout(settings.dropout or 0.0)
        self.entity_type = EntityClassifier(
            width=width,
            num_types=num_types,
            settings=settings,
            dropout=dropout if settings.dropout is None else settings.dropout,
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
        # S^b w: one head of two scores or two heads of one -> [B, u, n, 2]
        pairs = torch.cat([head(queries, words, word_mask) for head in self.boundary], dim=-1)
        start, end = pairs[..., 0], pairs[..., 1]  # [B, u, n]
        # S^r w: [B, u, k + 1, 1] -> [B, u, k + 1]
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
