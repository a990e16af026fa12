"""The default launcher of multiruns: each job in a process of its own.

Hydra discovers launchers in the namespace package ``hydra_plugins`` only, and imports this file at
every start, single runs and ``--help`` included: hence the imports inside ``launch``.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class IsolatedLauncher(Launcher):
    """Runs each job in a process of its own, so that no job can harm another.

    Args:
        jobs: number of jobs that run at a time.
        limits: when a job or the grid is given up, as ``gmbench.grid.Limits``.
    """

    def __init__(self, jobs: int = 1, **limits: Any) -> None:
        self.jobs = jobs
        self.limits = limits
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
            limits=Limits(**self.limits),
        )
