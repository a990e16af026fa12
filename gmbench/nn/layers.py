"""Layers any model may use: masked attention, post-norm blocks, pair scores, vectors of regions.

All of them are exact under padding: a masked key never changes an output, and a sample without
any key gets 0 from attention, not NaN.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from gmbench.core.tensors import MASKED
from gmbench.nn.additions import added

CHUNK = 10
"""Queries whose pair representation exists at once: half the time and a third of the memory of
all 60 (measured at paper size on a CPU)."""

BINS = 4
"""A region is read at BINS x BINS places of 2 x 2 samples each, then averaged."""


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

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend. A prefix (as in prefix tuning) is a matter of more keys: concatenate them.

        Args:
            query: ``[B, Q, D]``.
            keys: ``[B, K, Dk]``, both keys and values.
            mask: True = may be attended, ``[B, K]`` or ``[B, Q, K]``; None = all.

        Returns:
            ``[B, Q, D]``; 0 in a row that may attend to nothing.
        """
        allowed = _broadcast(mask)  # [B, 1, 1 | Q, K]
        some = None
        if allowed is not None:
            some = allowed.any(dim=-1, keepdim=True)  # [B, 1, 1 | Q, 1]
            # Kernels differ on rows without keys: let such a row see all, then blank it.
            allowed = allowed | ~some
        mixed = F.scaled_dot_product_attention(
            self._split(self.query(query)),  # [B, heads, Q, d]
            self._split(self.key(keys)),  # [B, heads, K, d]
            self._split(self.value(keys)),
            attn_mask=allowed,
            dropout_p=self.dropout if self.training else 0.0,
        )
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # [B, heads, Q, d] -> [B, Q, D]
        return result if some is None else result.masked_fill(~some[:, 0], 0.0)

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """The weights ``[B, heads, Q, K]`` with which :meth:`forward` attends, for pictures.

        A row sums to 1, or to 0 where it may attend to nothing. Without dropout.
        """
        queries = self._split(self.query(query))
        # [B, heads, Q, d] @ [B, heads, d, K] -> [B, heads, Q, K]
        scores: Tensor = queries @ self._split(self.key(keys)).mT * queries.shape[-1] ** -0.5
        allowed = _broadcast(mask)
        if allowed is None:
            return scores.softmax(dim=-1)
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~allowed, lowest)
        return scores.softmax(dim=-1).masked_fill(~allowed, 0.0)

    def _split(self, states: Tensor) -> Tensor:
        """``[B, N, D]`` -> ``[B, heads, N, D / heads]``."""
        batch, length, width = states.shape
        return states.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


def _broadcast(mask: Tensor | None) -> Tensor | None:
    """``[B, K]`` or ``[B, Q, K]`` -> ``[B, 1, 1 | Q, K]``."""
    if mask is None:
        return None
    return mask[:, None, None] if mask.ndim == 2 else mask[:, None]


class FeedForward(nn.Module):
    """Two linear layers with GELU between them, ``[..., D]`` -> ``[..., D]``.

    Args:
        width: of input and result.
        hidden: between the layers; 4 widths by default.
        dropout: between the layers (what is added to a residual is the block's own to drop).
    """

    def __init__(self, *, width: int, hidden: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        hidden = hidden or 4 * width
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )

    def forward(self, states: Tensor) -> Tensor:
        """Each vector on its own."""
        result: Tensor = self.layers(states)
        return result


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
        """Queries ``[B, Q, D]``, keys ``[B, K, Dk]``, mask as in Attention -> ``[B, Q, D]``.

        ``block(states, states, mask)`` is self-attention.
        """
        message = self.dropout(self.attention(query, keys, mask))
        query = self.attention_norm(added(self, query, message))
        result: Tensor = self.feed_norm(query + self.dropout(self.feed_forward(query)))
        return result


def sinusoids(places: int, width: int) -> Tensor:
    """Position encodings ``[places, width]`` of Vaswani et al. (2017): sines, then cosines."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(places)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :width]


class PairScores(nn.Module):
    """``ReLU(H_Q W_Q + H_K W_K) w``: one score (or more) for each pair of query and key.

    The form in which set predictors of entities point at words.

    Args:
        width: of queries and keys.
        scores: outputs a pair.
    """

    def __init__(self, *, width: int, scores: int = 1) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, scores)

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Queries ``[B, Q, D]``, keys ``[B, K, D]``, mask ``[B, K]`` -> logits ``[B, Q, K, s]``."""
        left = self.query(queries)[:, :, None]  # [B, Q, 1, D]
        right = self.key(keys)[:, None]  # [B, 1, K, D]
        # In place and as one flat product: half the time of a linear layer on four axes.
        parts = [
            (part + right).relu_().flatten(0, 2) @ self.score.weight.T  # [B * CHUNK * K, s]
            for part in left.split(CHUNK, dim=1)
        ]
        shape = (len(queries), -1, *mask.shape[1:], self.score.out_features)  # [B, CHUNK, K, s]
        logits = torch.cat([part.view(shape) for part in parts], dim=1) + self.score.bias
        return logits.masked_fill(~mask[:, None, :, None], MASKED)


def roi_vectors(feature_map: Tensor, boxes: Tensor) -> Tensor:
    """ROI-align (He et al. 2017), averaged over each box.

    Args:
        feature_map: ``[B, D, h, w]`` of whole pictures squashed to a square.
        boxes: ``[B, K, 4]`` xyxy in 0..1 of the pictures.

    Returns:
        ``[B, K, D]``.
    """
    batch, count = boxes.shape[:2]
    height, width = feature_map.shape[-2:]
    scale = boxes.new_tensor([width, height, width, height])
    image = torch.arange(batch, device=boxes.device).repeat_interleave(count)[:, None]
    places = (boxes * scale).flatten(0, 1).to(feature_map.dtype)  # [B, K, 4] -> [B * K, 4]
    rois = torch.cat([image.to(places.dtype), places], dim=1)  # [B * K, 5]: picture, then xyxy
    cells: Tensor = roi_align(feature_map, rois, BINS, sampling_ratio=2, aligned=True)
    vectors = cells.mean(dim=(2, 3))  # [B * K, D, BINS, BINS] -> [B * K, D]
    return vectors.view(batch, count, feature_map.shape[1])  # [B, K, D]
