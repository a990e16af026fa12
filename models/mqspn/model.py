"""MQSPN (Tang et al., AAAI 2025): a proposal-based set prediction model for GMNER."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.core.errors import InputError
from gmbench.core.tensors import Attention, Batch, Outputs
from gmbench.nn.layers import sinusoids
from gmbench.nn.regions import region_vectors
from gmbench.nn.text import TextEncoder, pool_words
from gmbench.nn.vision import VisionEncoder
from models.mqspn.aggregator import SAGSettings
from models.mqspn.fusion import QFNetLayer, QFNetSettings
from models.mqspn.heads import MSPSettings, SetPrediction
from models.mqspn.joint import check_joint, joint_states
from models.mqspn.queries import MQSSettings, MultiGrainedQueries


class MQSPN(nn.Module):
    """Queries select entities among the words and their boxes among the candidate regions.

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
        heads: int = 8,
        dropout: float = 0.0,
        feature_dropout: float = 0.1,
        query_encoder: Literal["qfnet", "joint_bert"] = "qfnet",
        word_pos: Literal["sinusoid", "none"] = "sinusoid",
        ungrounded: Literal["blank_image", "learned"] = "blank_image",
        train_vision: bool = False,
        mqs: MQSSettings | None = None,
        qfnet: QFNetSettings | None = None,
        sag: SAGSettings | None = None,
        msp: MSPSettings | None = None,
    ) -> None:
        """Build all parts; h is the text encoder's width.

        Args:
            text_encoder: gives H_T.
            vision_encoder: gives one vector a candidate region; frozen unless ``train_vision``.
            tokenizer: of the text encoder, for the type prompts.
            type_names: names of the types for prompts, in class order.
            num_queries: u.
            heads: attention heads of QFNet.
            dropout: in QFNet and the heads. Each query then hears noise of its own, louder than
                what tells it apart from its neighbours: above 0 the queries tend to stay alike.
            feature_dropout: on word states and region vectors before QFNet, the same for all
                queries.
            query_encoder: queries first meet the words in QFNet (paper), or already in every
                block of the text encoder (``joint_bert``, released code).
            word_pos: sinusoids of the word's place (Vaswani et al. 2017) added to the word states:
                without them queries hardly learn to look for different entities of a sentence.
            ungrounded: what slot 0 (*not in the image*) looks like.
            train_vision: let the vision encoder learn (the paper freezes it).
            mqs: switches of the query set.
            qfnet: switches of QFNet.
            sag: switches of its aggregator.
            msp: switches of the heads.

        Raises:
            ValueError: ``existence`` without type queries, which gives queries no type of their
                own; or ``joint_bert`` with a text encoder that is not built as BERT.
        """
        super().__init__()
        mqs, qfnet = mqs or MQSSettings(), qfnet or QFNetSettings()
        sag, msp = sag or SAGSettings(), msp or MSPSettings()
        if msp.entity_classifier == "existence" and not mqs.type_queries:
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
            settings=mqs,
        )
        self.joint = query_encoder == "joint_bert"
        self.qct, self.query_self_attention = qfnet.qct, qfnet.query_self_attention
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
        if qfnet.query_pos != "none":
            # N(0, 1) as released: it is what tells the queries of one type apart from the start.
            self.position = nn.Parameter(torch.randn(num_queries, width))
        self.qfnet = nn.ModuleList(
            QFNetLayer(width=width, heads=heads, dropout=dropout, settings=qfnet, sag=sag)
            for _ in range(qfnet.layers)
        )
        self.heads = SetPrediction(
            width=width, num_types=len(type_names), dropout=dropout, settings=msp
        )

    def forward(self, batch: Batch, attention: bool = False) -> Outputs:
        """Predict for every query; in training, also from each earlier QFNet layer.

        Args:
            batch: with candidate slots.
            attention: also give the last aggregator's weights over words and regions.

        Raises:
            ValueError: the batch carries no candidate slots, or ``attention`` is asked of a model
                without aggregator.
        """
        if batch.region_mask is None:
            raise InputError(
                "model.inputs: MQSPN needs candidate regions; set model.inputs=[regions]"
            )
        queries = self.queries(len(batch))  # [B, u, h]
        words, queries = self._words(batch, queries)  # H_T [B, n, h] and H_Q [B, u, h]
        regions = self._regions(batch)  # H_V [B, k + 1, h]
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
            raise ValueError(
                "without an aggregator there are no weights over words and regions to show"
            )
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
            words = words + sinusoids(words.shape[1], words.shape[2]).to(words)  # + [n, h]
        return self.feature_dropout(self.word_norm(words)), queries

    def _regions(self, batch: Batch) -> Tensor:
        """H_V ``[B, k + 1, h]`` as QFNet reads it."""
        with torch.set_grad_enabled(self.train_vision and torch.is_grad_enabled()):
            vectors = region_vectors(self.vision_encoder, batch)  # [B, k + 1, d]
        regions: Tensor = self.region_projection(vectors)  # [B, k + 1, d] -> [B, k + 1, h]
        if self.ungrounded is not None:  # [h] -> [B, 1, h] takes the place of slot 0
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
