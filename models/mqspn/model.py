"""MQSPN (Tang et al., AAAI 2025): a proposal-based set prediction model for GMNER."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.nn.layers import sinusoids
from gmbench.nn.text import TextEncoder, pool_words
from gmbench.nn.vision import VisionEncoder
from gmbench.tensors import Batch, Outputs
from models.mqspn.fusion import QFNetLayer
from models.mqspn.heads import SetPrediction
from models.mqspn.queries import MultiGrainedQueries


class MQSPN(nn.Module):
    """Queries look for entities in the words and for their pictures among candidate regions.

    Features -> MQS (``queries.py``) -> QFNet (``fusion.py``) -> MSP (``heads.py``). Outputs do not
    depend on padding, on the other examples of the batch or on masked regions.
    """

    def __init__(
        self,
        *,
        text_encoder: TextEncoder,
        vision_encoder: VisionEncoder,
        tokenizer: PreTrainedTokenizerFast,
        type_names: Sequence[str],
        num_queries: int = 60,
        layers: int = 3,
        heads: int = 8,
        dropout: float = 0.0,
        feature_dropout: float = 0.1,
        type_queries: bool = True,
        entity_queries: Literal["learned", "human"] = "learned",
        human_queries: Mapping[str, str] | None = None,
        repeat: Literal["tile", "block"] = "tile",
        query_init_std: float = 0.02,
        query_pos: Literal["avg", "none"] = "avg",
        word_pos: Literal["sinusoid", "none"] = "sinusoid",
        query_self_attention: bool = False,
        qct: bool = True,
        prefix_source: Literal["query", "token", "none"] = "query",
        aggregator: Literal["similarity", "none"] = "similarity",
        lambda_visual: float = 0.5,
        aggregator_scale: Literal["none", "sqrt_h"] = "sqrt_h",
        entity_classifier: Literal["softmax", "existence"] = "softmax",
        share_boundary: bool = True,
        activation: Literal["sigmoid", "softmax"] = "sigmoid",
        train_vision: bool = False,
    ) -> None:
        """Build all parts; h is the text encoder's width.

        Args:
            text_encoder: gives H_T.
            vision_encoder: gives one vector a region crop; frozen unless ``train_vision``.
            tokenizer: of the text encoder, for the type prompts.
            type_names: names of the types for prompts, in class order.
            num_queries: u.
            layers: L of QFNet.
            heads: attention heads of QFNet.
            dropout: in QFNet and the heads. Each query then hears noise of its own, louder than
                what tells it apart from its neighbours: above 0 the queries tend to stay alike.
            feature_dropout: on word states and region vectors before QFNet, the same for all
                queries.
            type_queries: prompt-based type-grained part; false = *w/o PTQ*.
            entity_queries: learned, or one written question a type (*w/o LEQ*).
            human_queries: those questions, by type name.
            repeat: how types are spread over queries.
            query_init_std: of the learned part (the paper: 0.02).
            query_pos: learned query position, averaged into attention queries, or none.
            word_pos: sinusoids of the word's place (Vaswani et al. 2017) added to the word states:
                without them queries hardly learn to look for different entities of a sentence.
            query_self_attention: queries attend to each other before they see the words.
            qct: query-text cross-attention; false = *w/o QCT*.
            prefix_source: what prefixes the regions' attention; ``none`` = *w/o QPI*.
            aggregator: similarity-aware aggregator; ``none`` = *w/o SAG*.
            lambda_visual: its weight of the regions against the words.
            aggregator_scale: of its dot products.
            entity_classifier: types and *no entity*, or the query's own type only.
            share_boundary: one pair representation for start and end, or two.
            activation: turns scores into probabilities; the matcher's and the losses' own.
            train_vision: let the vision encoder learn (the paper freezes it).
        """
        super().__init__()
        width = text_encoder.width
        self.queries = MultiGrainedQueries(
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            type_names=type_names,
            num_queries=num_queries,
            type_queries=type_queries,
            entity_queries=entity_queries,
            human_queries=human_queries,
            repeat=repeat,
            query_init_std=query_init_std,
        )
        self.text_encoder = text_encoder
        self.vision_encoder = vision_encoder.requires_grad_(train_vision)
        self.train_vision = train_vision
        self.region_projection = nn.Sequential(
            nn.Linear(vision_encoder.width, width), nn.LayerNorm(width)
        )
        self.feature_dropout = nn.Dropout(feature_dropout)
        self.word_pos = word_pos
        self.word_norm = nn.LayerNorm(width)
        self.position = None
        if query_pos == "avg":
            # N(0, 1) as released: it is what tells the queries of one type apart from the start.
            self.position = nn.Parameter(torch.randn(num_queries, width))
        self.qfnet = nn.ModuleList(
            QFNetLayer(
                width=width,
                heads=heads,
                dropout=dropout,
                qct=qct,
                query_self_attention=query_self_attention,
                prefix_source=prefix_source,
                aggregator=aggregator,
                lambda_visual=lambda_visual,
                aggregator_scale=aggregator_scale,
            )
            for _ in range(layers)
        )
        self.heads = SetPrediction(
            width=width,
            num_types=len(type_names),
            entity_classifier=entity_classifier,
            share_boundary=share_boundary,
            activation=activation,
            dropout=dropout,
        )

    def forward(self, batch: Batch) -> Outputs:
        """Answer for every query; in training, the earlier QFNet layers answer too.

        Raises:
            ValueError: the batch carries no candidate slots.
        """
        if batch.region_mask is None:
            raise ValueError("MQSPN needs candidate regions: set regions=... and inputs: [regions]")
        hidden = self.text_encoder(batch.input_ids, batch.token_mask)  # [B, T, h]
        words = pool_words(hidden, batch.word_index, batch.word_mask.shape[1])  # [B, n, h]
        if self.word_pos == "sinusoid":
            words = words + sinusoids(words.shape[1], words.shape[2]).to(words)
        words = self.feature_dropout(self.word_norm(words))
        regions = self.region_projection(self._regions(batch))  # [B, k + 1, h]
        regions = self.feature_dropout(regions)
        queries = self.queries(len(batch))  # [B, u, h]
        answers: list[Outputs] = []
        for depth, layer in enumerate(self.qfnet, start=1):
            queries, regions = layer(
                queries, words, batch.word_mask, regions, batch.region_mask, self.position
            )
            if self.training or depth == len(self.qfnet):
                answers.append(self._answer(queries, words, regions, batch))
        last = answers.pop()
        return Outputs(
            type_logits=last.type_logits,
            start_logits=last.start_logits,
            end_logits=last.end_logits,
            region_logits=last.region_logits,
            aux=tuple(answers),
        )

    def _answer(self, queries: Tensor, words: Tensor, regions: Tensor, batch: Batch) -> Outputs:
        types, start, end, region = self.heads(
            queries,
            words,
            regions,
            word_mask=batch.word_mask,
            region_mask=batch.region_mask,
            type_of_query=self.queries.type_of_query,
        )
        return Outputs(type_logits=types, start_logits=start, end_logits=end, region_logits=region)

    def _regions(self, batch: Batch) -> Tensor:
        """One vector a slot, ``[B, k + 1, d]``: cached, or encoded from the crops."""
        if batch.region_features is not None:
            return batch.region_features
        if batch.region_pixels is None:
            raise ValueError("MQSPN needs region_features or region_pixels in the batch")
        rows, slots = batch.region_pixels.shape[:2]
        with torch.set_grad_enabled(self.train_vision and torch.is_grad_enabled()):
            vectors = self.vision_encoder.vector(batch.region_pixels.flatten(0, 1))
        return vectors.view(rows, slots, -1)  # [B * (k + 1), d] -> [B, k + 1, d]
