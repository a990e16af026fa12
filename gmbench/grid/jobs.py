"""A job of a grid, what became of it, and how that is read off its run folder."""

import json
import signal
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gmbench.grid.attempts import ended_attempt
from gmbench.reporting.provenance import redact
from gmbench.reporting.records import to_plain
from gmbench.reporting.results import RunResult, read_result
from gmbench.scoring.atomic import write_atomically

RESULT, FAILURE, OUTPUT = "result.json", "failure.json", "output.txt"


class Status(StrEnum):
    """What became of a job."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


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


def finished(folder: Path, sha: str) -> RunResult | None:
    """The valid result of the same configuration in ``folder``, if there is one.

    Raises:
        ValueError: there is a result, but it is damaged.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    result = read_result(path)
    return result if result.config.sha == sha else None


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


def record_failure(
    folder: Path,
    cause: str,
    message: str,
    traceback: tuple[str, ...] | list[str] = (),
    rank: int = 0,
) -> None:
    """Write ``failure.json``, credentials hidden; a process that is not the first, beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "status": f"{Status.FAILED}:{cause}",
        "cause": cause,
        "attempt": to_plain(ended_attempt(folder, f"{Status.FAILED}:{cause}")),
        "message": message,
        "traceback": list(traceback),
    }
    name = FAILURE if rank == 0 else f"failure.rank{rank}.json"
    write_atomically(folder / name, json.dumps(redact(record), indent=2).encode())


def failure_of_another(folder: Path, rank: int) -> tuple[str, str] | None:
    """Cause and message of the failure that another process of the run wrote down, if one did.

    It does so before its connections close, so whoever notices that finds it.
    """
    for path in sorted(folder.glob("failure*.json"), key=lambda path: path.stat().st_mtime):
        process = path.name.removesuffix(".json").partition("rank")[2] or "0"
        try:
            record = json.loads(path.read_bytes())
            if process != str(rank) and record["cause"] != "peer":
                return str(record["cause"]), f"process {process}: {record['message']}"
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


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
