"""Multimodal Query Decoding (MQD): fusion, fusion decoder, refinement (QGN III-B)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.nn.additions import added
from gmbench.nn.layers import Attention, CrossBlock
from gmbench.nn.text import pool_words
from models.qgn.places import Places, Positions


@dataclass(frozen=True, kw_only=True)
class MQDSettings:
    """Switches of MQD.

    Attributes:
        enabled: false = Table III without MQD: one attention of the queries over image and text,
            without which no query would ever see the picture.
        vtf_layers: self-attention blocks of Vision-Text Fusion; 0 = *w/o VTF*.
        fde_layers: blocks of the Fusion Decoder; 0 = *w/o FDE*.
        mre_layers: layers of Multimodal Refinement; 0 = *w/o MRE*.
        positions: of words and patches in VTF.
        mre_text: where the words of MRE come from: fused with the image (``vtf``; else VTF would
            reach no head *w/o FDE*, against Table V) or as MQA left them (``mqa``).
        mre_vision: where its patches come from: HVLA (the paper) or VTF.
    """

    enabled: bool = True
    vtf_layers: int = 1
    fde_layers: int = 3
    mre_layers: int = 2
    positions: Positions = "learned"
    mre_text: Literal["vtf", "mqa"] = "vtf"
    mre_vision: Literal["hvla", "vtf"] = "hvla"


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """Outputs of HVLA and MQA.

    Attributes:
        text: ``F~^t [B, S, D]``.
        text_mask: ``[B, S]``.
        vision: ``F~^v [B, V, D]``.
        vision_mask: ``[B, V]``.
        queries: ``Q~ [B, N, D]``.
        word_index: ``[B, S]`` word of each sub-word.
        num_words: W.
        word_mask: ``[B, W]``.
    """

    text: Tensor
    text_mask: Tensor
    vision: Tensor
    vision_mask: Tensor
    queries: Tensor
    word_index: Tensor
    num_words: int
    word_mask: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """Inputs of the heads.

    Attributes:
        layers: queries ``[B, N, D]`` and words ``[B, W, D]`` after each layer; the last is the
            answer, the others are for deep supervision.
        vision: visual tokens ``[B, V, D]`` as MRE's vision branch leaves them, aligned with words
            and queries; without MRE those of HVLA.
        weights: of the last fusion layer's attention to the visual tokens ``[B, N, V]``; only
            on request.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    vision: Tensor
    weights: Tensor | None


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
        """Attention weights ``[B, heads, N, K]`` of :meth:`forward` on the keys."""
        return self.cross.attention.weights(self._mix(states, own_mask), keys, key_mask)

    def _mix(self, states: Tensor, mask: Tensor | None) -> Tensor:
        mixed: Tensor = self.own_norm(states + self.dropout(self.own(states, states, mask)))
        return mixed


class MultimodalQueryDecoding(nn.Module):
    """Queries reason over words and patches in one space.

    Args:
        width: of everything.
        heads: of all attentions.
        dropout: in all blocks.
        prefix: visual tokens before the patches.
        grid: patches a side at the native size.
        settings: switches.
    """

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        dropout: float,
        prefix: int,
        grid: int,
        settings: MQDSettings,
    ) -> None:
        super().__init__()
        self.settings = settings
        if not settings.enabled:
            self.glance = Attention(width=width, heads=heads, dropout=dropout)
            self.glance_norm = nn.LayerNorm(width)
            return
        mre, fde = settings.mre_layers > 0, settings.fde_layers > 0
        # Without a reader of M there is no fusion to build.
        self.fused = fde or settings.mre_text == "vtf" or (mre and settings.mre_vision == "vtf")
        if self.fused:
            self.places = Places(
                width=width, prefix=prefix, grid=grid, positions=settings.positions
            )
            self.vtf = nn.ModuleList(
                CrossBlock(width=width, heads=heads, dropout=dropout)
                for _ in range(settings.vtf_layers)
            )
        self.fde = nn.ModuleList(
            DecoderBlock(width=width, heads=heads, dropout=dropout)
            for _ in range(settings.fde_layers)
        )
        self.refine = nn.ModuleList(
            CrossBlock(width=width, heads=heads, dropout=dropout)
            for _ in range(settings.mre_layers)
        )
        self.vision_branch = nn.ModuleList(
            DecoderBlock(width=width, heads=heads, dropout=dropout)
            for _ in range(settings.mre_layers)
        )
        if mre:
            self.merge = Attention(width=width, heads=heads, dropout=dropout)
            self.merge_norm = nn.LayerNorm(width)

    def forward(self, features: Features, *, deep: bool, picture: bool) -> Decoded:
        """Decode.

        Args:
            features: of image, text and queries.
            deep: also return earlier layers.
            picture: also return attention weights.
        """
        f = features
        plain = pool_words(f.text, f.word_index, f.num_words)  # [B, S, D] -> [B, W, D]
        if not self.settings.enabled:
            return self._glance(f, plain, picture)
        memory = self._fuse(f) if self.fused else None  # [B, V + S, D]
        memory_mask = torch.cat([f.vision_mask, f.text_mask], dim=1)  # [B, V + S]
        size = f.vision.shape[1]  # V: where the text begins in M
        words, vision = plain, f.vision
        if memory is not None and self.settings.mre_text == "vtf":
            words = pool_words(memory[:, size:], f.word_index, f.num_words)
        if self.refine and memory is not None and self.settings.mre_vision == "vtf":
            vision = memory[:, :size]
        queries, layers, weights = f.queries, [], None
        for depth, block in enumerate(self.fde, start=1):
            assert memory is not None
            if picture and depth == len(self.fde) and isinstance(block, DecoderBlock):
                looks = block.weights(queries, memory, own_mask=None, key_mask=memory_mask)
                weights = looks.mean(dim=1)[..., :size]  # [B, heads, N, V + S] -> [B, N, V]
            queries = block(queries, memory, own_mask=None, key_mask=memory_mask)  # [B, N, D]
            layers.append((queries, words))
        if self.refine:
            states, vision = self._refine(f, words, queries, vision, layers)
            if picture and weights is None:
                weights = self.merge.weights(states, vision, f.vision_mask).mean(dim=1)
        elif not layers:
            layers.append((queries, words))
        kept = tuple(layers) if deep else (layers[-1],)
        return Decoded(layers=kept, vision=vision, weights=weights)

    def _fuse(self, f: Features) -> Tensor:
        """VTF: self-attention over ``[F~v; F~t]`` with their places, ``M [B, V + S, D]``."""
        memory = torch.cat([self.places.vision(f.vision), self.places.text(f.text)], dim=1)
        mask = torch.cat([f.vision_mask, f.text_mask], dim=1)
        for block in self.vtf:
            memory = block(memory, memory, mask)
        return memory

    def _refine(
        self,
        f: Features,
        words: Tensor,
        queries: Tensor,
        vision: Tensor,
        layers: list[tuple[Tensor, Tensor]],
    ) -> tuple[Tensor, Tensor]:
        """MRE; appends its layers, the last with the image merged in.

        Returns:
            The queries before that merge, and the vision branch.
        """
        joint_mask = torch.cat(
            [f.word_mask, f.word_mask.new_ones(len(queries), queries.shape[1])], dim=1
        )  # [B, W + N]
        count = words.shape[1]
        for refine, look in zip(self.refine, self.vision_branch, strict=True):
            joint = torch.cat([words, queries], dim=1)  # Z [B, W + N, D]
            joint = refine(joint, joint, joint_mask)
            words, queries = joint[:, :count], joint[:, count:]  # [B, W, D], [B, N, D]
            vision = look(vision, joint, own_mask=f.vision_mask, key_mask=joint_mask)
            layers.append((queries, words))
        seen = self.merge(queries, vision, f.vision_mask)  # [B, N, D]
        merged = self.merge_norm(added(self.merge, queries, seen))
        layers[-1] = (merged, words)
        return queries, vision

    def _glance(self, f: Features, words: Tensor, picture: bool) -> Decoded:
        """Table III without MQD."""
        keys = torch.cat([f.vision, f.text], dim=1)  # [B, V + S, D]
        mask = torch.cat([f.vision_mask, f.text_mask], dim=1)
        weights = None
        if picture:
            looks = self.glance.weights(f.queries, keys, mask)
            weights = looks.mean(dim=1)[..., : f.vision.shape[1]]
        queries = self.glance_norm(f.queries + self.glance(f.queries, keys, mask))
        return Decoded(layers=((queries, words),), vision=f.vision, weights=weights)
