"""Where a trainer's figures go: metrics.csv always, TensorBoard and any further taker on demand."""

import csv
import io
import logging
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from gmbench.core.files import write_atomically
from gmbench.faults import strike
from gmbench.training.durable_files import is_full

# metrics.csv of a run that was interrupted: Lightning begins the file anew, here it goes on.
FILE, BEFORE = "metrics.csv", "metrics.before.csv"

Row = dict[str, str]


def set_aside(folder: Path, steps: int) -> None:
    """Keep the rows of the first ``steps`` steps until :func:`join`; drop all others.

    Args:
        folder: the run folder.
        steps: done before the checkpoint that training goes on from; 0 for a run begun anew.
    """
    rows = [row for row in _read(folder / BEFORE) + _read(folder / FILE) if _step(row) < steps]
    if rows:
        _write(folder / BEFORE, rows)
    else:
        (folder / BEFORE).unlink(missing_ok=True)


def join(folder: Path) -> None:
    """Put the rows kept before in front of those written since."""
    before = _read(folder / BEFORE)
    if before:
        _write(folder / FILE, before + _read(folder / FILE))
    (folder / BEFORE).unlink(missing_ok=True)


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _step(row: Row) -> int:
    """A row that was cut off has none and is dropped."""
    step = row.get("step") or ""
    return int(step) if step.isdecimal() else 2**63


def _write(path: Path, rows: list[Row]) -> None:
    names = sorted({name for row in rows for name in row if name})
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=names, extrasaction="ignore")
    table.writeheader()
    table.writerows(rows)
    write_atomically(path, text.getvalue().encode())


# metrics.csv: the figures of a run, written whole each time, so that no row is ever torn.
log = logging.getLogger("gmbench")

EVERY = 100
"""Points between two writes; each epoch's end writes too."""


class MetricsFile(Logger):
    """Keeps every figure and replaces ``metrics.csv`` by a longer one.

    Lightning's CSVLogger appends, and begins the file anew where a figure is new: a full disk
    leaves half a row, or no rows at all. Here what a full disk refused is written the next time.
    """

    def __init__(self, folder: Path) -> None:
        """Begin a new file; one of an earlier run in the folder is replaced.

        Args:
            folder: the run folder.
        """
        super().__init__()
        self._folder = folder
        self._rows: list[dict[str, float | int]] = []
        self._unwritten = 0
        self._warned = False

    @property
    def name(self) -> str:
        """What Lightning shows."""
        return "csv"

    @property
    def version(self) -> str:
        """None of its own: one run folder, one run."""
        return ""

    @property
    def log_dir(self) -> str:
        """The run folder."""
        return str(self._folder)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """One row."""
        values = {n: v.item() if isinstance(v, Tensor) else v for n, v in metrics.items()}
        self._rows.append({**values, "step": len(self._rows) if step is None else step})
        self._unwritten += 1
        if self._unwritten >= EVERY:
            self.save()

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run folder holds the whole configuration."""

    @rank_zero_only
    def save(self) -> None:
        """Write all rows; on a full disk the file stays as it was, and the rows here.

        Raises:
            OSError: it cannot be written for another reason.
        """
        if not self._unwritten:
            return
        names = sorted({name for row in self._rows for name in row})
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, fieldnames=names)
        table.writeheader()
        table.writerows(self._rows)
        try:
            strike("log")
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / FILE, text.getvalue().encode())
        except OSError as error:
            if not is_full(error):
                raise
            if not self._warned:
                log.warning("%s: not written, %s; trying again later", self._folder / FILE, error)
            self._warned = True
            return
        self._unwritten = 0

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()


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
