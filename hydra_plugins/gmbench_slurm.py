"""Hydra looks for launchers in the namespace package ``hydra_plugins`` and nowhere else."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SlurmLauncher(Launcher):
    """Each job of a multirun as a job of a Slurm array; ``gmbench.grid.slurm`` does the work.

    Attributes:
        logs: submitit's folder, on a file system that every node sees.
        max_num_timeout: so often a job whose time was up is put back into the queue.
        poll: seconds between two looks at the queue.
        same_cause: so many failures alike, and nothing else yet, end the grid; None = never.
        parameters: of ``sbatch``, by submitit's names; None = the cluster's own default.
    """

    def __init__(
        self,
        submitit_folder: str,
        max_num_timeout: int = 3,
        poll: float = 10.0,
        same_cause: int | None = 3,
        **parameters: Any,
    ) -> None:
        self.logs = Path(submitit_folder)
        self.max_num_timeout = max_num_timeout
        self.poll = poll
        self.same_cause = same_cause
        self.parameters = {key: value for key, value in parameters.items() if value}
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
        from gmbench.grid.multirun import launch
        from gmbench.grid.slurm import run_on_slurm

        assert self.context is not None
        assert self.config is not None
        run = partial(
            run_on_slurm,
            logs=self.logs,
            max_num_timeout=self.max_num_timeout,
            parameters=self.parameters,
            poll=self.poll,
            same_cause=self.same_cause,
        )
        return launch(self.context, self.config, job_overrides, first=initial_job_idx, run=run)
