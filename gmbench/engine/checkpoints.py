"""When a checkpoint is written: after each epoch ``last``, and ``best`` where dev was better."""

import errno
import math
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint

from gmbench.engine.checkpoint_io import DurableCheckpoints, kept
from gmbench.engine.durable import duplicate, sweep
from gmbench.engine.nonfinite import NonFinite
from gmbench.nn.means import over_all


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
