"""Many runs, one process each: whatever one of them does, every other one is run."""

from gmbench.grid.jobs import Job, Outcome
from gmbench.grid.runner import Limits, run_jobs
from gmbench.lifecycle.attempts import Status

__all__ = ["Job", "Limits", "Outcome", "Status", "run_jobs"]
