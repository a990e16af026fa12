"""What became of the run in a folder: attempt.json when it begins, result.json or failure.json."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from gmbench.core.files import write_atomically
from gmbench.core.provenance import redact
from gmbench.core.records import parse_record, to_plain
from gmbench.reporting.record import Attempt, RunResult, read_result

RESULT, FAILURE, OUTPUT = "result.json", "failure.json", "output.txt"
ATTEMPT = "attempt.json"


class Status(StrEnum):
    """What became of a job."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


def begin_attempt(folder: Path, job_id: str) -> Attempt:
    """Note that a run of this job begins here; the number goes up with every try.

    Args:
        folder: the run folder, which exists.
        job_id: the sha of the job's configuration; another one starts counting anew.
    """
    before = attempt_of(folder)
    number = before.number + 1 if before is not None and before.job_id == job_id else 1
    attempt = Attempt(job_id=job_id, number=number, began=_now(), ended=None, status="running")
    write_attempt(folder, attempt)
    return attempt


def write_attempt(folder: Path, attempt: Attempt) -> None:
    """Replace the attempt that a run folder holds."""
    write_atomically(folder / ATTEMPT, json.dumps(to_plain(attempt), indent=2).encode())


def attempt_of(folder: Path) -> Attempt | None:
    """The attempt that a run folder holds; None where no run began, or the file is damaged."""
    try:
        return parse_record(Attempt, (folder / ATTEMPT).read_bytes(), ATTEMPT)
    except (OSError, ValueError):
        return None


def ended_attempt(folder: Path, status: str) -> Attempt | None:
    """The attempt of a run folder as it ends now; the file stays as it is.

    Args:
        folder: the run folder.
        status: ``done`` or ``failed:CAUSE``.
    """
    begun = attempt_of(folder)
    return None if begun is None else replace(begun, ended=_now(), status=status)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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


def record_failure(
    folder: Path,
    cause: str,
    message: str,
    traceback: tuple[str, ...] | list[str] = (),
    rank: int = 0,
) -> None:
    """Write ``failure.json``, credentials hidden; a process that is not the first, beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    status = f"{Status.FAILED}:{cause}"
    attempt = ended_attempt(folder, status)
    record = {
        "status": status,
        "cause": cause,
        "attempt": to_plain(attempt),
        "message": message,
        "traceback": list(traceback),
    }
    name = FAILURE if rank == 0 else f"failure.rank{rank}.json"
    write_atomically(folder / name, json.dumps(redact(record), indent=2).encode())
    if attempt is not None and rank == 0:
        write_attempt(folder, attempt)


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
