"""The launcher of every multirun that names no other: a process a job."""

from functools import partial
from typing import TYPE_CHECKING

from hydra_plugins.gmbench_launcher import GridLauncher

if TYPE_CHECKING:
    from gmbench.grid.multirun import Run


class IsolatedLauncher(GridLauncher):
    """Each job of a multirun in a process of its own.

    Attributes:
        jobs: at a time.
        timeout: seconds a job may take; None = for ever.
        silence: seconds a job may write nothing; None = for ever.
        same_cause: so many failures alike, and nothing else yet, end the grid; None = never.
    """

    def __init__(
        self,
        jobs: int = 1,
        timeout: float | None = None,
        silence: float | None = 3600.0,
        same_cause: int | None = 3,
    ) -> None:
        super().__init__()
        self.jobs = jobs
        self.timeout = timeout
        self.silence = silence
        self.same_cause = same_cause

    def runner(self) -> "Run":
        """Processes of this machine."""
        from gmbench.grid import Limits, run_jobs

        limits = Limits(timeout=self.timeout, silence=self.silence, same_cause=self.same_cause)
        return partial(run_jobs, workers=self.jobs, limits=limits)
