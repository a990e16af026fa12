"""Checkpoints: ``last`` after each epoch, ``best`` if dev improved, and the room that they take."""

import errno
import logging
import math
import shutil
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import nn

from gmbench.core.distributed import over_all
from gmbench.core.errors import InputError, NonFinite
from gmbench.core.spent import Spent
from gmbench.training.durable_files import (
    PREVIOUS,
    digests,
    duplicate,
    intact,
    is_full,
    sidecar_of,
    write_durably,
)

log = logging.getLogger("gmbench")


class DurableCheckpoints(CheckpointIO):
    """Write checkpoints durably, keep the previous ``last.ckpt``, verify and never unpickle.

    Lightning's own writer leaves temporary files outside the folder when it is killed and, in
    version 2.6.6, reports nothing if a file may not be written.

    Args:
        may_miss: number of checkpoints that a full disk may cost before training ends.

    Attributes:
        missed: number of checkpoints lost so far.
    """

    def __init__(self, may_miss: int = 0) -> None:
        self.may_miss = may_miss
        self.missed = 0

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; on a full disk, warn and keep the old one.

        Raises:
            OSError: no right to write, or no space left once too often; the old file is untouched.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_durably(path, lambda stream: torch.save(checkpoint, stream), keep=_kept(path))
        except OSError as error:
            self.miss(path, error)

    def miss(self, path: Path, error: OSError) -> None:
        """Count a checkpoint as lost to a full disk.

        Raises:
            OSError: as given, if it has another reason or is one too many.
        """
        if not is_full(error) or self.missed >= self.may_miss:
            raise error
        self.missed += 1
        log.warning(
            "%s: not written, %s; the previous one stays (%d of %d that may be missed)",
            path,
            error.strerror,
            self.missed,
            self.may_miss,
        )

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint: tensors and plain containers only, even if ``weights_only=False``.

        Raises:
            DamagedCheckpoint: its digest does not match, and nothing can replace it.
        """
        loaded: dict[str, Any] = torch.load(
            intact(Path(path)), map_location=map_location or "cpu", weights_only=True
        )
        return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint and its digests."""
        Path(path).unlink(missing_ok=True)
        sidecar_of(Path(path)).unlink(missing_ok=True)


def _kept(path: Path) -> Path | None:
    """Where the old ``last.ckpt`` goes; any other checkpoint is just replaced."""
    return path.with_name(PREVIOUS) if path.name == "last.ckpt" and digests(path) else None


class Checkpoints(Checkpoint):
    """Keep ``best.ckpt``, ``last.ckpt`` and ``previous.ckpt``, the ``last.ckpt`` before it.

    Lightning's ModelCheckpoint writes ``last`` only when it also writes ``best``, and takes a NaN
    score for a very low one. Here a state that is both best and last is written once.

    Args:
        folder: of the checkpoints.
        monitor: the logged value whose maximum is the best.
        io: the trainer's writer; counts the checkpoints that a full disk cost.

    Attributes:
        score, epoch: of the best epoch so far, or None.
        spent: on training so far, without interruptions.
        earlier: the part of it before the last interruption.
    """

    def __init__(self, folder: Path, monitor: str, io: DurableCheckpoints) -> None:
        self.folder = folder
        self.best, self.last = folder / "best.ckpt", folder / "last.ckpt"
        self.io = io
        self.monitor = monitor
        self.score: float | None = None
        self.epoch: int | None = None
        self.spent = self.earlier = Spent()
        self._stopped = False
        self._since = Spent()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock; a run that had stopped early stays stopped."""
        self._since = Spent.now()
        trainer.should_stop = trainer.should_stop or self._stopped

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the state after this epoch.

        A checkpoint lost to a full disk is not the best one either: what is chosen in the end
        exists.

        Raises:
            NonFinite: the score is NaN or infinite.
            OSError: it cannot be written; the previous checkpoints are untouched.
        """
        score = float(trainer.callback_metrics[self.monitor])
        if not math.isfinite(score):
            raise NonFinite(f"{self.monitor} is {score} after epoch {trainer.current_epoch}")
        now = Spent.now()
        self.spent, self._since = self.spent + (now - self._since), now
        self._stopped = bool(trainer.should_stop)
        for logger in trainer.loggers:
            logger.save()  # the curve up to a checkpoint exists wherever the checkpoint does
        if self.score is not None and score <= self.score:
            trainer.save_checkpoint(self.last)
            return
        score_before, epoch_before, missed_before = self.score, self.epoch, self.io.missed
        self.score, self.epoch = score, trainer.current_epoch
        trainer.save_checkpoint(self.best)
        missed = float(self.io.missed > missed_before)
        # The first process writes, all must know.
        if over_all(torch.tensor(missed, device=trainer.strategy.root_device)):
            self.score, self.epoch = score_before, epoch_before
        elif trainer.is_global_zero:
            try:
                duplicate(self.best, self.last, keep=_kept(self.last))
            except OSError as error:
                self.io.miss(self.last, error)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make sure that there is a checkpoint to test.

        Raises:
            OSError: the disk was full each time.
        """
        if self.epoch is None and self.io.missed:
            raise OSError(errno.ENOSPC, f"{self.best}: never written, the disk was full")

    def state_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "score": self.score,
            "epoch": self.epoch,
            "seconds": self.spent.seconds,
            "cpu_seconds": self.spent.cpu,
            "stop": self._stopped,
            "missed": self.io.missed,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.score, self.epoch = state_dict["score"], state_dict["epoch"]
        unknown = math.nan  # a checkpoint from before CPU time was counted
        cpu = state_dict.get("cpu_seconds", unknown)
        self.spent = self.earlier = Spent(state_dict["seconds"], cpu)
        self._stopped = state_dict["stop"]
        self.io.missed = state_dict.get("missed", 0)


MARGIN = 256 * 2**20
"""Bytes for everything that a run writes beside checkpoints: predictions, figures, pictures."""

COPIES = 3
"""Checkpoints on the disk while one is written: best, last, and the one being written."""


def checkpoint_bytes(model: nn.Module, learns: AbstractSet[str]) -> int:
    """Estimate the size of a checkpoint: all weights, and AdamW's moments of those that learn."""
    state = model.state_dict().values()
    weights: int = sum(tensor.nbytes for tensor in state)
    moments: int = sum(2 * p.nbytes for name, p in model.named_parameters() if name in learns)
    return weights + moments


def require_room(folder: Path, checkpoint: int) -> None:
    """Refuse to start a run that the disk cannot hold.

    Args:
        folder: of the run; it need not exist yet.
        checkpoint: bytes of one checkpoint.

    Raises:
        InputError: says how much is free and how much is needed; caused by an ``OSError``.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free, needed = shutil.disk_usage(there).free, COPIES * checkpoint + MARGIN
    if free < needed:
        raise InputError(
            f"runs: {free / 2**20:,.0f} MiB are free in {there}, but checkpoints and results may "
            f"take {needed / 2**20:,.0f} MiB; make room, or set runs=FOLDER on another disk"
        ) from OSError(errno.ENOSPC, "the disk is too small")
