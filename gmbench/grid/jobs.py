"""A job of a grid, its outcome, and how the outcome is read from the run folder."""

import json
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmbench.core.provenance import redact
from gmbench.lifecycle.attempts import FAILURE, OUTPUT, RESULT, Status, finished, record_failure
from gmbench.reporting.record import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run to be made in a process of its own.

    Attributes:
        label: what distinguishes it from the other jobs, for people.
        folder: its run folder.
        command: starts it.
        sha: hash of its resolved configuration; only a result with this hash counts.
        tree: that configuration in plain containers; None = a stored result is not looked for data
            that have changed since.
    """

    label: str
    folder: Path
    command: tuple[str, ...]
    sha: str
    tree: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One row of a finished grid.

    Attributes:
        cause: why the job failed or was skipped; None for a run that was made.
        seconds: duration; 0 for a job that was not started.
    """

    job: Job
    status: Status
    cause: str | None = None
    seconds: float = 0.0
    result: RunResult | None = None


def judge(job: Job, code: int, kill_cause: str | None, seconds: float) -> Outcome:
    """Outcome of a job whose process has ended; a failed job gets a ``failure.json``.

    Only a valid result counts, whatever the exit code.

    Args:
        job: the job that ended.
        code: as ``Popen.returncode``: negative for a signal.
        kill_cause: why the grid itself killed the job, or None.
        seconds: its duration.
    """
    damage = None
    try:
        if (result := finished(job.folder, job.sha)) is not None:
            return Outcome(job=job, status=Status.DONE, seconds=seconds, result=result)
        if (job.folder / RESULT).is_file():
            damage = "result.json is of another configuration: did files of conf/ change meanwhile?"
    except ValueError as fault:
        damage = str(fault)
    cause = kill_cause or _recorded_cause(job.folder) or damage or _exit_cause(code, job.folder)
    if kill_cause or not (job.folder / FAILURE).is_file():
        with suppress(OSError):  # a full disk, say, must not end the other jobs
            record_failure(job.folder, cause.partition(":")[0], cause)
    return Outcome(job=job, status=Status.FAILED, cause=cause, seconds=seconds)


def _recorded_cause(folder: Path) -> str | None:
    """The cause that the run itself recorded before it ended."""
    try:
        record = json.loads((folder / FAILURE).read_bytes())
        lines = str(record["message"]).strip().splitlines()
        return f"{record['cause']}: {lines[0]}" if lines else str(record["cause"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _exit_cause(code: int, folder: Path) -> str:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = " (out of memory, or kill -9)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    message = last_line(folder / OUTPUT)
    return f"exit code {code} without a result{': ' + message if message and code else ''}"


def last_line(path: Path, start: str = "") -> str:
    """The last line of a job's output that begins with ``start``, credentials hidden."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
            lines = [line for line in lines if line.startswith(start)]
    except OSError:
        return ""
    return str(redact(lines[-1].strip()))[:200] if lines else ""
