"""Cross-modality interaction, then unimodality interaction under the existence gate."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.nn.layers import Attention, CrossBlock

Gate = Literal["exists", "groundable", "none"]


@dataclass(frozen=True, eq=False)
class Interacted:
    """Inputs of the heads; N = B * C questions.

    Attributes:
        text: ``[N, L, D]`` sub-words conditioned on the image, as far as the gate lets it through.
        vision: ``[N, P, D]`` patches conditioned on question and sentence.
        existence: ``[N, 2]`` log-odds: the sentence names the type; the image shows it.
    """

    text: Tensor
    vision: Tensor
    existence: Tensor


class ExistenceGate(nn.Module):
    """``w [h_CLS; mean v]``: is there an entity of the type, and does the image show it.

    Args:
        width: of both.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(2 * width, 2)

    def forward(self, text: Tensor, vision: Tensor) -> Tensor:
        """``[N, L, D]``, ``[N, P, D]`` -> log-odds ``[N, 2]``."""
        both = torch.cat([text[:, 0], vision.mean(dim=1)], dim=-1)  # [N, 2 D]
        logits: Tensor = self.score(both)
        return logits


class Interaction(nn.Module):
    """Attention in both directions; the existence gate scales what reaches the text.

    Args:
        width: of both modalities.
        heads: of all attentions.
        dropout: on attention weights and on what each part adds.
        layers: of self-attention over the text that follows.
        gate: which probability scales the visual message: that the sentence names the type
            (e_c), that the image shows it, or none.
    """

    def __init__(self, *, width: int, heads: int, dropout: float, layers: int, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.vision_hears = CrossBlock(width=width, heads=heads, dropout=dropout)
        self.text_hears = Attention(width=width, heads=heads, dropout=dropout)
        self.existence = ExistenceGate(width=width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.unimodal = nn.ModuleList(
            CrossBlock(width=width, heads=heads, dropout=dropout) for _ in range(layers)
        )

    def forward(
        self, text: Tensor, vision: Tensor, *, text_mask: Tensor, vision_mask: Tensor
    ) -> Interacted:
        """Text ``[N, L, D]``, patches ``[N, P, D]``, masks ``[N, L]`` and ``[N, P]``."""
        heard = self.vision_hears(vision, text, text_mask)  # [N, P, D]
        existence = self.existence(text, heard)  # [N, 2]
        message = self.text_hears(text, vision, vision_mask)  # [N, L, D]
        if self.gate != "none":
            bit = 0 if self.gate == "exists" else 1
            message = existence[:, bit].sigmoid()[:, None, None] * message  # e_c [N, 1, 1]
        text = self.norm(text + self.dropout(message))
        for block in self.unimodal:
            text = block(text, text, text_mask)
        return Interacted(text=text, vision=heard, existence=existence)
