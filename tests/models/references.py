"""Parts of slow float64 references: small states, masks, a matrix and a vector."""

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
