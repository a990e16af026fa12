"""What a multirun says when it has ended: how each job went, the leaderboard, the exit code."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console

from gmbench.grid.jobs import Outcome, Status
from gmbench.grid.progress import summary_of


class GridEnding(Callback):
    """Ends a multirun with the leaderboard of its runs, and with exit code 2 if some failed.

    Hydra calls it only where no job raised; under the isolating launcher none can. After another
    launcher has died of a job, ``python -m gmbench.report`` shows the same.
    """

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Take note of a batch of jobs."""
        self.outcomes += outcomes

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print, and leave by ``SystemExit(2)`` if a job failed."""
        # Only now: Hydra builds this object at every start.
        from gmbench.reporting.index import read_index
        from gmbench.reporting.leaderboard import leaderboard
        from gmbench.reporting.leaderboard_tables import terminal

        folders = list(dict.fromkeys(outcome.job.folder for outcome in self.outcomes))
        folders = folders or [Path(config.hydra.sweep.dir)]
        console = Console()
        if not console.is_terminal:
            console = Console(width=140)
        board = leaderboard(read_index(*folders))
        for renderable in terminal(replace(board, failed=())):  # they are told below, with causes
            console.print(renderable)
        failed = [o for o in self.outcomes if o.status is Status.FAILED]
        if self.outcomes:
            print(summary_of(self.outcomes))
        for outcome in failed:
            print(f"failed: {outcome.job.label}: {outcome.cause}\n  {outcome.job.folder}")
        if failed:
            print("The same command runs only what is missing.")
            raise SystemExit(2)
