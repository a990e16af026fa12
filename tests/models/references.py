"""Parts of slow float64 references: small states, masks, a matrix and a vector, attention."""

import math
from collections.abc import Sequence

import torch

B, U, N, K, H = 2, 13, 5, 4, 8


def states(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_mask(rows: int, columns: int) -> torch.Tensor:
    mask = torch.ones(rows, columns, dtype=torch.bool)
    mask[1, columns - 2 :] = False
    return mask


def matvec(linear: torch.nn.Linear, vector: torch.Tensor) -> torch.Tensor:
    out = linear.weight @ vector
    return out if linear.bias is None else out + linear.bias


def attention(part, query: torch.Tensor, keys: Sequence[torch.Tensor], heads: int) -> torch.Tensor:
    """``softmax(q k / sqrt(d_h)) v`` of one query over its real keys, head by head."""
    size = part.query.out_features // heads
    pieces = []
    for h in range(heads):
        rows = slice(h * size, (h + 1) * size)
        q = matvec(part.query, query)[rows]
        scores = [(q @ matvec(part.key, key)[rows]).item() / math.sqrt(size) for key in keys]
        weights = [math.exp(s - max(scores)) for s in scores]
        values = [matvec(part.value, key)[rows] for key in keys]
        mixed = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        pieces.append(mixed)
    return matvec(part.out, torch.cat(pieces))
