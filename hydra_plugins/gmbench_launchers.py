"""What our launchers share. Hydra looks for them in the namespace package ``hydra_plugins``."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from gmbench.grid.multirun import Run

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gmbench.grid.multirun import Run

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmbench.grid.multirun import Run


class GridLauncher(Launcher):
    """Hands the jobs of a multirun to ``gmbench.grid.multirun``; who runs them, subclasses say."""

    def __init__(self) -> None:
        self.context: HydraContext | None = None
        self.config: DictConfig | None = None

    @abstractmethod
    def runner(self) -> "Run":
        """What runs the jobs. It is imported only here: Hydra reads plugins at every start."""
        ...

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

        assert self.context is not None
        assert self.config is not None
        return launch(
            self.context, self.config, job_overrides, first=initial_job_idx, run=self.runner()
        )


# The launcher of every multirun that names no other: a process a job.
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


# The launcher of grids on a Slurm cluster.
class SlurmLauncher(GridLauncher):
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
        super().__init__()
        self.logs = Path(submitit_folder)
        self.max_num_timeout = max_num_timeout
        self.poll = poll
        self.same_cause = same_cause
        self.parameters = {key: value for key, value in parameters.items() if value}

    def runner(self) -> "Run":
        """Jobs of the cluster."""
        from gmbench.grid.slurm import run_on_slurm

        return partial(
            run_on_slurm,
            logs=self.logs,
            max_num_timeout=self.max_num_timeout,
            parameters=self.parameters,
            poll=self.poll,
            same_cause=self.same_cause,
        )
