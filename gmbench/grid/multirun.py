"""Hydra's multirun over processes or a cluster: jobs from overrides, returns for the sweeper."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from gmbench.config.identity import run_sha
from gmbench.grid.jobs import Job, Outcome
from gmbench.grid.runner import line_of, summary_of
from gmbench.lifecycle.attempts import Status


# What a multirun says when it has ended: how each job went, the leaderboard, the exit code.
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
        from gmbench.reporting.formats import terminal
        from gmbench.reporting.index import read_index
        from gmbench.reporting.leaderboard import leaderboard

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


OF_THE_SWEEP = ("hydra.mode", "hydra.sweep", "hydra/sweep", "hydra.launcher", "hydra/launcher")
"""What a job of a sweep must not be told again; ``hydra.sweeper`` begins like ``hydra.sweep``."""


Run = Callable[..., tuple[Outcome, ...]]
"""Makes jobs: ``run_jobs`` or ``run_on_slurm`` with its settings. It takes them and ``report=``,
and gives one outcome each."""


def launch(
    context: HydraContext,
    config: DictConfig,
    batch: Sequence[Sequence[str]],
    *,
    first: int,
    run: Run,
) -> Sequence[JobReturn]:
    """Run a batch of jobs, each by its own command, and say what each is worth.

    Args:
        context: Hydra's; its callbacks learn of every outcome.
        config: of the sweep, with Hydra's node.
        batch: the overrides of each job.
        first: number of the first job.
        run: makes the jobs.
    """
    setup_globals()
    shared = set.intersection(*(set(overrides) for overrides in batch)) if len(batch) > 1 else set()
    jobs, configs = [], []
    for number, overrides in enumerate(batch, start=first):
        composed = context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = str(number)
            composed.hydra.job.num = number
        configs.append(composed)
        label = " ".join(o for o in overrides if o not in shared) or " ".join(overrides)
        jobs.append(_job(composed, overrides, label))
    outcomes = run(jobs, report=lambda *event: print(line_of(*event), flush=True))
    for callback in context.callbacks.callbacks:
        if isinstance(callback, GridEnding):
            callback.add(outcomes)
    return [
        _returned(outcome, overrides, composed)
        for outcome, overrides, composed in zip(outcomes, batch, configs, strict=True)
    ]


def _job(composed: DictConfig, overrides: Sequence[str], label: str) -> Job:
    hydra = composed.hydra
    HydraConfig.instance().set_config(composed)  # ${hydra:...} in the folder's name is read there
    folder = Path(str(hydra.sweep.dir)) / str(hydra.sweep.subdir)
    quoted = str(folder).replace("'", r"\'")
    passed = [o for o in hydra.overrides.hydra if not o.lstrip("+~").startswith(OF_THE_SWEEP)]
    command = [sys.executable, *_program(), "--config-name", hydra.job.config_name]
    for source in hydra.runtime.config_sources:
        if source.provider == "command-line":
            command += ["--config-dir", source.path]
    command += [*overrides, *passed, f"hydra.run.dir='{quoted}'"]
    return Job(label=label, folder=folder, command=tuple(command), sha=run_sha(composed))


def _program() -> list[str]:
    """How the running program was started: ``-m module``, or its file."""
    spec = sys.modules["__main__"].__spec__
    return ["-m", spec.name] if spec is not None else [sys.argv[0]]


def _returned(outcome: Outcome, overrides: Sequence[str], composed: DictConfig) -> JobReturn:
    """A failed job returns None, never an exception: that would cost the sweeper all the others.

    A sweeper that optimises counts None as a failed trial.
    """
    returned = JobReturn()
    returned.overrides = list(overrides)
    returned.hydra_cfg = OmegaConf.create({"hydra": composed.hydra})
    returned.cfg = OmegaConf.masked_copy(composed, [str(k) for k in composed if k != "hydra"])
    returned.status = JobStatus.COMPLETED
    returned.return_value = None
    if outcome.result is not None:
        metrics = outcome.result.metrics
        returned.return_value = (metrics.gmner or metrics.mner).f1
    return returned
