"""Queries read along inside the text encoder (PIQN's one-way attention, as MQSPN was released)."""

from typing import Any

import torch
from torch import Tensor

from gmbench.nn.text import TextEncoder


def check_joint(encoder: TextEncoder) -> None:
    """Refuse an encoder into which no queries can be led.

    Raises:
        ValueError: it is not built as BERT is (embeddings, then an encoder of blocks), or its
            attention takes no mask of its own for each pair.
    """
    model: Any = encoder.model
    built = hasattr(model, "embeddings") and hasattr(model, "encoder")
    if not built or model.config._attn_implementation not in ("sdpa", "eager"):
        raise ValueError(
            f"query_encoder=joint_bert needs a text encoder built as BERT with sdpa or eager "
            f"attention, not {type(model).__name__}; use query_encoder=qfnet"
        )


def joint_states(
    encoder: TextEncoder,
    input_ids: Tensor,
    token_mask: Tensor,
    queries: Tensor,
    *,
    text: bool = True,
    among: bool = False,
) -> tuple[Tensor, Tensor]:
    """All blocks of the encoder over ``[sub-words; queries]`` with shared weights.

    Sub-words never see a query, so their states are those of the encoder alone.

    Args:
        encoder: see :func:`check_joint`.
        input_ids: ``[B, T]``.
        token_mask: ``[B, T]``.
        queries: ``[B, u, h]``.
        text: queries see the sub-words; if not, they see each other instead.
        among: queries see each other too.

    Returns:
        Sub-words ``[B, T, h]`` and queries ``[B, u, h]``.
    """
    model: Any = encoder.model
    tokens = model.embeddings(input_ids=input_ids)  # [B, T, h]
    pieces, count = tokens.shape[1], queries.shape[1]
    size = (len(queries), 1, pieces + count, pieces + count)  # [B, heads, looks, is seen]
    seen = torch.zeros(size, dtype=torch.bool, device=queries.device)
    rows = pieces + count if text else pieces
    seen[:, :, :rows, :pieces] = token_mask[:, None, None]
    seen[:, :, pieces:, pieces:] = among or not text
    mask = seen
    if model.config._attn_implementation == "eager":  # adds its mask to the scores
        lowest = torch.finfo(tokens.dtype).min
        mask = torch.zeros_like(seen, dtype=tokens.dtype).masked_fill(~seen, lowest)
    joint = torch.cat([tokens, queries.to(tokens.dtype)], dim=1)  # [B, T + u, h]
    states: Tensor = model.encoder(joint, attention_mask=mask).last_hidden_state
    return states[:, :pieces], states[:, pieces:]  # [B, T, h], [B, u, h]
