"""What training says on the terminal: a line after every epoch, and a bar if one is wanted."""

import time

import lightning
from lightning.pytorch.callbacks import Callback, RichProgressBar

from gmbench.core.progress import in_words, time_left
from gmbench.scoring.counting import TASKS


class EpochLines(Callback):
    """Print the dev F1 of every epoch, and how long the others will take.

    By ``print``, which a live bar moves above itself.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._first = 0

    def on_train_start(self, trainer: lightning.Trainer, *_: object) -> None:
        """Start the clock."""
        self._began, self._first = time.monotonic(), trainer.current_epoch

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Say what the epoch has come to; without pictures only MNER has a meaning."""
        if trainer.state.fn != "fit" or not trainer.is_global_zero:
            return
        scores = trainer.callback_metrics
        tasks = TASKS if getattr(pl_module, "select", None) == "gmner" else ("mner",)
        figures = ", ".join(
            f"{task.upper()} {100 * float(scores[f'dev/{task}_f1']):.2f}" for task in tasks
        )
        line = f"{epoch_of(trainer.current_epoch, trainer)}: dev F1 {figures}"
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        if done < total:
            since = time.monotonic() - self._began
            left = time_left(since, done - self._first, total - self._first)
            line += f"; about {in_words(left)} left"
        print(line, flush=True)


class EpochBar(RichProgressBar):
    """Lightning's bar, with epochs counted from one."""

    def __init__(self) -> None:
        super().__init__(leave=False)

    def _get_train_description(self, current_epoch: int) -> str:
        return f"{epoch_of(current_epoch, self.trainer):<{len(self.validation_description)}}"


def epoch_of(index: int, trainer: lightning.Trainer) -> str:
    """``Epoch 1/6`` for the first."""
    return f"Epoch {index + 1}/{trainer.max_epochs}"
