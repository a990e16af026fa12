"""The default launcher of multiruns: each job in a process of its own.

Hydra discovers launchers in the namespace package ``hydra_plugins`` only, and imports this file at
every start, single runs and ``--help`` included: hence the imports inside ``launch``.
"""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class IsolatedLauncher(Launcher):
    """Runs each job in a process of its own, so that no job can harm another.

    Attributes:
        jobs: number of jobs that run at a time.
        timeout: seconds that a job may take; None = no limit.
        silence: seconds that a job may go without writing anything; None = no limit.
        same_cause: number of failures with one cause, before any other outcome, that end the grid;
            None = no limit.
    """

    def __init__(
        self,
        jobs: int = 1,
        timeout: float | None = None,
        silence: float | None = 3600.0,
        same_cause: int | None = 3,
    ) -> None:
        self.jobs = jobs
        self.timeout = timeout
        self.silence = silence
        self.same_cause = same_cause
        self.context: HydraContext | None = None
        self.config: DictConfig | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what ``launch`` needs; jobs start the task function by its module's name instead."""
        self.context, self.config = hydra_context, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a batch of jobs to the end, even if some of them crash."""
        from gmbench.grid import Limits
        from gmbench.grid.multirun import launch

        assert self.context is not None
        assert self.config is not None
        return launch(
            self.context,
            self.config,
            job_overrides,
            first=initial_job_idx,
            workers=self.jobs,
            limits=Limits(timeout=self.timeout, silence=self.silence, same_cause=self.same_cause),
        )
