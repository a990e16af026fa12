"""One job on a Slurm cluster: what runs on the node, how it is handed over, what the queue says."""

import json
import logging
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmbench.config import ConfigError
from gmbench.core.files import write_atomically
from gmbench.grid.jobs import Job
from gmbench.grid.runner import die_with_parent
from gmbench.lifecycle.attempts import FAILURE, OUTPUT, RESULT

log = logging.getLogger("gmbench")

SUBMISSION, EXIT = "slurm.json", "exit_code.txt"
SHARED = (
    *("name", "timeout_min", "mem_gb", "nodes"),
    *("tasks_per_node", "cpus_per_task", "gpus_per_node", "stderr_to_stdout"),
)
"""Parameters that submitit has for every kind of cluster; the others are Slurm's."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What submitit runs on a node: the command of one job.

    Attributes:
        command: starts the run.
        folder: takes its output and its exit code.
    """

    command: tuple[str, ...]
    folder: Path

    def __call__(self) -> None:
        """Run to the end; a job that Slurm starts again goes on at its last checkpoint."""
        with (self.folder / OUTPUT).open("ab") as output:
            done = subprocess.run(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_as_child,
                check=False,
            )
        write_atomically(self.folder / EXIT, str(done.returncode).encode())

    def checkpoint(self) -> Any:
        """Submitit asks when the job is preempted or its time is up: the same once more."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _as_child() -> None:
    """In the child: gone with submitit's process, and deaf to the signal that is meant for that."""
    die_with_parent()
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def hand_over(
    jobs: Sequence[Job], logs: Path, max_num_timeout: int, parameters: Mapping[str, Any]
) -> list[str]:
    """Hand jobs to Slurm, as one array; their ids, which are noted in their folders too.

    Args:
        jobs: to be run.
        logs: submitit's folder, seen by every node.
        max_num_timeout: so often a job whose time was up is put back into the queue.
        parameters: of ``sbatch``, by submitit's names.

    Raises:
        ConfigError: a parameter that submitit does not know.
        RuntimeError: ``sbatch`` said no.
    """
    if not jobs:
        return []
    import submitit

    executor = submitit.AutoExecutor(
        folder=logs.absolute(), cluster="slurm", slurm_max_num_timeout=max_num_timeout
    )
    try:
        executor.update_parameters(
            **{key if key in SHARED else f"slurm_{key}": parameters[key] for key in parameters}
        )
    except (ValueError, NameError) as fault:
        raise ConfigError([f"hydra.launcher: {str(fault).splitlines()[0]}"]) from fault
    commands = []
    for job in jobs:
        folder = job.folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for old in (RESULT, FAILURE, OUTPUT, EXIT, SUBMISSION):
            (folder / old).unlink(missing_ok=True)
        commands.append(Command(command=job.command, folder=folder))
    with executor.batch():
        handed = [executor.submit(command) for command in commands]
    for job, one in zip(jobs, handed, strict=True):
        note = {"id": one.job_id, "sha": job.sha, "log": str(one.paths.stderr)}
        write_atomically(job.folder / SUBMISSION, json.dumps(note, indent=2).encode())
    return [str(one.job_id) for one in handed]


def noted(job: Job) -> str | None:
    """The id under which an earlier grid handed a job over; None where none did."""
    try:
        note = json.loads((job.folder / SUBMISSION).read_bytes())
        return str(note["id"]) if note["sha"] == job.sha else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def states(ids: Sequence[str]) -> dict[str, str] | None:
    """State of each job that Slurm still knows, by its id; None where Slurm does not answer."""
    arrays = ",".join(sorted({id.partition("_")[0] for id in ids}))
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T"]
    done = subprocess.run(
        [*command, f"--jobs={arrays}"], capture_output=True, text=True, check=False
    )
    if done.returncode and "Invalid job id" not in done.stderr:  # that is: none is known any more
        log.warning("squeue: %s; asked again", done.stderr.strip())
        return None
    rows = (line.strip().partition("|") for line in done.stdout.splitlines())
    return {id: state for id, _, state in rows if state}


def exit_code(job: Job) -> int | None:
    """Of a command that came to its end; None where the job was ended from outside."""
    try:
        return int((job.folder / EXIT).read_bytes())
    except (OSError, ValueError):
        return None


def cancel(ids: Sequence[str]) -> None:
    """End jobs, begun or not; those that are gone already do no harm."""
    if ids:
        subprocess.run(["scancel", *ids], capture_output=True, check=False)
