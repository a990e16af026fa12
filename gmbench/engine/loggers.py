"""Where a trainer's figures go: metrics.csv always, TensorBoard and any further taker on demand."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from gmbench.engine.metrics_file import MetricsFile

TENSORBOARD = "tensorboard"
"""Folder of TensorBoard's event files in a run folder."""


class Taker(Protocol):
    """Takes points of curves and must neither block nor raise."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """One point of each curve, at an optimiser step."""


class TakerLogger(Logger):
    """Hands every figure that Lightning logs to a taker, on the first process only."""

    def __init__(self, taker: Taker, name: str) -> None:
        """Keep the parts.

        Args:
            taker: of the figures.
            name: shown by Lightning.
        """
        super().__init__()
        self._taker = taker
        self._name = name

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    @property
    def version(self) -> str:
        """None of its own: one run folder, one run."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Pass the point on."""
        self._taker.log(metrics, step or 0)

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Nothing: the taker has the whole configuration."""


def build_loggers(
    folder: Path, *, tensorboard: bool = False, taker: Taker | None = None
) -> list[Logger]:
    """``metrics.csv`` in the run folder, and beside it whatever was asked for.

    Args:
        folder: the run folder.
        tensorboard: event files in its folder ``tensorboard``; needs that package.
        taker: gets every figure too, say the mirror on W&B.
    """
    loggers: list[Logger] = [MetricsFile(folder)]
    if tensorboard:
        loggers.append(TensorBoardLogger(folder, name=TENSORBOARD, version=""))
    if taker is not None:
        loggers.append(TakerLogger(taker, "wandb"))
    return loggers
