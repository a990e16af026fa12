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
