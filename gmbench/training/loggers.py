"""Loggers of a run: ``metrics.csv`` always, TensorBoard and one more on demand."""

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from gmbench.core.files import write_atomically
from gmbench.training.durable_files import is_full

log = logging.getLogger("gmbench")

TENSORBOARD = "tensorboard"
"""Folder of TensorBoard's event files in a run folder."""


class WholeFileWriter(ExperimentWriter):
    """Replace ``metrics.csv`` as a whole, so that no row is ever torn or lost to a full disk.

    Lightning's own writer appends, and rewrites the file in place for each new column: a full disk
    leaves half a row, or no rows at all. It also deletes the file of an interrupted run.
    """

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self._written = 0
        self._warned = False

    def _check_log_dir_exists(self) -> None:
        """Keep the file until it is replaced, so that a resumed run can continue it."""

    def continue_from(self, step: int) -> None:
        """Put the rows of the file that come before a step in front of the new ones."""
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as file:
                rows: list[dict[str, Any]] = [
                    {name: value for name, value in row.items() if value}
                    for row in csv.DictReader(file)
                ]
            self.metrics[:0] = [row for row in rows if int(row.get("step", step)) < step]

    def save(self) -> None:
        """Write all rows; on a full disk, keep the file and try again next time.

        Raises:
            OSError: it cannot be written for another reason.
        """
        if len(self.metrics) == self._written:
            return
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, fieldnames=sorted({n for row in self.metrics for n in row}))
        table.writeheader()
        table.writerows(self.metrics)
        try:
            write_atomically(Path(self.metrics_file_path), text.getvalue().encode())
        except OSError as error:
            if not is_full(error):
                raise
            if not self._warned:
                log.warning(
                    "%s: not written, %s; trying again later", self.metrics_file_path, error
                )
            self._warned = True
            return
        self._written = len(self.metrics)


class MetricsFile(CSVLogger):
    """Lightning's CSVLogger for ``metrics.csv`` in a run folder, which a resumed run continues."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name=None, version="")

    @property
    def experiment(self) -> WholeFileWriter:
        """The writer."""
        if self._experiment is None:
            self._experiment = WholeFileWriter(str(self._save_dir))
        assert isinstance(self._experiment, WholeFileWriter)
        return self._experiment

    @rank_zero_only
    def continue_from(self, step: int) -> None:
        """Keep the rows before a step."""
        self.experiment.continue_from(step)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log all but learning rates: the file is the same whatever other logger there is."""
        kept = {name: value for name, value in metrics.items() if not name.startswith("lr-")}
        if kept:
            super().log_metrics(kept, step)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Log nothing: the run folder holds the whole configuration."""


def build_loggers(
    folder: Path, *, tensorboard: bool = False, mirror: Any | None = None
) -> list[Logger]:
    """Build the loggers of a run.

    Args:
        folder: the run folder.
        tensorboard: write event files too, in ``tensorboard/``; needs that package.
        mirror: logged to in place of a ``wandb.Run``: a ``gmbench.reporting.wandb.WandbMirror``.
    """
    loggers: list[Logger] = [MetricsFile(folder)]
    if tensorboard:
        loggers.append(TensorBoardLogger(folder, name=TENSORBOARD, version=""))
    if mirror is not None:
        loggers.append(WandbLogger(experiment=mirror))
    return loggers
