"""A model of one's own: every word is a query. Nothing of gmbench knows that it exists."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gmbench.core.tensors import MASKED, Batch, Outputs
from gmbench.nn.text import TextEncoder, pool_words
from gmbench.nn.vision import VisionEncoder


class WordWise(nn.Module):
    """Each word says which entity it is in, where that starts and ends, which region shows it."""

    def __init__(
        self,
        *,
        text_encoder: TextEncoder,  # asked for by name, and given
        vision_encoder: VisionEncoder,
        type_names: Sequence[str],
        width: int = 64,  # everything else is a setting: model.network.width=128
    ) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        vision_encoder.requires_grad_(False)  # does not learn: its vectors come cached
        self.types = nn.Linear(text_encoder.width, len(type_names) + 1)  # index 0 = no entity
        self.asks = nn.Linear(text_encoder.width, 3 * width)
        self.words = nn.Linear(text_encoder.width, 2 * width)
        self.regions = nn.Linear(vision_encoder.width, width)
        self.scale = width**-0.5

    def forward(self, batch: Batch) -> Outputs:
        """Words ``[B, W]`` and candidate slots ``[B, K1]`` -> one answer a word."""
        assert batch.region_features is not None
        assert batch.region_mask is not None
        hidden = self.text_encoder(batch.input_ids, batch.token_mask)  # [B, T, D]
        words = pool_words(hidden, batch.word_index, batch.word_mask.shape[1])  # [B, W, D]
        start, end, region = self.asks(words).chunk(3, dim=-1)  # [B, W, width] each
        starts, ends = self.words(words).chunk(2, dim=-1)
        types = self.types(words)
        types[..., 0] = types[..., 0].masked_fill(~batch.word_mask, -MASKED)  # padding asks nothing
        return Outputs(
            type_logits=types,
            start_logits=self._scores(start, starts, batch.word_mask),
            end_logits=self._scores(end, ends, batch.word_mask),
            region_logits=self._scores(
                region, self.regions(batch.region_features), batch.region_mask
            ),
        )

    def _scores(self, asks: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Dot products ``[B, W, keys]``; padding gets ``MASKED``."""
        scores = torch.einsum("bqd,bkd->bqk", asks, keys) * self.scale
        return scores.masked_fill(~mask[:, None], MASKED)
