"""Which try at which job a run folder holds: ``attempt.json``, written when a run begins."""

import json
from datetime import UTC, datetime
from pathlib import Path

from gmbench.reporting.records import RecordError, from_plain, to_plain
from gmbench.reporting.results import Attempt
from gmbench.scoring.atomic import write_atomically

ATTEMPT = "attempt.json"


def begin_attempt(folder: Path, job_id: str) -> Attempt:
    """Note that a run of this job begins here; the number goes up with every try.

    Args:
        folder: the run folder, which exists.
        job_id: the sha of the job's configuration; another one starts counting anew.
    """
    before = attempt_of(folder)
    number = before.number + 1 if before is not None and before.job_id == job_id else 1
    attempt = Attempt(job_id=job_id, number=number, began=_now(), ended=None, status="running")
    write_atomically(folder / ATTEMPT, json.dumps(to_plain(attempt), indent=2).encode())
    return attempt


def attempt_of(folder: Path) -> Attempt | None:
    """The attempt that a run folder holds; None where no run began, or the file is damaged."""
    try:
        plain = json.loads((folder / ATTEMPT).read_bytes())
        return from_plain(Attempt, plain, str(folder / ATTEMPT))
    except (OSError, ValueError, RecordError):
        return None


def ended_attempt(folder: Path, status: str) -> Attempt | None:
    """The attempt of a run folder as it ends now; the file stays as it is, for the next one.

    Args:
        folder: the run folder.
        status: ``done`` or ``failed:CAUSE``.
    """
    begun = attempt_of(folder)
    if begun is None:
        return None
    return Attempt(
        job_id=begun.job_id, number=begun.number, began=begun.began, ended=_now(), status=status
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
