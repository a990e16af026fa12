"""Many runs, one process each: a job that crashes does not affect the others."""

from gmbench.grid.jobs import Job, Outcome
from gmbench.grid.runner import Limits, run_jobs
from gmbench.lifecycle.attempts import Status

__all__ = ["Job", "Limits", "Outcome", "Status", "run_jobs"]
