"""Layers any model may use: masked attention, feed-forward part, post-norm blocks.

All of them are exact under padding: a masked key never changes an output, and a sample without
any key gets 0 from attention, not NaN.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import MLP


class Attention(nn.Module):
    """Multi-head attention of queries over masked keys.

    Args:
        width: of the queries and of the result.
        heads: must divide ``width``.
        key_width: of the keys, where it differs.
        dropout: on the weights, in training.

    Raises:
        ValueError: ``heads`` does not divide ``width``.
    """

    def __init__(
        self, *, width: int, heads: int, key_width: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}")
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(key_width or width, width)
        self.value = nn.Linear(key_width or width, width)
        self.out = nn.Linear(width, width)
        for part in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        mask: Tensor | None = None,
        prefix: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attend.

        Args:
            query: ``[B, Q, D]``.
            keys: ``[B, K, Dk]``, both keys and values.
            mask: True = may be attended, ``[B, K]`` or ``[B, Q, K]``; None = all.
            prefix: further key states ``[B, P, Dk]`` and their mask ``[B, P]``, put before the
                keys (prefix tuning); they share the keys' projections.

        Returns:
            ``[B, Q, D]``; 0 in a row that may attend to nothing.
        """
        keys, allowed = self._joined(keys, mask, prefix)
        any_key = None
        if allowed is not None:
            any_key = allowed.any(dim=-1, keepdim=True)
            # Kernels differ on rows without keys: let such a row see all, then blank it.
            allowed = allowed | ~any_key
        mixed = F.scaled_dot_product_attention(
            self._split(self.query(query)),
            self._split(self.key(keys)),
            self._split(self.value(keys)),
            attn_mask=allowed,
            dropout_p=self.dropout if self.training else 0.0,
        )
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # [B, h, Q, d] -> [B, Q, D]
        return result if any_key is None else result.masked_fill(~any_key[:, 0], 0.0)

    def weights(
        self,
        query: Tensor,
        keys: Tensor,
        mask: Tensor | None = None,
        prefix: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """The weights ``[B, heads, Q, P + K]`` with which :meth:`forward` attends, for pictures.

        A row sums to 1, or to 0 where it may attend to nothing. Without dropout.
        """
        keys, allowed = self._joined(keys, mask, prefix)
        queries = self._split(self.query(query))
        scores = queries @ self._split(self.key(keys)).mT * queries.shape[-1] ** -0.5
        if allowed is None:
            return scores.softmax(dim=-1)
        lowest = torch.finfo(scores.dtype).min
        return scores.masked_fill(~allowed, lowest).softmax(dim=-1).masked_fill(~allowed, 0.0)

    def _joined(
        self, keys: Tensor, mask: Tensor | None, prefix: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor | None]:
        """All keys ``[B, P + K, Dk]`` and the mask ``[B, 1, 1 | Q, P + K]``."""
        if mask is not None and mask.ndim == 2:
            mask = mask[:, None]
        if prefix is not None:
            states, real = prefix
            if mask is None:
                mask = keys.new_ones(keys.shape[0], 1, keys.shape[1], dtype=torch.bool)
            real = real[:, None].expand(-1, mask.shape[1], -1)
            keys, mask = torch.cat([states, keys], dim=1), torch.cat([real, mask], dim=-1)
        return keys, None if mask is None else mask[:, None]

    def _split(self, states: Tensor) -> Tensor:
        """``[B, N, D]`` -> ``[B, heads, N, D / heads]``."""
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(MLP):
    """Two linear layers with GELU between them, ``[..., D]`` -> ``[..., D]``.

    Args:
        width: of input and result.
        hidden: between the layers; 4 widths by default.
        dropout: after each layer.
    """

    def __init__(self, *, width: int, hidden: int | None = None, dropout: float = 0.0) -> None:
        super().__init__(
            width,
            [hidden or 4 * width, width],
            activation_layer=nn.GELU,
            dropout=dropout,
            inplace=None,
        )


class CrossBlock(nn.Module):
    """Post-norm transformer block: attention over other states, then feed-forward.

    Args:
        width: of the queries.
        heads: of the attention.
        key_width: of the keys, where it differs.
        hidden: of the feed-forward part; 4 widths by default.
        dropout: on weights and on what each part adds.
    """

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        key_width: int | None = None,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = Attention(width=width, heads=heads, key_width=key_width, dropout=dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width=width, hidden=hidden, dropout=dropout)
        self.feed_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """Queries ``[B, Q, D]``, keys ``[B, K, Dk]``, mask as in Attention -> ``[B, Q, D]``."""
        query = self.attention_norm(query + self.dropout(self.attention(query, keys, mask)))
        result: Tensor = self.feed_norm(query + self.feed_forward(query))
        return result


class SelfBlock(CrossBlock):
    """Post-norm transformer block in which states attend to each other."""

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """States ``[B, N, D]``, mask ``[B, N]`` -> ``[B, N, D]``."""
        return super().forward(states, states, mask)
