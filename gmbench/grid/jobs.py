"""A job of a grid, what became of it, and how that is read off its run folder."""

import json
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gmbench.core.provenance import redact
from gmbench.lifecycle.attempts import FAILURE, OUTPUT, RESULT, Status, finished, record_failure
from gmbench.reporting.record import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run to be made in a process of its own.

    Attributes:
        label: what tells it from the other jobs, for people.
        folder: its run folder.
        command: starts it.
        sha: of its resolved configuration; only a result with this sha counts.
    """

    label: str
    folder: Path
    command: tuple[str, ...]
    sha: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One row of a finished grid.

    Attributes:
        cause: why it failed or was skipped; None for a run that was made.
        seconds: it took; 0 for one that was not started.
    """

    job: Job
    status: Status
    cause: str | None = None
    seconds: float = 0.0
    result: RunResult | None = None


def judge(job: Job, code: int, killed_for: str | None, seconds: float) -> Outcome:
    """What became of a job whose process has ended; a failure leaves its ``failure.json``.

    Only a valid result counts: an exit code of 0 does not, and another one does no harm to it.

    Args:
        job: that ended.
        code: as ``Popen.returncode``: negative for a signal.
        killed_for: why the grid itself killed it, or None.
        seconds: it took.
    """
    result, damage = None, None
    try:
        result = finished(job.folder, job.sha)
    except ValueError as fault:
        damage = str(fault)
    if result is not None:
        return Outcome(job=job, status=Status.DONE, seconds=seconds, result=result)
    if damage is None and (job.folder / RESULT).is_file():
        damage = "result.json is of another configuration: did files of conf/ change meanwhile?"
    cause = killed_for or _recorded(job.folder) or damage or _cause_of_exit(code, job.folder)
    if not (job.folder / FAILURE).is_file():
        with suppress(OSError):  # a full disk, say: the other jobs must not pay for it
            record_failure(job.folder, cause.partition(":")[0], cause)
    return Outcome(job=job, status=Status.FAILED, cause=cause, seconds=seconds)


def _recorded(folder: Path) -> str | None:
    """The cause that the run itself wrote down before it ended."""
    try:
        record = json.loads((folder / FAILURE).read_bytes())
        lines = str(record["message"]).strip().splitlines()
        return f"{record['cause']}: {lines[0]}" if lines else str(record["cause"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cause_of_exit(code: int, folder: Path) -> str:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = " (out of memory, or kill -9)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    said = _last_line(folder / OUTPUT)
    return f"exit code {code} without a result{': ' + said if said and code else ''}"


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return str(redact(lines[-1].strip()))[:200] if lines else ""
