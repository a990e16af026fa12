"""Hydra looks for launchers in the namespace package ``hydra_plugins`` and nowhere else."""

from collections.abc import Sequence
from functools import partial

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class IsolatedLauncher(Launcher):
    """Each job of a multirun in a process of its own; ``gmbench.grid.multirun`` does the work.

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
        self.jobs = jobs
        self.timeout = timeout
        self.silence = silence
        self.same_cause = same_cause
        self.context: HydraContext | None = None
        self.config: DictConfig | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what a launch needs; the task function is started by its module's name instead."""
        self.context, self.config = hydra_context, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a batch of jobs to its end, whatever each of them does."""
        # Only now: Hydra imports this file at every start, single runs and --help included.
        from gmbench.grid import Limits, run_jobs
        from gmbench.grid.multirun import launch

        assert self.context is not None
        assert self.config is not None
        limits = Limits(timeout=self.timeout, silence=self.silence, same_cause=self.same_cause)
        run = partial(run_jobs, workers=self.jobs, limits=limits)
        return launch(self.context, self.config, job_overrides, first=initial_job_idx, run=run)
