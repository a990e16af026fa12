"""Multi-grained Query Set (MQS): what each query asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.core.tensors import Outputs
from gmbench.nn.additions import added
from gmbench.nn.text import TextEncoder, mask_states

PROMPT = "{} is an entity type about [MASK]"
"""The paper's prompt template; the state at [MASK] becomes the type-grained query."""


@dataclass(frozen=True, kw_only=True)
class MQSSettings:
    """Switches of the query set.

    Attributes:
        type_queries: prompt-based type-grained part; false = the ablation *w/o PTQ*.
        ptq_trainable: that part learns, from where the text encoder put it.
        entity_queries: ``human`` = the ablation *w/o LEQ*: the mean state of one written sentence
            a type takes the place of the learned part. Queries of a type are then equal but for
            their learned position: without one they give one answer, and at most
            :func:`one_a_type_bound` of the entities can be found.
        human_queries: a sentence by type name; names that the data does not have are ignored.
        repeat: how types are spread over queries. Query i asks for type ``i mod p`` (``tile``),
            which is balanced for any u and p; ``block`` gives runs of equal type instead.
        init_std: of the learnable part (the paper: 0.02; released code: 1).
        dropout: on the queries (released code: 0.1).
    """

    type_queries: bool = True
    ptq_trainable: bool = False
    entity_queries: Literal["learned", "human"] = "learned"
    human_queries: Mapping[str, str] | None = None
    repeat: Literal["tile", "block"] = "tile"
    init_std: float = 0.02
    dropout: float = 0.0


class MultiGrainedQueries(nn.Module):
    """``H_Q = H_Q^e + [H_Q^o]^d``: learnable entity-grained plus prompt-based type-grained queries.

    MQSPN, section "Multi-grained Query Set Construction".
    The type-grained part is computed once with the text encoder as it came (frozen, "vanilla
    BERT") and kept as a buffer; ``ptq_trainable`` makes it a parameter that starts there.

    Attributes:
        type_of_query: ``[u]`` class index (from 1) each query was built for.
    """

    type_of_query: Tensor
    type_states: Tensor
    entity: Tensor

    def __init__(
        self,
        *,
        text_encoder: TextEncoder,
        tokenizer: PreTrainedTokenizerFast,
        type_names: Sequence[str],
        num_queries: int,
        settings: MQSSettings,
    ) -> None:
        """Build both parts.

        Args:
            text_encoder: encodes prompts and human queries, as pretrained.
            tokenizer: of that encoder.
            type_names: names of the types for prompts, in class order.
            num_queries: u.
            settings: switches.

        Raises:
            ValueError: fewer queries than types, or a type without human query.
        """
        super().__init__()
        types = len(type_names)
        if num_queries < types:
            raise ValueError(
                f"num_queries={num_queries} is below the number of types ({types}): "
                "every type needs a query"
            )
        width = text_encoder.width
        order = torch.arange(num_queries)
        tile = settings.repeat == "tile"
        kind = order % types if tile else order * types // num_queries  # [u], from 0
        self.register_buffer("type_of_query", kind + 1)
        states = torch.zeros(types, width)  # H_Q^o [p, h]
        if settings.type_queries:
            states = mask_states(text_encoder, tokenizer, [PROMPT.format(n) for n in type_names])
        if settings.type_queries and settings.ptq_trainable:
            self.type_states = nn.Parameter(states)
        else:
            self.register_buffer("type_states", states)
        if settings.entity_queries == "human":
            texts = human_texts(type_names, settings.human_queries or {})
            # [p, h] -> [u, h]
            self.register_buffer("entity", mean_states(text_encoder, tokenizer, texts)[kind])
        else:
            self.entity = nn.Parameter(torch.randn(num_queries, width) * settings.init_std)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, batch_size: int) -> Tensor:
        """``[B, u, h]`` queries, the same for every sentence of the batch."""
        types = self.type_states[self.type_of_query - 1]  # [p, h] -> [u, h]
        queries: Tensor = self.norm(added(self, self.entity, types, "ptq"))
        queries = self.dropout(queries[None].expand(batch_size, -1, -1))  # [u, h] -> [B, u, h]
        return queries


def human_texts(type_names: Sequence[str], texts: Mapping[str, str]) -> list[str]:
    """The written query of each type, in class order.

    Raises:
        ValueError: a type has none.
    """
    without = [name for name in type_names if name not in texts]
    if without:
        raise ValueError(
            f"entity_queries=human: no text for {', '.join(without)} in human_queries (it has "
            f"{', '.join(texts) or 'none'}); add one to conf/model/human_queries"
        )
    return [texts[name] for name in type_names]


@torch.no_grad()
def mean_states(
    encoder: TextEncoder, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> Tensor:
    """Mean last hidden state over the sub-words of each text, without gradient: ``[p, D]``."""
    pieces = tokenizer(list(texts), padding=True, return_tensors="pt")
    pieces = pieces.to(next(encoder.parameters()).device)
    mask = pieces["attention_mask"].bool()
    was_training = encoder.training
    encoder.eval()
    try:
        states = encoder(pieces["input_ids"], mask)  # [p, T, D]
    finally:
        encoder.train(was_training)
    share = mask / mask.sum(dim=1, keepdim=True)  # [p, T]
    mean: Tensor = (states * share[..., None]).sum(dim=1)  # [p, T, D] -> [p, D]
    return mean


def one_a_type_bound(types: Tensor, mask: Tensor) -> float:
    """Largest recall of a model that finds at most one entity of each type in a sentence.

    Args:
        types: ``[B, G]`` gold classes.
        mask: ``[B, G]``, True where an entity stands.
    """
    rows = zip(types, mask.bool(), strict=True)
    findable = sum(len(set(row[real].tolist())) for row, real in rows)
    return findable / max(1, int(mask.sum()))


def answered_types(outputs: Outputs) -> Tensor:
    """How often each query answers with each type (0 = no entity) in a batch: ``[u, p + 1]``."""
    answers = outputs.type_logits.argmax(dim=-1)  # [B, u]
    each: Tensor = nn.functional.one_hot(answers, outputs.type_logits.shape[-1])  # [B, u, p + 1]
    return each.sum(dim=0)
