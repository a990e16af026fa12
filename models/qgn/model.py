"""QGN (arXiv 2603.17314): a proposal-free query-guided network for GMNER."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.core.tensors import Attention, Batch, Outputs
from gmbench.nn.box_head import BoxHead
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import VisionEncoder
from models.qgn.heads import PredictionHeads
from models.qgn.hvla import HierarchicalAlignment, HVLASettings
from models.qgn.mqa import MQASettings, MultiViewQueryAttention
from models.qgn.mqd import Features, MQDSettings, MultimodalQueryDecoding


class QGN(nn.Module):
    """Queries select entities among the words and regress their boxes on the image.

    Features -> MQA and HVLA -> MQD -> heads, each in the file of its name. Outputs do not depend on
    padding, on the other examples of the batch or on the pixels of a missing image.
    """

    def __init__(
        self,
        *,
        text_encoder: TextEncoder,
        vision_encoder: VisionEncoder,
        type_names: Sequence[str],
        num_queries: int = 60,
        heads: int = 8,
        dropout: float = 0.0,
        feature_dropout: float = 0.0,
        mqa: MQASettings | None = None,
        hvla: HVLASettings | None = None,
        mqd: MQDSettings | None = None,
        box: BoxHead = "mlp",
        box_vision: Literal["hvla", "mre"] = "hvla",
        deep_supervision: bool = False,
    ) -> None:
        """Build all parts; the width is the text encoder's.

        Args:
            text_encoder: gives F^t and the states that HVLA reads.
            vision_encoder: the tower that HVLA speaks into; blocks that nothing reads are dropped.
            type_names: names of the types, in class order.
            num_queries: N_q.
            heads: of all attentions (the paper is silent).
            dropout: in MQA, HVLA and MQD; each query then hears noise of its own.
            feature_dropout: on text and visual tokens before MQD, the same for all queries.
            mqa: switches of MQA; None = the paper's.
            hvla: switches of HVLA; None = the paper's.
            mqd: switches of MQD; None = the paper's.
            box: how a query comes to its box.
            box_vision: where the patches of the box head come from: HVLA, or MRE's vision branch,
                in which they have read words and queries.
            deep_supervision: the earlier decoder layers answer too, in training.
        """
        super().__init__()
        width = text_encoder.width
        self.text_encoder = text_encoder
        self.mqa = MultiViewQueryAttention(
            width=width,
            heads=heads,
            num_queries=num_queries,
            dropout=dropout,
            settings=mqa or MQASettings(),
        )
        self.hvla = HierarchicalAlignment(
            vision_encoder=vision_encoder,
            text_depth=text_encoder.depth,
            width=width,
            heads=heads,
            dropout=dropout,
            settings=hvla or HVLASettings(),
        )
        self.feature_dropout = nn.Dropout(feature_dropout)
        self.mqd = MultimodalQueryDecoding(
            width=width,
            heads=heads,
            dropout=dropout,
            prefix=self.hvla.prefix,
            grid=vision_encoder.image_size // vision_encoder.patch_size,
            settings=mqd or MQDSettings(),
        )
        self.heads = PredictionHeads(
            width=width, num_types=len(type_names), prefix=self.hvla.prefix, box=box
        )
        self.box_vision = box_vision
        self.deep_supervision = deep_supervision

    def forward(self, batch: Batch, *, attention: bool = False) -> Outputs:
        """Predict for every query.

        Args:
            batch: with pixels, or without any (then no visual token exists).
            attention: also give ``query_to_patch``: where the box head points, or with
                ``box=mlp`` the last fusion layer's weights on patches, mean over its heads.
        """
        text = self.text_encoder.layers(batch.input_ids, batch.token_mask)  # each [B, S, D]
        refined, queries = self.mqa(text[-1], batch.token_mask, batch.ids)  # [B, S, D], [B, N, D]
        vision, seen = self._vision(batch, text)  # [B, V, D], [B, V]
        features = Features(
            text=self.feature_dropout(refined),
            text_mask=batch.token_mask,
            vision=self.feature_dropout(vision),
            vision_mask=seen,
            queries=queries,
            word_index=batch.word_index,
            num_words=batch.word_mask.shape[1],
            word_mask=batch.word_mask,
        )
        deep = self.deep_supervision and self.training
        decoded = self.mqd(features, deep=deep, picture=attention)
        patches = decoded.vision if self.box_vision == "mre" else features.vision
        *earlier, last = self.heads(
            decoded.layers, patches, word_mask=batch.word_mask, vision_mask=seen
        )
        shown = last.attention  # a loss may teach a pointing head where to point
        if shown is None and attention:
            shown = self._attention(decoded.weights)
        elif not (attention or self.training):
            shown = None
        answer: Outputs = replace(last, aux=tuple(earlier), attention=shown)
        return answer

    def _vision(self, batch: Batch, text: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """``F~^v [B, V, D]`` and its mask ``[B, V]``; one masked token where no pixels came."""
        if batch.pixels is None:
            nothing = text[-1].new_zeros(len(batch), self.hvla.prefix + 1, text[-1].shape[-1])
            return nothing, torch.zeros_like(nothing[..., 0], dtype=torch.bool)
        tokens = self.hvla(batch.pixels, text, batch.token_mask)
        return tokens, batch.image_mask[:, None].expand(-1, tokens.shape[1])

    def _attention(self, weights: Tensor | None) -> Attention:
        """Weights of the patches alone, as shares of what falls on patches at all."""
        if weights is None:
            return Attention()
        patches = weights[..., self.hvla.prefix :]  # [B, N, V] -> [B, N, P]
        total = patches.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(patches.dtype).tiny)
        return Attention(query_to_patch=patches / total)
