"""Index generation as in H-Index (Yu et al., ACL 2023), over the encoders of this repository."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.core.errors import InputError
from gmbench.core.orders import drawn
from gmbench.core.tensors import MASKED, Attention, Batch, Targets
from gmbench.nn.layers import CrossBlock, sinusoids
from gmbench.nn.regions import region_vectors
from gmbench.nn.text import TextEncoder, pool_words
from gmbench.nn.vision import VisionEncoder
from models.hindex.decoder import Memory, PointerDecoder
from models.hindex.losses import rows_of
from models.hindex.outputs import SequenceOutputs
from models.hindex.search import Found, SearchSettings, after_gold, search


class HIndex(nn.Module):
    """Words and regions are read together; entities are written one after another.

    In training each entity is written after the gold ones before it (teacher forcing), in
    evaluation after the model's own. Outputs do not depend on padding, on the other examples of the
    batch or on masked regions.
    """

    def __init__(
        self,
        *,
        text_encoder: TextEncoder,
        vision_encoder: VisionEncoder,
        type_names: Sequence[str],
        layers: int = 2,
        decoder_layers: int = 2,
        heads: int = 8,
        dropout: float = 0.0,
        feature_dropout: float = 0.1,
        order: Literal["sentence", "drawn"] = "sentence",
        order_seed: int = 0,
        scheduled_sampling: float = 0.0,
        prefix: Literal["own", "gold"] = "own",
        search: SearchSettings | None = None,
    ) -> None:
        """Build all parts; the width is the text encoder's.

        Args:
            text_encoder: reads the sentence.
            vision_encoder: gives one vector a candidate region; frozen.
            type_names: names of the types, in class order.
            layers: in which words and regions attend to each other.
            decoder_layers: of the decoder.
            heads: of all attentions.
            dropout: in both.
            feature_dropout: on word states and region vectors before them.
            order: in which gold entities are taught: that of the sentence, or one that is drawn for
                each example, once for all epochs.
            order_seed: of drawn orders.
            scheduled_sampling: share of the gold entities that training replaces by what the model
                itself writes there (two passes a step, Mihaylova and Martins 2019).
            prefix: ``gold`` = in evaluation too each entity is written after the gold ones before
                it: a diagnosis of what the model's own errors cost, never for scores.
            search: what may be written in evaluation, and how it is searched for.

        Raises:
            ValueError: a share outside 0..1.
        """
        super().__init__()
        if not 0 <= scheduled_sampling <= 1:
            raise ValueError(f"scheduled_sampling must lie in 0..1, not {scheduled_sampling}")
        width = text_encoder.width
        self.order, self.order_seed = order, order_seed
        self.scheduled_sampling, self.prefix = scheduled_sampling, prefix
        self.search = search or SearchSettings()
        self.text_encoder = text_encoder
        self.vision_encoder = vision_encoder.requires_grad_(False)
        self.region_projection = nn.Linear(vision_encoder.width, width)
        self.word_norm, self.region_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feature_dropout = nn.Dropout(feature_dropout)
        self.reading = nn.ModuleList(
            CrossBlock(width=width, heads=heads, dropout=dropout) for _ in range(layers)
        )
        self.decoder = PointerDecoder(
            width=width,
            num_types=len(type_names),
            layers=decoder_layers,
            heads=heads,
            dropout=dropout,
            max_entities=self.search.max_entities,
        )

    def forward(self, batch: Batch, *, attention: bool = False) -> SequenceOutputs:
        """Write the entities of a batch; in training, score the gold ones.

        Args:
            batch: with candidate slots.
            attention: also give where first and last word, and the region, are pointed at.

        Raises:
            InputError: the batch carries no candidate slots.
            ValueError: it carries no gold, in training or under ``prefix=gold``.
        """
        memory = self.read(batch)
        gold = None if batch.targets is None else self._order(batch.targets, batch.ids)
        if self.training:
            if batch.targets is None or gold is None:
                raise ValueError("H-Index is taught with gold entities; this batch has none")
            rows = min(int((gold >= 0).sum(dim=1).max()) + 1, self.search.max_entities)
            gold = gold[:, :rows]
            entities = self._mixed(memory, written(batch.targets, gold))
            return self._answer(memory, entities, gold, attention)
        found = self._write(memory, batch.targets, gold)
        answer = self._answer(memory, found.entities, gold, attention)
        if self.prefix == "own":  # behind the end comes nothing
            ended = found.entities[..., 2] == 0
            over = ended & (ended.cumsum(dim=1) > 1)  # [B, Q]; the row of the end itself stays
            nothing = torch.full_like(answer.type_logits[0, 0], MASKED)
            nothing[0] = 0
            types = torch.where(over[..., None], nothing, answer.type_logits)
            answer = replace(answer, type_logits=types)
        return replace(answer, entities=found.entities, scores=found.scores)

    def read(self, batch: Batch) -> Memory:
        """Words and regions after they have attended to each other."""
        if batch.region_mask is None:
            raise InputError(
                "model.inputs: H-Index needs candidate regions; set model.inputs=[regions]"
            )
        hidden = self.text_encoder(batch.input_ids, batch.token_mask)  # [B, T, D]
        count = batch.word_mask.shape[1]
        words = pool_words(hidden, batch.word_index, count)  # [B, W, D]
        words = self.word_norm(words + sinusoids(count, words.shape[2]).to(words))
        with torch.no_grad():
            vectors = region_vectors(self.vision_encoder, batch)  # [B, K + 1, Dv]
        regions = self.region_norm(self.region_projection(vectors))  # [B, K + 1, D]
        states = self.feature_dropout(torch.cat([words, regions], dim=1))  # [B, W + K + 1, D]
        mask = torch.cat([batch.word_mask, batch.region_mask], dim=1)
        for block in self.reading:
            states = block(states, states, mask)
        return Memory(
            words=states[:, :count],
            word_mask=batch.word_mask,
            regions=states[:, count:],
            region_mask=batch.region_mask,
        )

    def _order(self, targets: Targets, ids: Sequence[str]) -> Tensor:
        """The gold entity of each row ``[B, max_entities]``, -1 behind the last."""
        places = targets.starts
        if self.order == "drawn":
            places = torch.zeros_like(places)
            for b, (count, name) in enumerate(zip(targets.mask.sum(1).tolist(), ids, strict=True)):
                places[b, :count] = torch.from_numpy(drawn(count, self.order_seed, name))
        last = torch.iinfo(places.dtype).max
        rows = places.masked_fill(~targets.mask, last).argsort(dim=1, stable=True)  # [B, G]
        counts = targets.mask.sum(dim=1, keepdim=True)
        place = torch.arange(self.search.max_entities, device=rows.device)
        rows = rows[:, place.clamp(max=rows.shape[1] - 1)]
        return rows.masked_fill(place >= counts, -1)

    def _mixed(self, memory: Memory, gold: Tensor) -> Tensor:
        """Gold entities ``[B, N, 4]``, a share of them as the model writes them after gold."""
        if not self.scheduled_sampling:
            return gold
        with torch.no_grad():
            first, last, types, slot = self.decoder(memory, gold)
            start = first[..., 1:].argmax(dim=-1)  # [B, N]
            early = torch.arange(last.shape[-1], device=last.device) < start[..., None]
            end = last.masked_fill(early, 2 * MASKED).argmax(dim=-1)
            own = torch.stack([start, end, types.argmax(-1) + 1, slot.argmax(-1)], dim=-1)
            chosen = torch.rand(start.shape, device=start.device) < self.scheduled_sampling
        return torch.where((chosen & (gold[..., 2] > 0))[..., None], own, gold)

    def _write(self, memory: Memory, targets: Targets | None, gold: Tensor | None) -> Found:
        if self.prefix == "own":
            return search(self.decoder, memory, self.search)
        if targets is None or gold is None:
            raise ValueError("model.network.prefix=gold needs batches with gold entities")
        return after_gold(self.decoder, memory, self.search, written(targets, gold))

    def _answer(
        self, memory: Memory, entities: Tensor, gold: Tensor | None, attention: bool
    ) -> SequenceOutputs:
        """Every row's scores, given the entities ``[B, Q, 4]`` before it."""
        first, end, types, region = self.decoder(memory, entities)
        go = first.log_softmax(dim=-1)[..., :1]  # the end, in place of an entity
        some = (first[..., 1:].logsumexp(-1) - first.logsumexp(-1))[..., None]
        start = first[..., 1:]
        looks = None
        if attention:
            words = (start.softmax(dim=-1) + end.softmax(dim=-1)) / 2
            looks = Attention(query_to_word=words, query_to_region=region.softmax(dim=-1))
        return SequenceOutputs(
            type_logits=torch.cat([go, some + types.log_softmax(dim=-1)], dim=-1),
            start_logits=start,
            end_logits=end,
            region_logits=region,
            gold=gold,
            attention=looks,
        )


def written(targets: Targets, gold: Tensor) -> Tensor:
    """Gold entities in the order of ``gold [B, N]`` as tokens ``[B, N, 4]``; zeros where none is.

    Of several slots that show an entity the first is written: candidates come best first.
    """
    assert targets.regions is not None
    fields = [rows_of(field, gold) for field in (targets.starts, targets.ends, targets.types)]
    shown = rows_of(targets.regions, gold)  # [B, N, K + 1]
    slot = shown.int().argmax(dim=-1).masked_fill(~shown.any(dim=-1), -1)
    return torch.stack([*fields, slot], dim=-1) * (gold >= 0)[..., None]
