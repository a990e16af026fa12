"""Many runs, one process each: whatever one of them does, every other one is run."""

from gmbench.grid.jobs import Job, Outcome, Status
from gmbench.grid.runner import Limits, run_jobs

__all__ = ["Job", "Limits", "Outcome", "Status", "run_jobs"]
