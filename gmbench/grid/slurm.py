"""Jobs on a Slurm cluster: handed over by submitit, watched by squeue, judged by their run folders.

Submitit alone asks ``sacct`` how jobs fare. A cluster without accounting never answers that, and a
job that was killed there would be waited for for ever; ``squeue`` answers everywhere.
"""

import json
import logging
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gmbench.config import ConfigError
from gmbench.grid.jobs import FAILURE, OUTPUT, RESULT, Job, Outcome, Status, judge
from gmbench.grid.runner import (
    Report,
    all_alike,
    asked_to_stop,
    die_with_parent,
    finished_before,
    given_up,
)
from gmbench.scoring.atomic import write_atomically

log = logging.getLogger("gmbench")

SUBMISSION, EXIT = "slurm.json", "exit_code.txt"
ENDED = {
    "BOOT_FAIL": "node failure",
    "CANCELLED": "cancelled",
    "COMPLETED": "ended",
    "DEADLINE": "timeout",
    "FAILED": "killed",
    "NODE_FAIL": "node failure",
    "OUT_OF_MEMORY": "oom",
    "PREEMPTED": "preempted",
    "REVOKED": "cancelled",
    "TIMEOUT": "timeout",
}
"""Slurm's last states of a job, and the cause of a failure that each of them is."""


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


@dataclass(slots=True)
class _Submitted:
    index: int
    job: Job
    id: str
    running_since: float | None = None
    gone: bool = field(default=False)


def run_on_slurm(
    jobs: Sequence[Job],
    *,
    logs: Path,
    max_num_timeout: int,
    parameters: Mapping[str, Any],
    poll: float,
    same_cause: int | None,
    report: Report,
) -> tuple[Outcome, ...]:
    """One outcome a job, in their order, whatever any of them does.

    A job with a valid result is skipped; one that an earlier grid handed over and that is still
    there is watched, not handed over again. Ctrl-C and SIGTERM cancel what was handed over.

    Args:
        jobs: to be run.
        logs: submitit's folder, seen by every node.
        max_num_timeout: so often a job whose time was up is put back into the queue.
        parameters: of ``sbatch``, by submitit's names.
        poll: seconds between two looks at the queue.
        same_cause: so many failures with one cause, and nothing else yet, cancel what has not
            begun; None = never.
        report: told of each outcome as it comes.

    Raises:
        ConfigError: no Slurm here, or a parameter that submitit does not know.
        KeyboardInterrupt: the user, or SIGTERM, ended it.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError(["hydra/launcher=submitit_slurm: no sbatch on the PATH; is Slurm here?"])
    outcomes: dict[int, Outcome] = {}

    def note(index: int, outcome: Outcome) -> None:
        outcomes[index] = outcome
        report(outcome, len(outcomes), len(jobs))

    waiting = []
    for index, job in enumerate(jobs):
        before = finished_before(job)
        if before is None:
            waiting.append((index, job))
        else:
            note(index, before)
    there, rest = _handed_over(waiting)
    if there:
        print(f"jobs of an earlier grid that are still there: {len(there)}", flush=True)
    with asked_to_stop() as stop:
        try:
            there += _hand_over(rest, logs, max_num_timeout, parameters)
        except (OSError, RuntimeError) as fault:  # sbatch said no
            for index, job in rest:
                line = " ".join(str(fault).split())[-300:]
                said = f"not started: {line}"
                note(index, Outcome(job=job, status=Status.FAILED, cause=said))
        made: list[Outcome] = []
        try:
            while there:
                _pause(poll, stop)
                if stop.asked:
                    raise KeyboardInterrupt
                known = states([one.id for one in there])
                if known is None:
                    continue
                for one in list(there):
                    outcome = _look(one, known.get(one.id))
                    if outcome is not None:
                        there.remove(one)
                        made.append(outcome)
                        note(one.index, outcome)
                if cause := all_alike(made, same_cause):
                    for one in [o for o in there if known.get(o.id) == "PENDING"]:
                        _cancel([one.id])
                        there.remove(one)
                        note(one.index, given_up(one.job, len(made), cause))
        finally:
            _cancel([one.id for one in there])
    return tuple(outcomes[index] for index in range(len(jobs)))


def _pause(seconds: float, stop: Any) -> None:
    until = time.monotonic() + seconds
    while not stop.asked and (left := until - time.monotonic()) > 0:
        time.sleep(min(0.2, left))


def _handed_over(
    jobs: Sequence[tuple[int, Job]],
) -> tuple[list[_Submitted], list[tuple[int, Job]]]:
    """Jobs that a grid handed over which then died, as far as they are alive; and the others."""
    noted = {index: _noted(job) for index, job in jobs}
    ids = [i for i in noted.values() if i is not None]
    known = (states(ids) or {}) if ids else {}
    there, rest = [], []
    for index, job in jobs:
        id = noted[index]
        if id is not None and known.get(id, "COMPLETED") not in ENDED:
            there.append(_Submitted(index, job, id))
        else:
            rest.append((index, job))
    return there, rest


def _noted(job: Job) -> str | None:
    try:
        note = json.loads((job.folder / SUBMISSION).read_bytes())
        return str(note["id"]) if note["sha"] == job.sha else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hand_over(
    jobs: Sequence[tuple[int, Job]], logs: Path, max_num_timeout: int, parameters: Mapping[str, Any]
) -> list[_Submitted]:
    """Hand jobs to Slurm, as one array."""
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
    for _, job in jobs:
        folder = job.folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for old in (RESULT, FAILURE, OUTPUT, EXIT, SUBMISSION):
            (folder / old).unlink(missing_ok=True)
        commands.append(Command(command=job.command, folder=folder))
    with executor.batch():
        handed = [executor.submit(command) for command in commands]
    there = []
    for (index, job), one in zip(jobs, handed, strict=True):
        note = {"id": one.job_id, "sha": job.sha, "log": str(one.paths.stderr)}
        write_atomically(job.folder / SUBMISSION, json.dumps(note, indent=2).encode())
        there.append(_Submitted(index, job, one.job_id))
    return there


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


def _look(one: _Submitted, state: str | None) -> Outcome | None:
    """The outcome of a job that has ended."""
    if state is not None and state not in ENDED:
        one.gone = False
        if state == "RUNNING" and one.running_since is None:
            one.running_since = time.monotonic()
        return None
    code = _exit_code(one.job)
    if code is None and not one.gone:  # its files may be on their way from the node: look twice
        one.gone = True
        return None
    killed_for = None
    if code is None or state not in ("COMPLETED", "FAILED", None):
        said = f"Slurm job {one.id} is {state or 'no longer known'}"
        killed_for = f"{ENDED.get(state or '', 'killed')}: {said}"
    seconds = 0.0 if one.running_since is None else time.monotonic() - one.running_since
    return judge(one.job, 0 if code is None else code, killed_for, seconds)


def _exit_code(job: Job) -> int | None:
    try:
        return int((job.folder / EXIT).read_bytes())
    except (OSError, ValueError):
        return None


def _cancel(ids: Sequence[str]) -> None:
    if ids:
        subprocess.run(["scancel", *ids], capture_output=True, check=False)
