"""The writing decoder: tokens so far -> scores of the next one, pointed at in words and regions."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import BartConfig
from transformers.models.bart.modeling_bart import BartDecoder

from gmbench.core.tensors import TensorRecord
from gmbench.nn.layers import PairScores
from models.hindex.outputs import FIELDS

BEGIN = 1
"""Token before the first entity; 0 is padding, type c is ``BEGIN + c``."""


@dataclass(frozen=True, eq=False)
class Memory(TensorRecord):
    """What is read while writing; masks are True for what is real.

    Attributes:
        words: ``[B, W, D]``.
        word_mask: ``[B, W]``.
        regions: ``[B, K + 1, D]``; slot 0 = not in the image.
        region_mask: ``[B, K + 1]``.
    """

    words: Tensor
    word_mask: Tensor
    regions: Tensor
    region_mask: Tensor


class PointerDecoder(nn.Module):
    """BART's decoder over words and regions; a token is the state of what it points at.

    Args:
        width: of all states.
        num_types: C.
        layers: of the decoder.
        heads: of its attentions.
        dropout: on what each of its parts adds.
        max_entities: most entities of a sequence.
    """

    def __init__(
        self,
        *,
        width: int,
        num_types: int,
        layers: int,
        heads: int,
        dropout: float,
        max_entities: int,
    ) -> None:
        super().__init__()
        self.decoder = BartDecoder(
            BartConfig(
                vocab_size=BEGIN + 1 + num_types,
                pad_token_id=0,
                bos_token_id=BEGIN,
                eos_token_id=0,  # the end is a score of its own
                d_model=width,
                decoder_layers=layers,
                decoder_attention_heads=heads,
                decoder_ffn_dim=4 * width,
                dropout=dropout,
                max_position_embeddings=FIELDS * max_entities,
                init_std=width**-0.5,
            )
        )
        self.field = nn.Parameter(torch.randn(FIELDS, width))  # which token is to be written
        self.stop = nn.Linear(width, 1)
        self.first, self.last = PairScores(width=width), PairScores(width=width)
        self.entity_type = nn.Linear(width, num_types)
        self.region = PairScores(width=width)

    def states(self, memory: Memory, entities: Tensor) -> Tensor:
        """States from which each token is written, ``[B, N, 4, D]``.

        Args:
            memory: what is read.
            entities: ``[B, N, 4]``, the tokens; each state depends on those before it alone.
        """
        rows, count = entities.shape[:2]
        first, last, types, slot = entities.unbind(dim=-1)  # [B, N] each
        region = taken(memory.regions, slot) * (slot >= 0)[..., None]  # [B, N, D]
        begin = self.decoder.embed_tokens(torch.full_like(types[:, :1], BEGIN))  # [B, 1, D]
        before = (
            torch.cat([begin, region[:, :-1]], dim=1),
            taken(memory.words, first),
            taken(memory.words, last),
            self.decoder.embed_tokens(types + BEGIN * (types > 0)),
        )
        inputs = torch.stack(before, dim=2) + self.field  # [B, N, 4, D]
        states: Tensor = self.decoder(
            inputs_embeds=inputs.flatten(1, 2),
            encoder_hidden_states=torch.cat([memory.words, memory.regions], dim=1),
            encoder_attention_mask=torch.cat([memory.word_mask, memory.region_mask], dim=1).long(),
            use_cache=False,
        ).last_hidden_state
        return states.view(rows, count, FIELDS, -1)

    def scores(self, memory: Memory, states: Tensor, field: int) -> Tensor:
        """Logits of one token of each entity.

        Args:
            memory: what is pointed at.
            states: ``[B, N, D]``, those of that token.
            field: 0 = first word or the end, 1 = last word, 2 = type, 3 = region.

        Returns:
            ``[B, N, 1 + W]`` (slot 0 = the sequence ends), ``[B, N, W]``, ``[B, N, C]`` or
            ``[B, N, K + 1]``.
        """
        if field == 0:
            words = self.first(states, memory.words, memory.word_mask)[..., 0]
            scores: Tensor = torch.cat([self.stop(states), words], dim=-1)
        elif field == 1:
            scores = self.last(states, memory.words, memory.word_mask)[..., 0]
        elif field == 2:
            scores = self.entity_type(states)
        else:
            scores = self.region(states, memory.regions, memory.region_mask)[..., 0]
        return scores

    def forward(self, memory: Memory, entities: Tensor) -> tuple[Tensor, ...]:
        """Logits of all tokens of a whole sequence ``[B, N, 4]``, as :meth:`scores` gives them."""
        states = self.states(memory, entities)
        return tuple(self.scores(memory, states[:, :, n], n) for n in range(FIELDS))


def taken(states: Tensor, index: Tensor) -> Tensor:
    """States ``[B, S, D]`` at ``[B, N]`` -> ``[B, N, D]``."""
    rows = index.clamp(min=0)[..., None].expand(-1, -1, states.shape[-1])
    return states.gather(1, rows)
