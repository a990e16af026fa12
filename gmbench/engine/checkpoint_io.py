"""How Lightning writes and reads a checkpoint here: whole, durable, verified, never unpickled.

Lightning's own writer leaves temporary files in another folder when it is killed, and in version
2.6.6 reports nothing where a file may not be written.
"""

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from gmbench.engine.disk import is_full
from gmbench.engine.durable import PREVIOUS, digests, intact, sidecar_of, write_durably

log = logging.getLogger("gmbench")


class DurableCheckpoints(CheckpointIO):
    """Checkpoints as ``durable`` writes them; ``last.ckpt`` keeps the one before it.

    Attributes:
        may_miss: so many may get lost to a full disk before training ends.
        missed: so many have been.
    """

    def __init__(self, may_miss: int = 0) -> None:
        """Keep the setting."""
        self.may_miss = may_miss
        self.missed = 0

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, or with a warning none where the disk is full.

        Raises:
            OSError: no space left once more than may be, or no right to write; the old file still
                is there.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_durably(path, lambda stream: torch.save(checkpoint, stream), keep=kept(path))
        except OSError as error:
            self.miss(path, error)

    def miss(self, path: Path, error: OSError) -> None:
        """Let a checkpoint go that a full disk refused.

        Raises:
            OSError: as given: another error, or one too many.
        """
        if not is_full(error) or self.missed >= self.may_miss:
            raise error
        self.missed += 1
        log.warning(
            "%s: not written, %s; the one before it stays (%d of %d that may be missed)",
            path,
            error.strerror,
            self.missed,
            self.may_miss,
        )

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; nothing but tensors and plain containers, whatever is asked for.

        Raises:
            DamagedCheckpoint: its digest does not fit, and there is no other to take.
        """
        loaded: dict[str, Any] = torch.load(
            intact(Path(path)), map_location=map_location or "cpu", weights_only=True
        )
        return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint and its digests."""
        Path(path).unlink(missing_ok=True)
        sidecar_of(Path(path)).unlink(missing_ok=True)


def kept(path: Path) -> Path | None:
    """Where the old ``last.ckpt`` goes; any other checkpoint is just replaced."""
    return path.with_name(PREVIOUS) if path.name == "last.ckpt" and digests(path) else None
