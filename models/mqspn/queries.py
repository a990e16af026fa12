"""Multi-grained Query Set (MQS): what each query asks for."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.nn.text import TextEncoder, mask_states

PROMPT = "{} is an entity type about [MASK]"
"""The paper's prompt template; the state at [MASK] becomes the type-grained query."""


class MultiGrainedQueries(nn.Module):
    """``H_Q = H_Q^e + [H_Q^o]^d``: learnable entity-grained plus prompt-based type-grained queries.

    MQSPN, section "Multi-grained Query Set Construction".
    The type-grained part is computed once with the text encoder as it came (frozen, "vanilla
    BERT") and kept as a buffer. Query i asks for type ``i mod p`` (``tile``), which is balanced
    for any u and p; ``block`` gives runs of equal type instead.

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
        type_queries: bool = True,
        entity_queries: Literal["learned", "human"] = "learned",
        human_queries: Sequence[str] | None = None,
        repeat: Literal["tile", "block"] = "tile",
        query_init_std: float = 0.02,
    ) -> None:
        """Build both parts.

        Args:
            text_encoder: encodes prompts and human queries, as pretrained.
            tokenizer: of that encoder.
            type_names: names of the types for prompts, in class order.
            num_queries: u.
            type_queries: false = the ablation *w/o PTQ*.
            entity_queries: ``human`` = the ablation *w/o LEQ*: one written question a type takes
                the place of the learned part. Queries of a type are then equal but for their
                learned position, see ``query_pos``.
            human_queries: a question a type, in class order.
            repeat: how types are spread over queries.
            query_init_std: of the learnable part (the paper: 0.02).

        Raises:
            ValueError: fewer queries than types, or not one human query a type.
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
        kind = order % types if repeat == "tile" else order * types // num_queries
        self.register_buffer("type_of_query", kind + 1)
        states = torch.zeros(types, width)
        if type_queries:
            states = mask_states(text_encoder, tokenizer, [PROMPT.format(n) for n in type_names])
        self.register_buffer("type_states", states)
        if entity_queries == "human":
            if human_queries is None or len(human_queries) != types:
                raise ValueError(f"entity_queries=human needs one human query a type ({types})")
            asked = [f"[MASK] {text}" for text in human_queries]
            self.register_buffer("entity", mask_states(text_encoder, tokenizer, asked)[kind])
        else:
            self.entity = nn.Parameter(torch.randn(num_queries, width) * query_init_std)
        self.norm = nn.LayerNorm(width)

    def forward(self, batch_size: int) -> Tensor:
        """``[B, u, h]`` queries, the same for every sentence of the batch."""
        queries: Tensor = self.norm(self.entity + self.type_states[self.type_of_query - 1])
        return queries[None].expand(batch_size, -1, -1)
