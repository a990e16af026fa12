"""When a checkpoint is written: after each epoch ``last``, and ``best`` where dev was better."""

import errno
import logging
import math
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from gmbench.core.distributed import NonFinite, over_all
from gmbench.training.durable_files import (
    PREVIOUS,
    digests,
    duplicate,
    intact,
    is_full,
    sidecar_of,
    sweep,
    write_durably,
)

# How Lightning writes and reads a checkpoint here: whole, durable, verified, never unpickled.
# Lightning's own writer leaves temporary files in another folder when it is killed, and in version
# 2.6.6 reports nothing where a file may not be written.
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


class Checkpoints(Checkpoint):
    """Keeps ``best.ckpt``, ``last.ckpt`` and ``previous.ckpt``, the last one's forerunner.

    Lightning's ModelCheckpoint writes ``last`` only where it also writes ``best``, and takes a
    score that is not a number for a very low one. Here a state that is both is written once.

    Attributes:
        score: of the best epoch so far, or None.
        epoch: which it was.
        seconds: of training so far, interruptions left out.
        earlier: those of them before the last interruption.
    """

    def __init__(self, folder: Path, monitor: str, io: DurableCheckpoints) -> None:
        """Keep the settings.

        Args:
            folder: where checkpoints lie.
            monitor: the logged figure whose greatest value is the best.
            io: what the trainer writes them with; counts those that a full disk cost.
        """
        self.folder = folder
        self.io = io
        self.monitor = monitor
        self.score: float | None = None
        self.epoch: int | None = None
        self.seconds = self.earlier = 0.0
        self._stop = False
        self._since = 0.0

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.folder / "best.ckpt"

    @property
    def last(self) -> Path:
        """The checkpoint of the last epoch."""
        return self.folder / "last.ckpt"

    def setup(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str
    ) -> None:
        """Remove what killed processes left half-written."""
        if trainer.is_global_zero:
            sweep(self.folder)

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Start the clock; a run whose patience had ended stays ended."""
        self._since = time.perf_counter()
        trainer.should_stop = trainer.should_stop or self._stop

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write the state after this epoch.

        One that a full disk refuses, and may, is not the best one either: what is chosen in the
        end is on the disk.

        Raises:
            NonFinite: the score is NaN or infinite.
            OSError: it cannot be written; the checkpoints before it still are there.
        """
        score = float(trainer.callback_metrics[self.monitor])
        if not math.isfinite(score):
            raise NonFinite(f"{self.monitor} is {score} after epoch {trainer.current_epoch}")
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        self._stop = bool(trainer.should_stop)
        for logger in trainer.loggers:
            logger.save()  # what led here must not be lost when what follows is
        if self.score is not None and score <= self.score:
            trainer.save_checkpoint(self.last)
            return
        before = self.score, self.epoch, self.io.missed
        self.score, self.epoch = score, trainer.current_epoch
        trainer.save_checkpoint(self.best)
        if _any(self.io.missed > before[2], trainer):  # the first process writes, all must know
            self.score, self.epoch = before[:2]
        elif trainer.is_global_zero:
            try:
                duplicate(self.best, self.last, keep=kept(self.last))
            except OSError as error:
                self.io.miss(self.last, error)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """See to it that there is a checkpoint to test.

        Raises:
            OSError: the disk was full each time.
        """
        if self.epoch is None and self.io.missed:
            raise OSError(errno.ENOSPC, f"{self.best}: never written, the disk was full")

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "score": self.score,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "stop": self._stop,
            "missed": self.io.missed,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As :meth:`state_dict` gave it."""
        self.score, self.epoch = state_dict["score"], state_dict["epoch"]
        self.seconds, self._stop = state_dict["seconds"], state_dict["stop"]
        self.earlier = self.seconds
        self.io.missed = state_dict.get("missed", 0)


def _any(flag: bool, trainer: lightning.Trainer) -> bool:
    """Whether it holds in any process."""
    return bool(over_all(torch.tensor(float(flag), device=trainer.strategy.root_device)))
