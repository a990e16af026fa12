"""metrics.csv: the figures of a run, written whole each time, so that no row is ever torn."""

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from gmbench.engine.curves import FILE
from gmbench.engine.disk import is_full
from gmbench.faults import strike
from gmbench.scoring.atomic import write_atomically

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
