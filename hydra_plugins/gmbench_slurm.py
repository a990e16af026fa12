"""The launcher of grids on a Slurm cluster."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_plugins.gmbench_launcher import GridLauncher

if TYPE_CHECKING:
    from gmbench.grid.multirun import Run


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
