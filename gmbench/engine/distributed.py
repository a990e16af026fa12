"""Several processes that train together: sums and records across them, without pickles."""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor


def processes() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_bytes(named: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Byte tensors of every process, in the order of their ranks; all must hold the same names.

    Args:
        named: ``[length]`` uint8 each; lengths may differ between processes.
    """
    if processes() == 1:
        return [dict(named)]
    found: list[dict[str, Tensor]] = [{} for _ in range(processes())]
    for name in sorted(named):
        for rank, row in enumerate(_gather(named[name])):
            found[rank][name] = row
    return found


def _gather(row: Tensor) -> list[Tensor]:
    device = _device()
    mine = row.to(device)
    lengths = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(processes())]
    dist.all_gather(lengths, torch.tensor([len(mine)], device=device))
    counts = [int(length) for length in lengths]
    padded = torch.zeros(max(counts), dtype=torch.uint8, device=device)
    padded[: len(mine)] = mine
    rows = [torch.zeros_like(padded) for _ in counts]
    dist.all_gather(rows, padded)
    return [row[:count].cpu() for row, count in zip(rows, counts, strict=True)]


def _device() -> torch.device:
    """Where tensors must lie to travel."""
    on_gpu = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
