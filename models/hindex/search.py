"""Greedy and beam search among the well-formed sequences of entities alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.hindex.decoder import Memory, PointerDecoder
from models.hindex.outputs import FIELDS


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What may be written, and how it is searched for.

    Attributes:
        beam: sequences kept at a time; 1 = greedy.
        max_span: most words of an entity.
        max_entities: most entities of a sequence.
    """

    beam: int = 1
    max_span: int = 12
    max_entities: int = 12

    def __post_init__(self) -> None:
        for name in ("beam", "max_span", "max_entities"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Found:
    """The best sequence of each example.

    Attributes:
        entities: ``[B, N, 4]``; zeros behind its end.
        scores: ``[B, N]`` log-probability of each entity.
        total: ``[B]`` log-probability of the sequence.
    """

    entities: Tensor
    scores: Tensor
    total: Tensor


@torch.no_grad()
def search(
    decoder: PointerDecoder,
    memory: Memory,
    settings: SearchSettings,
    *,
    given: Tensor | None = None,
    only_next: bool = False,
) -> Found:
    """The likeliest well-formed sequences that a beam finds.

    A probability is one among what may come next: an end not before its start, at most
    ``max_span`` words, no word of an earlier entity, a slot that exists; behind ``max_entities``
    and where every word is taken, the end. Those of all well-formed sequences add up to 1. Ties go
    to the lower index.

    Args:
        decoder: scores the next token.
        memory: of ``B`` examples.
        settings: width of the beam and limits.
        given: ``[B, n, 4]`` entities with which the sequences begin; one with type 0 has ended.
        only_next: stop behind the entity that follows ``given``.
    """
    rows, width = len(memory.words), settings.beam
    wide = memory.map(lambda values: values.repeat_interleave(width, dim=0))  # [B * beam, ...]
    device, most = memory.words.device, settings.max_entities
    entities = torch.zeros(rows * width, most, FIELDS, dtype=torch.long, device=device)
    free = wide.word_mask.clone()  # [B * beam, W]
    alive = torch.ones(rows * width, dtype=torch.bool, device=device)
    begin = 0
    if given is not None:
        begin = given.shape[1]
        entities[:, :begin] = given.repeat_interleave(width, dim=0)
        for n in range(begin):
            alive = entities[:, n, 2] > 0
            free &= ~(covered(entities[:, n], free.shape[1]) & alive[:, None])
    exact = torch.promote_types(memory.words.dtype, torch.float32)
    scores = torch.zeros(rows * width, most, dtype=exact, device=device)
    total = torch.full((rows, width), -torch.inf, dtype=exact, device=device)
    total[:, 0] = 0  # the beam starts from one sequence
    for n in range(begin, min(begin + 1, most) if only_next else most):
        for field in range(FIELDS):
            state = decoder.states(wide, entities[:, : n + 1])[:, -1:, field]  # [B * beam, 1, D]
            logits = decoder.scores(wide, state, field)[:, 0].to(exact)  # [B * beam, V]
            allowed = may_follow(field, entities[:, n], free, wide, settings.max_span)
            chance = logits.masked_fill(~allowed, -torch.inf).log_softmax(dim=-1)
            stays = torch.full_like(chance[0], -torch.inf)
            stays[0] = 0  # an ended sequence goes on at no cost, in one way
            chance = torch.where(alive[:, None], chance, stays)
            every = (total.flatten()[:, None] + chance).view(rows, -1)  # [B, beam * V]
            total, place = every.sort(dim=1, descending=True, stable=True)
            total, place = total[:, :width], place[:, :width]
            origin = torch.arange(rows, device=device)[:, None] * width + place // chance.shape[1]
            origin, token = origin.flatten(), (place % chance.shape[1]).flatten()  # [B * beam]
            entities, scores, free, alive = (
                values[origin] for values in (entities, scores, free, alive)
            )
            scores[:, n] += chance[origin, token]
            if field == 0:
                alive = alive & (token > 0)
                token = token - 1
            entities[:, n, field] = (token + (field == 2)) * alive
        free = free & ~(covered(entities[:, n], free.shape[1]) & alive[:, None])
        if not alive.any():
            break
    best = torch.arange(rows, device=device) * width
    return Found(entities=entities[best], scores=scores[best], total=total[:, 0])


def may_follow(field: int, entity: Tensor, free: Tensor, memory: Memory, max_span: int) -> Tensor:
    """Which tokens may be written, ``[N, V]``; at least one in each row.

    Args:
        field: which token of the entity.
        entity: ``[N, 4]``, its tokens so far.
        free: ``[N, W]``, words that no entity has.
        memory: of ``N`` sequences.
        max_span: most words of an entity.
    """
    if field == 0:
        return torch.cat([torch.ones_like(free[:, :1]), free], dim=1)
    if field == 1:
        first = entity[:, :1]  # [N, 1]
        place = torch.arange(free.shape[1], device=free.device)  # [W]
        taken = (~free).cumsum(dim=1)  # [N, W]: words in the way up to here
        near = (place >= first) & (place < first + max_span)
        return near & (taken == taken.gather(1, first))
    if field == 2:
        return torch.ones(1, 1, dtype=torch.bool, device=free.device)
    return memory.region_mask


def covered(entity: Tensor, words: int) -> Tensor:
    """The words of entities ``[N, 4]``, as ``[N, W]``."""
    place = torch.arange(words, device=entity.device)
    return (place >= entity[:, :1]) & (place <= entity[:, 1:2])


def after_gold(
    decoder: PointerDecoder, memory: Memory, settings: SearchSettings, gold: Tensor
) -> Found:
    """What is written next after the first 0, 1, 2 ... gold entities ``[B, N, 4]``, row by row.

    Each row of the result is the answer to another beginning; its ``total`` says nothing.
    """
    found = [
        search(decoder, memory, settings, given=gold[:, :n], only_next=True)
        for n in range(settings.max_entities)
        if n == 0 or bool((gold[:, n - 1, 2] > 0).any())
    ]
    entities, scores = torch.zeros_like(found[0].entities), torch.zeros_like(found[0].scores)
    for n, one in enumerate(found):
        entities[:, n], scores[:, n] = one.entities[:, n], one.scores[:, n]
    return Found(entities=entities, scores=scores, total=found[0].total)
