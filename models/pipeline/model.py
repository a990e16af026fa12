"""A pipeline: tag the words, then look for each entity that the tags name among the candidates."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.core.errors import InputError
from gmbench.core.tensors import Attention, Batch
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import VisionEncoder
from models.pipeline.grounding import Choice, DetectorTable, LearnedGrounding
from models.pipeline.outputs import TagOutputs, end_logits, type_logits
from models.pipeline.tags import Spans, Transitions, best_sequence, gold_spans, spans_of


class Pipeline(nn.Module):
    """A tagger over the text encoder (``tags.py``), then grounding of its spans (``grounding.py``).

    In training the second stage reads the gold spans, in evaluation those of the best sequence of
    tags. Outputs do not depend on padding, on the other examples of the batch or on masked regions.
    """

    def __init__(
        self,
        *,
        text_encoder: TextEncoder,
        vision_encoder: VisionEncoder,
        type_names: Sequence[str],
        num_queries: int = 24,
        crf: bool = True,
        joint: bool = True,
        grounding: Literal["learned", "zero_shot"] = "learned",
        classes: Mapping[str, Sequence[str]] | None = None,
        choice: Choice = "best",
        heads: int = 8,
        layers: int = 1,
        feature_dropout: float = 0.1,
        train_vision: bool = False,
    ) -> None:
        """Build both stages; the width is the text encoder's.

        Args:
            text_encoder: gives the states of the words, each that of its first sub-word.
            vision_encoder: gives one vector a candidate region; left out by ``zero_shot``.
            type_names: names of the types, in class order.
            num_queries: most entities of a sentence; further ones are not answered.
            crf: learn how well one tag follows another; otherwise all that BIO allows are equal.
            joint: both stages teach one text encoder; false = the second has its own, as if each
                had been trained alone.
            grounding: a learnt score, or the detector's class.
            classes: for ``zero_shot``, the detector's classes by the type's name.
            choice: for ``zero_shot``, the candidate of the best score or the largest.
            heads: of the attention in grounding.
            layers: blocks in which candidates hear each other and the words.
            feature_dropout: on words and region vectors.
            train_vision: let the vision encoder learn.
        """
        super().__init__()
        types, width = len(type_names), text_encoder.width
        self.num_queries = num_queries
        self.region_vectors = grounding == "learned"
        self.text_encoder = text_encoder
        self.feature_dropout = nn.Dropout(feature_dropout)
        self.tags = nn.Linear(width, 2 * types + 1)
        self.transitions = Transitions(types=types, learned=crf)
        self.second_encoder = None
        self.grounding: LearnedGrounding | DetectorTable
        if grounding == "zero_shot":
            self.grounding = DetectorTable(
                type_names=type_names, classes=classes or {}, choice=choice
            )
            return
        if not joint:
            self.second_encoder = deepcopy(text_encoder)
        self.grounding = LearnedGrounding(
            vision_encoder=vision_encoder,
            width=width,
            types=types,
            heads=heads,
            layers=layers,
            dropout=feature_dropout,
            train_vision=train_vision,
        )

    def forward(self, batch: Batch, attention: bool = False) -> TagOutputs:
        """Tag, take the spans, ground them.

        Args:
            batch: with candidate slots.
            attention: also give each entity's distribution over the candidates.

        Raises:
            InputError: the batch carries no candidate slots, or they lack the classes that
                ``zero_shot`` reads.
        """
        if batch.region_mask is None:
            raise InputError(
                "model.inputs: the pipeline needs candidate regions; set model.inputs=[regions]"
            )
        words = self._words(self.text_encoder, batch)  # [B, W, D]
        tags = self.tags(words)  # [B, W, L]
        transitions = self.transitions(tags).expand(len(batch), -1, -1)  # [B, L + 1, L]
        spans = self._spans(tags, transitions, batch)
        if isinstance(self.grounding, DetectorTable):
            regions = self.grounding(spans, batch)  # [B, N, K + 1]
        else:
            if self.second_encoder is not None:
                words = self._words(self.second_encoder, batch)
            regions = self.grounding(words, spans, batch)
        start, end = end_logits(spans, tags, batch.word_mask)  # [B, N, W] each
        return TagOutputs(
            type_logits=type_logits(spans, self.tags.out_features // 2),
            start_logits=start,
            end_logits=end,
            region_logits=regions,
            tag_logits=tags,
            transitions=transitions,
            word_mask=batch.word_mask,
            attention=Attention(query_to_region=regions.softmax(dim=-1)) if attention else None,
        )

    def _words(self, encoder: TextEncoder, batch: Batch) -> Tensor:
        """The state of each word's first sub-word, ``[B, W, D]``."""
        hidden = encoder(batch.input_ids, batch.token_mask)  # [B, T, D]
        words = first_pieces(hidden, batch.word_index, batch.word_mask)
        dropped: Tensor = self.feature_dropout(words)
        return dropped

    def _spans(self, tags: Tensor, transitions: Tensor, batch: Batch) -> Spans:
        if self.training and batch.targets is not None:
            return gold_spans(batch.targets, self.num_queries)
        return spans_of(
            best_sequence(tags.float(), transitions.float(), batch.word_mask), self.num_queries
        )


def first_pieces(hidden: Tensor, word_index: Tensor, word_mask: Tensor) -> Tensor:
    """State of each word's first sub-word.

    Args:
        hidden: ``[B, T, D]``.
        word_index: ``[B, T]``, the word of each sub-word; -1 = none.
        word_mask: ``[B, W]``.

    Returns:
        ``[B, W, D]``; 0 in padding.
    """
    words = word_mask.shape[1]
    place = torch.arange(word_index.shape[1], device=hidden.device).expand_as(word_index)
    slot = torch.where(word_index < 0, words, word_index)  # one slot more for those of no word
    first = torch.zeros_like(slot[:, :1]).expand(-1, words + 1)
    first = first.scatter_reduce(1, slot, place, reduce="amin", include_self=False)[:, :words]
    states = hidden.gather(1, first[..., None].expand(-1, -1, hidden.shape[2]))
    return states.masked_fill(~word_mask[..., None], 0.0)
