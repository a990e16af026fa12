"""The decoder block that the Fusion Decoder and the synchronised vision branch are made of."""

from torch import Tensor, nn

from gmbench.nn.layers import Attention, CrossBlock


class DecoderBlock(nn.Module):
    """Self-attention, attention over other states, feed-forward; post-norm, as in DETR.

    Args:
        width: of all states.
        heads: of both attentions.
        dropout: on weights and on what each part adds.
    """

    def __init__(self, *, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.own = Attention(width=width, heads=heads, dropout=dropout)
        self.own_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.cross = CrossBlock(width=width, heads=heads, dropout=dropout)

    def forward(
        self, states: Tensor, keys: Tensor, *, own_mask: Tensor | None, key_mask: Tensor | None
    ) -> Tensor:
        """States ``[B, N, D]``, keys ``[B, K, D]``; masks as in Attention -> ``[B, N, D]``."""
        result: Tensor = self.cross(self._mix(states, own_mask), keys, key_mask)
        return result

    def weights(
        self, states: Tensor, keys: Tensor, *, own_mask: Tensor | None, key_mask: Tensor | None
    ) -> Tensor:
        """The weights ``[B, heads, N, K]`` with which :meth:`forward` looks at the keys."""
        return self.cross.attention.weights(self._mix(states, own_mask), keys, key_mask)

    def _mix(self, states: Tensor, mask: Tensor | None) -> Tensor:
        mixed: Tensor = self.own_norm(states + self.dropout(self.own(states, states, mask)))
        return mixed
