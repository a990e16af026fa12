"""MQSPN (Tang et al., AAAI 2025): a proposal-based set prediction model for GMNER."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.core.tensors import Attention, Batch, Outputs
from gmbench.nn.layers import sinusoids
from gmbench.nn.text import TextEncoder, pool_words
from gmbench.nn.vision import VisionEncoder
from models.mqspn.fusion import QFNetLayer
from models.mqspn.heads import SetPrediction
from models.mqspn.joint import check_joint, joint_states
from models.mqspn.queries import MultiGrainedQueries
from models.mqspn.regions import region_vectors


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
        query_encoder: Literal["qfnet", "joint_bert"] = "qfnet",
        layers: int = 3,
        heads: int = 8,
        dropout: float = 0.0,
        feature_dropout: float = 0.1,
        query_dropout: float = 0.0,
        head_dropout: float | None = None,
        type_queries: bool = True,
        ptq_trainable: bool = False,
        entity_queries: Literal["learned", "human"] = "learned",
        human_queries: Mapping[str, str] | None = None,
        repeat: Literal["tile", "block"] = "tile",
        query_init_std: float = 0.02,
        query_pos: Literal["avg", "add", "none"] = "avg",
        word_pos: Literal["sinusoid", "none"] = "sinusoid",
        query_self_attention: bool = False,
        qct: bool = True,
        prefix_source: Literal["query", "token", "none"] = "query",
        aggregator: Literal["similarity", "none"] = "similarity",
        lambda_visual: float = 0.5,
        lambda_learnable: bool = False,
        sag_scale: Literal["none", "sqrt_h"] = "sqrt_h",
        entity_classifier: Literal["softmax", "existence"] = "softmax",
        classifier_regions: bool = True,
        share_boundary_proj: bool = True,
        activation: Literal["sigmoid", "softmax"] = "sigmoid",
        ungrounded: Literal["blank_image", "learned"] = "blank_image",
        train_vision: bool = False,
    ) -> None:
        """Build all parts; h is the text encoder's width.

        Args:
            text_encoder: gives H_T.
            vision_encoder: gives one vector a candidate region; frozen unless ``train_vision``.
            tokenizer: of the text encoder, for the type prompts.
            type_names: names of the types for prompts, in class order.
            num_queries: u.
            query_encoder: queries first meet the words in QFNet (paper), or already in every
                block of the text encoder (``joint_bert``, released code).
            layers: L of QFNet.
            heads: attention heads of QFNet.
            dropout: in QFNet and the heads. Each query then hears noise of its own, louder than
                what tells it apart from its neighbours: above 0 the queries tend to stay alike.
            feature_dropout: on word states and region vectors before QFNet, the same for all
                queries.
            query_dropout: on the query set.
            head_dropout: in classifier and region matching; None = ``dropout`` in the former.
            type_queries: prompt-based type-grained part; false = *w/o PTQ*.
            ptq_trainable: that part learns, from where the text encoder put it.
            entity_queries: learned, or one written sentence a type (*w/o LEQ*).
            human_queries: those sentences, by type name.
            repeat: how types are spread over queries.
            query_init_std: of the learned part (the paper: 0.02).
            query_pos: learned query position averaged with or added to attention queries.
            word_pos: sinusoids of the word's place (Vaswani et al. 2017) added to the word states:
                without them queries hardly learn to look for different entities of a sentence.
            query_self_attention: queries attend to each other before they see the words.
            qct: query-text cross-attention; false = *w/o QCT*.
            prefix_source: what prefixes the regions' attention; ``none`` = *w/o QPI*.
            aggregator: similarity-aware aggregator; ``none`` = *w/o SAG*.
            lambda_visual: its weight of the regions against the words.
            lambda_learnable: let that weight learn.
            sag_scale: of its dot products.
            entity_classifier: types and *no entity*, or the query's own type alone.
            classifier_regions: the regions a query points at are evidence for its type.
            share_boundary_proj: one pair representation for start and end, or two.
            activation: turns scores into probabilities; the matcher's and the losses' own.
            ungrounded: what slot 0 (*not in the image*) looks like.
            train_vision: let the vision encoder learn (the paper freezes it).

        Raises:
            ValueError: ``existence`` without type queries, which gives queries no type of their
                own; or ``joint_bert`` with a text encoder that is not built as BERT.
        """
        super().__init__()
        if entity_classifier == "existence" and not type_queries:
            raise ValueError(
                "entity_classifier=existence asks each query for its own type, which "
                "type_queries=false takes away; set entity_classifier=softmax"
            )
        if query_encoder == "joint_bert":
            check_joint(text_encoder)
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
            ptq_trainable=ptq_trainable,
            dropout=query_dropout,
        )
        self.joint = query_encoder == "joint_bert"
        self.qct, self.query_self_attention = qct, query_self_attention
        self.text_encoder = text_encoder
        self.vision_encoder = vision_encoder.requires_grad_(train_vision)
        self.train_vision = train_vision
        self.region_projection = nn.Sequential(
            nn.Linear(vision_encoder.width, width), nn.LayerNorm(width)
        )
        self.ungrounded = None
        if ungrounded == "learned":
            self.ungrounded = nn.Parameter(torch.randn(width))
        self.feature_dropout = nn.Dropout(feature_dropout)
        self.word_pos = word_pos
        self.word_norm = nn.LayerNorm(width)
        self.position = None
        if query_pos != "none":
            # N(0, 1) as released: it is what tells the queries of one type apart from the start.
            self.position = nn.Parameter(torch.randn(num_queries, width))
        self.qfnet = nn.ModuleList(
            QFNetLayer(
                width=width,
                heads=heads,
                dropout=dropout,
                qct=qct,
                query_pos=query_pos,
                query_self_attention=query_self_attention,
                prefix_source=prefix_source,
                aggregator=aggregator,
                lambda_visual=lambda_visual,
                lambda_learnable=lambda_learnable,
                sag_scale=sag_scale,
            )
            for _ in range(layers)
        )
        self.heads = SetPrediction(
            width=width,
            num_types=len(type_names),
            entity_classifier=entity_classifier,
            classifier_regions=classifier_regions,
            share_boundary_proj=share_boundary_proj,
            activation=activation,
            dropout=dropout if head_dropout is None else head_dropout,
            region_dropout=head_dropout or 0.0,
        )

    def forward(self, batch: Batch, attention: bool = False) -> Outputs:
        """Answer for every query; in training, the earlier QFNet layers answer too.

        Args:
            batch: with candidate slots.
            attention: also give the last aggregator's weights over words and regions.

        Raises:
            ValueError: the batch carries no candidate slots, or ``attention`` is asked of a model
                without aggregator.
        """
        if batch.region_mask is None:
            raise ValueError("MQSPN needs candidate regions: set regions=... and inputs: [regions]")
        queries = self.queries(len(batch))  # [B, u, h]
        words, queries = self._words(batch, queries)
        regions = self._regions(batch)  # [B, k + 1, h]
        answers: list[Outputs] = []
        weights = None
        for depth, layer in enumerate(self.qfnet, start=1):
            inputs = (queries, words, batch.word_mask, regions, batch.region_mask, self.position)
            last = depth == len(self.qfnet)
            if attention and last:
                assert isinstance(layer, QFNetLayer)
                weights = layer.weights(*inputs)
            queries, regions = layer(*inputs)
            if self.training or last:
                answers.append(self._answer(queries, words, regions, batch))
        if attention and weights is None:
            raise ValueError("aggregator=none has no weights over words and regions to show")
        return replace(
            answers.pop(),
            aux=tuple(answers),
            attention=weights and Attention(query_to_word=weights[0], query_to_region=weights[1]),
        )

    def _words(self, batch: Batch, queries: Tensor) -> tuple[Tensor, Tensor]:
        """H_T ``[B, n, h]`` as QFNet reads it, and the queries ``[B, u, h]`` beside it."""
        if self.joint:
            hidden, queries = joint_states(
                self.text_encoder,
                batch.input_ids,
                batch.token_mask,
                queries,
                text=self.qct,
                among=self.query_self_attention,
            )
        else:
            hidden = self.text_encoder(batch.input_ids, batch.token_mask)  # [B, T, h]
        words = pool_words(hidden, batch.word_index, batch.word_mask.shape[1])  # [B, n, h]
        if self.word_pos == "sinusoid":
            words = words + sinusoids(words.shape[1], words.shape[2]).to(words)
        return self.feature_dropout(self.word_norm(words)), queries

    def _regions(self, batch: Batch) -> Tensor:
        """H_V ``[B, k + 1, h]`` as QFNet reads it."""
        with torch.set_grad_enabled(self.train_vision and torch.is_grad_enabled()):
            vectors = region_vectors(self.vision_encoder, batch)
        regions: Tensor = self.region_projection(vectors)
        if self.ungrounded is not None:
            nothing = self.ungrounded.to(regions.dtype).expand(len(regions), 1, -1)
            regions = torch.cat([nothing, regions[:, 1:]], dim=1)
        regions = self.feature_dropout(regions)
        return regions

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
