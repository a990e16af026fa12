"""Room on the disk: looked for before training, and what is done when it ends all the same."""

import errno
import shutil
from collections.abc import Set as AbstractSet
from pathlib import Path

from torch import nn

MARGIN = 256 * 2**20
"""Bytes for all that a run writes beside checkpoints: predictions, figures, pictures."""

COPIES = 3
"""Of a checkpoint that lie side by side while one is written: best, last, the one before."""


class NoRoom(OSError):
    """A run would fill the disk."""


def is_full(error: BaseException) -> bool:
    """Whether the disk, the user's share of it or the greatest size of a file is used up."""
    return isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
    )


def checkpoint_bytes(model: nn.Module, learns: AbstractSet[str]) -> int:
    """About the size of a checkpoint: all weights, and AdamW's two moments of those that learn."""
    state = model.state_dict().values()
    weights: int = sum(tensor.numel() * tensor.element_size() for tensor in state)
    moments: int = sum(
        2 * parameter.numel() * parameter.element_size()
        for name, parameter in model.named_parameters()
        if name in learns
    )
    return weights + moments


def require_room(folder: Path, checkpoint: int) -> None:
    """Refuse to start what the disk cannot hold.

    Args:
        folder: of the run; it need not exist yet.
        checkpoint: bytes of one, more than once on the disk while it is replaced.

    Raises:
        NoRoom: says how much there is and how much it takes.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free, needed = shutil.disk_usage(there).free, COPIES * checkpoint + MARGIN
    if free < needed:
        raise NoRoom(
            errno.ENOSPC,
            f"runs: {free / 2**20:,.0f} MiB are free in {there}, but checkpoints and results may "
            f"take {needed / 2**20:,.0f} MiB; make room, or set runs=FOLDER on another disk",
        )
