"""MNER-QG (AAAI 2023), reduced to what can be rebuilt from the paper."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.core.tensors import Attention, Batch
from gmbench.nn.text import TextEncoder, pool_words
from gmbench.nn.vision import VisionEncoder
from models.mner_qg.heads import GroundingHead, SpanHeads
from models.mner_qg.interaction import Gate, Interaction
from models.mner_qg.outputs import SpanOutputs, own_type_logits
from models.mner_qg.queries import TypeQueries
from models.mner_qg.vision import MultiScaleVision


class MNERQG(nn.Module):
    """One question per type: its spans come from the sentence, its one box from the image.

    Questions -> text and multi-scale vision -> interaction -> heads, each in the file of its name.
    A sentence runs through the text encoder once per type. Outputs do not depend on padding, on the
    other examples of the batch or on the pixels of a missing image.
    """

    def __init__(
        self,
        *,
        text_encoder: TextEncoder,
        tokenizer: PreTrainedTokenizerFast,
        vision_encoder: VisionEncoder,
        type_names: Sequence[str],
        type_queries: Mapping[str, str],
        levels: Sequence[int] = (4, 8, 12),
        heads: int = 8,
        layers: int = 1,
        dropout: float = 0.0,
        feature_dropout: float = 0.0,
        gate: Gate = "exists",
    ) -> None:
        """Build all parts; the width is the text encoder's.

        Args:
            text_encoder: reads question and sentence together.
            tokenizer: of the text encoder, for the questions.
            vision_encoder: blocks that nothing reads are dropped.
            type_names: names of the types, in class order.
            type_queries: the question of each type by its name.
            levels: blocks of 12 of the vision encoder whose patches are read.
            heads: of all attentions.
            layers: of self-attention over the text after it has heard the image.
            dropout: in the interaction.
            feature_dropout: on text and patches before it.
            gate: what scales the visual message; see Interaction.
        """
        super().__init__()
        width = text_encoder.width
        self.queries = TypeQueries(tokenizer=tokenizer, type_names=type_names, texts=type_queries)
        self.text_encoder = text_encoder
        self.vision = MultiScaleVision(vision_encoder=vision_encoder, width=width, levels=levels)
        self.feature_dropout = nn.Dropout(feature_dropout)
        self.interaction = Interaction(
            width=width, heads=heads, dropout=dropout, layers=layers, gate=gate
        )
        self.spans = SpanHeads(width=width)
        self.grounding = GroundingHead(width=width)

    def forward(self, batch: Batch, *, attention: bool = False) -> SpanOutputs:
        """Answer every question.

        Args:
            batch: with pixels, or without any (then no patch exists).
            attention: give ``query_to_patch``, where each question looks; in training it always
                comes, as the grounding loss teaches it.
        """
        rows, types = len(batch), len(self.queries)
        asked = self.queries(batch)  # each sentence behind each question: N = B * C of them
        text = self.text_encoder(asked.ids, asked.mask)  # [B * C, L, D]
        patches, seen = self.vision(batch)  # [B, P, D], [B, P]
        seen = seen.repeat_interleave(types, dim=0)  # [B, P] -> [B * C, P]
        met = self.interaction(
            self.feature_dropout(text),
            self.feature_dropout(patches).repeat_interleave(types, dim=0),  # [B * C, P, D]
            text_mask=asked.mask,
            vision_mask=seen,
        )
        word_mask = batch.word_mask.repeat_interleave(types, dim=0)  # [B * C, W]
        words = pool_words(met.text, asked.word_index, word_mask.shape[1])  # [B * C, W, D]
        start, end, match = self.spans(words, word_mask)  # [B * C, W] twice, [B * C, W, W]
        boxes, places = self.grounding(met.text[:, 0], met.vision, seen)  # [B * C, 4 | P]

        def by_type(values: Tensor) -> Tensor:
            return values.view(rows, types, *values.shape[1:])  # [B * C, ...] -> [B, C, ...]

        exists, groundable = by_type(met.existence).unbind(dim=-1)  # [B, C, 2] -> [B, C] each
        shown = attention or self.training
        return SpanOutputs(
            type_logits=own_type_logits(exists),
            start_logits=by_type(start),
            end_logits=by_type(end),
            boxes=by_type(boxes),
            no_target_logits=-groundable,
            match_logits=by_type(match),
            exists_logits=exists,
            attention=Attention(query_to_patch=by_type(places)) if shown else None,
        )
