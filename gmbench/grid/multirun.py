"""Hydra's multirun: jobs from overrides, scores for the sweeper, the leaderboard at the end."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.text import Text

from gmbench.config.identity import plain_config, run_sha
from gmbench.config.overrides import quote
from gmbench.core.command_line import console
from gmbench.core.errors import InputError
from gmbench.grid.jobs import Job, Outcome
from gmbench.grid.runner import Limits, line_of, run_jobs
from gmbench.lifecycle.attempts import Status

SWEEP_KEYS = ("hydra.mode", "hydra.sweep", "hydra/sweep", "hydra.launcher", "hydra/launcher")
"""Overrides that a job of a sweep must not be given; ``hydra.sweep`` covers ``hydra.sweeper``."""


class GridEnding(Callback):
    """Ends a multirun with the leaderboard of its runs, and with exit code 2 if some failed.

    Hydra calls it only if no job raised, which no job of the isolated launcher can. After another
    launcher has ended with an exception, ``python -m gmbench.report`` shows the leaderboard.
    """

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the leaderboard and the counts; raise ``SystemExit(2)`` if a job failed."""
        # Imported here: Hydra builds this object at every start.
        from gmbench.reporting.formats import board_report
        from gmbench.reporting.index import read_index
        from gmbench.reporting.leaderboard import leaderboard

        folders = list(dict.fromkeys(outcome.job.folder for outcome in self.outcomes))
        board = leaderboard(read_index(*(folders or [Path(config.hydra.sweep.dir)])))
        # Failures follow, with causes.
        console().print(board_report(replace(board, failed=())))
        if not self.outcomes:
            return
        counts = ", ".join(
            f"{sum(o.status is status for o in self.outcomes)} {status}" for status in Status
        )
        print(f"{len(self.outcomes)} jobs: {counts}")
        failed = [o for o in self.outcomes if o.status is Status.FAILED]
        for outcome in failed:
            print(f"failed: {outcome.job.label}: {outcome.cause}\n  {outcome.job.folder}")
        if failed:
            print("The same command runs only what is missing.")
            raise SystemExit(2)


def launch(
    context: HydraContext,
    config: DictConfig,
    batch: Sequence[Sequence[str]],
    *,
    first: int,
    workers: int,
    limits: Limits,
) -> Sequence[JobReturn]:
    """Run a batch of jobs, each by a command of its own, and return their scores to the sweeper.

    Args:
        context: Hydra's; a ``GridEnding`` among its callbacks collects the outcomes.
        config: the sweep's, with Hydra's node.
        batch: the overrides of each job.
        first: number of the first job.
        workers: maximum number of jobs at a time.
        limits: when a job or the grid is given up.

    Raises:
        InputError: different runs would share a folder.
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
    _apart(jobs)
    screen = console()
    shown = screen.is_terminal and all(composed.callbacks.progress for composed in configs)
    with screen.status("starting") if shown else nullcontext() as status:
        outcomes = run_jobs(
            jobs,
            workers=workers,
            limits=limits,
            report=lambda *event: print(line_of(*event), flush=True),
            watch=None if status is None else lambda line: status.update(Text(line)),
        )
    for callback in context.callbacks.callbacks:
        if isinstance(callback, GridEnding):
            callback.outcomes += outcomes
    return [
        _job_return(outcome, overrides, composed)
        for outcome, overrides, composed in zip(outcomes, batch, configs, strict=True)
    ]


def _job(composed: DictConfig, overrides: Sequence[str], label: str) -> Job:
    hydra = composed.hydra
    HydraConfig.instance().set_config(composed)  # the folder's name reads ${hydra:...} from there
    folder = Path(str(hydra.sweep.dir)) / str(hydra.sweep.subdir)
    passed = [o for o in hydra.overrides.hydra if not o.lstrip("+~").startswith(SWEEP_KEYS)]
    command = [sys.executable, *_program(), "--config-name", hydra.job.config_name]
    for source in hydra.runtime.config_sources:
        if source.provider == "command-line":
            command += ["--config-dir", source.path]
    command += [*overrides, *passed, f"hydra.run.dir={quote(str(folder))}"]
    tree = plain_config(composed)
    return Job(label=label, folder=folder, command=tuple(command), sha=run_sha(tree), tree=tree)


def _apart(jobs: Sequence[Job]) -> None:
    """Refuse different runs in one folder.

    Raises:
        InputError: two jobs share one, but not their configuration or their data.
    """
    first: dict[Path, tuple[Job, tuple[object, ...]]] = {}
    for job in jobs:
        identity = (job.sha, job.tree and job.tree["data"].get("root"))
        other, its_identity = first.setdefault(job.folder, (job, identity))
        if identity != its_identity:
            raise InputError(
                f"{other.label} and {job.label} would share the folder {job.folder}: run them one "
                "by one, each with a name (name=NAME)"
            )


def _program() -> list[str]:
    """How the running program was started: ``-m module``, or its file."""
    spec = sys.modules["__main__"].__spec__
    return ["-m", spec.name] if spec is not None else [sys.argv[0]]


def _job_return(outcome: Outcome, overrides: Sequence[str], composed: DictConfig) -> JobReturn:
    """The job's score; None for a failed job, because an exception would end the whole sweep.

    A sweeper that optimises counts None as a failed trial.
    """
    returned = JobReturn()
    returned.overrides = list(overrides)
    returned.hydra_cfg = OmegaConf.create({"hydra": composed.hydra})
    returned.cfg = OmegaConf.masked_copy(composed, [str(k) for k in composed if k != "hydra"])
    returned.status = JobStatus.COMPLETED
    returned.return_value = None if outcome.result is None else outcome.result.selected_f1
    return returned
