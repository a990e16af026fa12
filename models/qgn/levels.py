"""Which encoder blocks HVLA reads and changes, for encoders of any depth (QGN section III-A)."""

import math
from typing import Literal

PAPER_DEPTH = 12
"""Blocks of BERT-base and of CLIP's ViT-B, to which the paper's numbers refer."""

Scale = Literal["proportional", "stride_preserving"]


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
