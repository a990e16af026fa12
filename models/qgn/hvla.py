"""Hierarchical Vision-Language Alignment (HVLA): text enters the vision tower (III-A, eq. 3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.nn.additions import added
from gmbench.nn.layers import Attention
from gmbench.nn.vision import VisionEncoder, attend, feed

PAPER_DEPTH = 12
"""Blocks of BERT-base and of CLIP's ViT-B, to which the paper's numbers refer."""

LAYER_SCALE = 0.1
"""Where the factors of ``gate=layer_scale`` start."""

Scale = Literal["proportional", "stride_preserving"]


@dataclass(frozen=True, kw_only=True)
class HVLASettings:
    """Switches of HVLA; blocks are counted as of 12 and scaled; see :func:`bridge`.

    Attributes:
        enabled: false = Table III without HVLA: the bare tower, see ``bare``.
        text_start: first of the text blocks J that are read (Table VI, extraction).
        text_stride: between two of them.
        vision_start: first of the vision blocks V that are changed (Table VI, injection).
        vision_stride: between two of them.
        levels: blocks of each.
        index_base: whether the paper counts blocks from 1 or from 0.
        scale: for encoders of another depth.
        fuse: ``per_layer`` = adapters and W_g of its own for each changed block ("at each bridging
            layer ... we adaptively merge"); eq. 3 has no index for it.
        inject: after the block, before it, or between its two halves.
        gate: what the injected message is multiplied with: ``zero_init`` = a learned factor that
            starts at 0, so that the tower starts bare, but hardly moves in a short training;
            ``layer_scale`` = one a channel that starts at 0.1 (Touvron et al. 2021).
        extract: ``follow`` reads the vision blocks V; ``fixed`` always {2, 5, 8, 11}.
        keep_cls: class (and register) tokens stay among the visual tokens.
        pre_ln: normalise each level before they are concatenated: the tower's own last norm is
            for its last block only.
        bare: without HVLA, ``last`` projects the last block's states; ``concat`` the blocks V.
    """

    enabled: bool = True
    text_start: int = 1
    text_stride: int = 3
    vision_start: int = 2
    vision_stride: int = 3
    levels: int | Literal["to_end"] = 4
    index_base: Literal[0, 1] = 1
    scale: Scale = "proportional"
    fuse: Literal["shared", "per_layer"] = "shared"
    inject: Literal["post", "mid", "pre"] = "post"
    gate: Literal["none", "zero_init", "layer_scale"] = "none"
    extract: Literal["follow", "fixed"] = "follow"
    keep_cls: bool = True
    pre_ln: bool = True
    bare: Literal["last", "concat"] = "last"

    def text_blocks(self, depth: int) -> tuple[int, ...]:
        """J in a text encoder of ``depth`` blocks, from 1."""
        return self._bridge(self.text_start, self.text_stride, depth)

    def changed(self, depth: int) -> tuple[int, ...]:
        """V in a vision tower of ``depth`` blocks: those whose change is read later on."""
        if not self.enabled:
            return ()
        last = self.read(depth)[-1]
        blocks = self._bridge(self.vision_start, self.vision_stride, depth)
        return tuple(block for block in blocks if block <= last)

    def read(self, depth: int) -> tuple[int, ...]:
        """Vision blocks whose states become visual tokens."""
        if not self.enabled and self.bare == "last":
            return (depth,)
        if self.extract == "fixed":
            return self._bridge(2, 3, depth)
        return self._bridge(self.vision_start, self.vision_stride, depth)

    def _bridge(self, start: int, stride: int, depth: int) -> tuple[int, ...]:
        return bridge(
            start=start,
            stride=stride,
            levels=self.levels,
            index_base=self.index_base,
            depth=depth,
            scale=self.scale,
        )


def bridge(
    *,
    start: int,
    stride: int,
    levels: int | Literal["to_end"],
    index_base: int,
    depth: int,
    scale: Scale,
) -> tuple[int, ...]:
    """Blocks ``start, start + stride, ...`` as 1-based numbers of an encoder of ``depth`` blocks.

    Args:
        start: first block, counted from ``index_base``.
        stride: between two blocks.
        levels: how many; ``to_end`` = as long as there are blocks (of 12).
        index_base: 1 or 0. Table VI has {3, 6, 9, 12} of 12 blocks, which only 1 can count.
        depth: blocks of the encoder.
        scale: where it does not have 12: ``proportional`` moves block j to ``ceil(j depth / 12)``
            (equal ones count once); ``stride_preserving`` keeps the numbers that exist.

    Raises:
        ValueError: a block beyond the 12th, or none left.
    """
    first = start + 1 - index_base
    count = (PAPER_DEPTH - first) // stride + 1 if levels == "to_end" else levels
    named = [first + stride * k for k in range(count)]
    if not named or named[0] < 1 or named[-1] > PAPER_DEPTH:
        raise ValueError(
            f"start {start}, stride {stride}, levels {levels}, index_base {index_base} name the "
            f"blocks {named}; they must lie in 1..{PAPER_DEPTH} (shallower encoders are scaled)"
        )
    if scale == "proportional":
        return tuple(sorted({math.ceil(block * depth / PAPER_DEPTH) for block in named}))
    kept = tuple(block for block in named if block <= depth)
    if not kept:
        raise ValueError(f"none of the blocks {named} exists in an encoder of {depth} blocks")
    return kept


class TextFusion(nn.Module):
    """Eq. 3: ``W_g [A_1; A_4; ...]`` with ``A_j = H_j + W_j H_j``.

    Args:
        width: of the text.
        levels: number of text blocks.
    """

    def __init__(self, *, width: int, levels: int) -> None:
        super().__init__()
        self.adapters = nn.ModuleList(nn.Linear(width, width) for _ in range(levels))
        self.merge = nn.Linear(levels * width, width)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """``[B, S, D]`` of each block of J -> ``[B, S, D]``."""
        adapted = [h + adapter(h) for h, adapter in zip(states, self.adapters, strict=True)]
        merged: Tensor = self.merge(torch.cat(adapted, dim=-1))  # [B, S, levels * D] -> [B, S, D]
        return merged


class HierarchicalAlignment(nn.Module):
    """A vision tower with text injected at several depths.

    Blocks and norms that nothing reads are removed from the tower.

    Args:
        vision_encoder: the tower; it is changed in place.
        text_depth: blocks of the text encoder.
        width: of the text and of the visual tokens given back.
        heads: of the cross-attention; those of the tower would depend on its kind.
        dropout: on attention weights.
        settings: switches.
    """

    def __init__(
        self,
        *,
        vision_encoder: VisionEncoder,
        text_depth: int,
        width: int,
        heads: int,
        dropout: float,
        settings: HVLASettings,
    ) -> None:
        super().__init__()
        depth, tower_width = vision_encoder.depth, vision_encoder.width
        self.settings = settings
        self.text_blocks = settings.text_blocks(text_depth)
        self.changed = settings.changed(depth)
        self.read = settings.read(depth)
        vision_encoder.drop_unread(depth=self.read[-1], norm=False)
        self.tower = vision_encoder
        merges = 0
        if self.changed:
            merges = len(self.changed) if settings.fuse == "per_layer" else 1
        self.fusions = nn.ModuleList(
            TextFusion(width=width, levels=len(self.text_blocks)) for _ in range(merges)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(tower_width) for _ in self.changed)
        self.looks = nn.ModuleList(
            Attention(width=tower_width, heads=heads, key_width=width, dropout=dropout)
            for _ in self.changed
        )
        scale = torch.full((tower_width,), LAYER_SCALE)
        self.gates = nn.ParameterList(
            nn.Parameter(torch.zeros(()) if settings.gate == "zero_init" else scale.clone())
            for _ in self.changed
            if settings.gate != "none"
        )
        self.level_norms = nn.ModuleList(
            nn.LayerNorm(tower_width) if settings.pre_ln else nn.Identity() for _ in self.read
        )
        self.project = nn.Linear(len(self.read) * tower_width, width)

    @property
    def prefix(self) -> int:
        """Visual tokens before the patches."""
        return self.tower.prefix_tokens if self.settings.keep_cls else 0

    def forward(self, pixels: Tensor, text: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Visual tokens conditioned on the text.

        Args:
            pixels: ``[B, 3, H, W]``.
            text: the text encoder's embeddings and block outputs, ``depth + 1`` of ``[B, S, D]``.
            mask: ``[B, S]``.

        Returns:
            ``F~^v [B, prefix + P, D]``.
        """
        levels = self.levels(pixels, text, mask)
        normed = [norm(level) for norm, level in zip(self.level_norms, levels, strict=True)]
        # [B, prefix + P, levels * Dv] -> [B, prefix + P, D]
        tokens: Tensor = self.project(torch.cat(normed, dim=-1))
        return tokens[:, self.tower.prefix_tokens - self.prefix :]  # without keep_cls: [B, P, D]

    def levels(self, pixels: Tensor, text: Sequence[Tensor], mask: Tensor) -> list[Tensor]:
        """States of the tower after each block that is read, ``[B, prefix + P, Dv]``."""
        chosen = [text[block] for block in self.text_blocks] if self.changed else []
        fused = [fusion(chosen) for fusion in self.fusions]  # F_fused [B, S, D]
        states, read = self.tower.embed(pixels), []  # [B, prefix + P, Dv]
        for number, block in enumerate(self.tower.blocks, start=1):
            if number not in self.changed:
                states = block(states)
            elif self.settings.inject == "post":
                states = self._inject(block(states), number, fused, mask)
            elif self.settings.inject == "pre":
                states = block(self._inject(states, number, fused, mask))
            else:
                states = feed(block, self._inject(attend(block, states), number, fused, mask))
            if number in self.read:
                read.append(states)
        return read

    def _inject(self, states: Tensor, number: int, fused: list[Tensor], mask: Tensor) -> Tensor:
        """``X + g MHA(LN(X), F_fused)``, ``[B, prefix + P, Dv]``."""
        place = self.changed.index(number)
        keys = fused[place if len(fused) > 1 else 0]
        message: Tensor = self.looks[place](self.norms[place](states), keys, mask)
        message = self.gates[place] * message if len(self.gates) else message
        return added(self, states, message)
