"""Where MQA's queries start: a parameter (QGN III-A), or one of Table V's alternatives."""

from collections.abc import Sequence
from typing import Literal
from zlib import crc32

import torch
from torch import Tensor, nn

QueryInit = Literal["param", "one_vector", "slot_noise", "mean", "attn_single", "attn_multi"]

POOLED = ("one_vector", "mean", "attn_single")
"""One vector for all queries: without an identity of their own all would answer alike."""


class InitialQueries(nn.Module):
    """``[B, N, D]`` queries before they have read anything else.

    Args:
        width: D.
        number: N.
        init: ``param`` = ``[N, D]`` learned; ``one_vector`` = one learned vector;
            ``slot_noise`` = learned mean and deviation, noise of each sample's own (seeded by its
            id); ``mean`` = mean of the words; ``attn_single`` = mean weighed by one learned
            scorer; ``attn_multi`` = by a scorer a query.
        std: of the learned parts at the start (the paper is silent; 0.02 as in BERT).
    """

    def __init__(self, *, width: int, number: int, init: QueryInit, std: float) -> None:
        super().__init__()
        self.init = init
        self.number = number
        shapes = {"param": (number, width), "one_vector": (width,), "slot_noise": (width,)}
        if init in shapes:
            self.start = nn.Parameter(torch.randn(shapes[init]) * std)
        if init in POOLED:
            self.identity = nn.Parameter(torch.randn(number, width) * std)
        if init == "slot_noise":
            self.log_deviation = nn.Parameter(torch.zeros(width))
        if init in ("attn_single", "attn_multi"):
            self.scorer = nn.Linear(width, 1 if init == "attn_single" else number, bias=False)

    def forward(self, text: Tensor, mask: Tensor, ids: Sequence[str]) -> Tensor:
        """Sub-words ``[B, S, D]``, their mask ``[B, S]`` and the samples' ids -> ``[B, N, D]``."""
        batch, _, width = text.shape
        if self.init == "param":
            return self.start.expand(batch, -1, -1)  # [N, D] -> [B, N, D]
        if self.init == "slot_noise":
            noise = torch.stack([self._noise(name, width) for name in ids]).to(text)  # [B, N, D]
            return self.start + self.log_deviation.exp() * noise
        if self.init == "one_vector":
            return (self.start + self.identity).expand(batch, -1, -1)
        if self.init == "mean":
            real = mask[..., None].to(text.dtype)  # [B, S, 1]
            pooled = (text * real).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)
            return self.identity + pooled  # [N, D] + [B, 1, D] -> [B, N, D]
        # [B, S, 1 or N]
        scores = self.scorer(text).masked_fill(~mask[..., None], torch.finfo(text.dtype).min)
        weighed: Tensor = scores.softmax(dim=1).mT @ text  # [B, 1 or N, D]
        return weighed + self.identity if self.init == "attn_single" else weighed

    def _noise(self, name: str, width: int) -> Tensor:
        """``[N, D]``, the same for a sample whenever and beside whatever it comes."""
        generator = torch.Generator().manual_seed(crc32(name.encode()))
        return torch.randn(self.number, width, generator=generator)
