"""Jobs on a Slurm cluster: handed over by submitit, watched by squeue, judged by their run folders.

Submitit alone asks ``sacct`` how jobs fare. A cluster without accounting never answers that, and a
job that was killed there would be waited for for ever; ``squeue`` answers everywhere.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gmbench.config import ConfigError
from gmbench.grid.jobs import Job, Outcome, judge
from gmbench.grid.runner import (
    Report,
    all_alike,
    asked_to_stop,
    finished_before,
    given_up,
)
from gmbench.grid.slurm_jobs import cancel, exit_code, hand_over, noted, states
from gmbench.lifecycle.attempts import Status

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
        ConfigError: no Slurm here or no answer from it, no submitit, or a parameter that submitit
            does not know.
        KeyboardInterrupt: the user, or SIGTERM, ended it.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError(["hydra/launcher=submitit_slurm: no sbatch on the PATH; is Slurm here?"])
    if find_spec("submitit") is None:
        raise ConfigError(["hydra/launcher=submitit_slurm: install submitit (the extra sweep)"])
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
            ids = hand_over([job for _, job in rest], logs, max_num_timeout, parameters)
            there += [_Submitted(i, job, id) for (i, job), id in zip(rest, ids, strict=True)]
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
                        cancel([one.id])
                        there.remove(one)
                        note(one.index, given_up(one.job, len(made), cause))
        finally:
            cancel([one.id for one in there])
    return tuple(outcomes[index] for index in range(len(jobs)))


def _pause(seconds: float, stop: Any) -> None:
    until = time.monotonic() + seconds
    while not stop.asked and (left := until - time.monotonic()) > 0:
        time.sleep(min(0.2, left))


def _handed_over(
    jobs: Sequence[tuple[int, Job]],
) -> tuple[list[_Submitted], list[tuple[int, Job]]]:
    """Jobs that a grid handed over which then died, as far as they are alive; and the others."""
    earlier = {index: noted(job) for index, job in jobs}
    ids = [i for i in earlier.values() if i is not None]
    known = states(ids) if ids else {}
    if known is None:
        raise ConfigError(
            ["squeue does not answer, and jobs of an earlier grid may still be there"]
        )
    there, rest = [], []
    for index, job in jobs:
        id = earlier[index]
        if id is not None and known.get(id, "COMPLETED") not in ENDED:
            there.append(_Submitted(index, job, id))
        else:
            rest.append((index, job))
    return there, rest


def _look(one: _Submitted, state: str | None) -> Outcome | None:
    """The outcome of a job that has ended."""
    if state is not None and state not in ENDED:
        one.gone = False
        if state == "RUNNING" and one.running_since is None:
            one.running_since = time.monotonic()
        return None
    code = exit_code(one.job)
    if code is None and not one.gone:  # its files may be on their way from the node: look twice
        one.gone = True
        return None
    killed_for = None
    if code is None or state not in ("COMPLETED", "FAILED", None):
        said = f"Slurm job {one.id} is {state or 'no longer known'}"
        killed_for = f"{ENDED.get(state or '', 'killed')}: {said}"
    seconds = 0.0 if one.running_since is None else time.monotonic() - one.running_since
    return judge(one.job, 0 if code is None else code, killed_for, seconds)
