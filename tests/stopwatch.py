"""CPU time as a user's own process spends it: apart from the tests' and without a tracer."""

import os
import subprocess
import sys

from tests.conftest import REPOSITORY

TIMED = (
    "import sys, time, timeit; "
    "print(timeit.timeit(sys.argv[2], sys.argv[1], timer=time.process_time, number=1))"
)


def cpu_seconds(setup: str, statement: str, *, below: float) -> float:
    """CPU seconds of a statement, `setup` not counted: the least of three fresh processes.

    One that took less than the bound ends the search. Coverage follows child processes and makes
    pure Python two to three times as slow, and another machine's load slows any single measurement;
    neither is what a bound is about.
    """
    quiet = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    least = float("inf")
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", TIMED, setup, statement],
            env={**quiet, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        least = min(least, float(done.stdout.split()[-1]))
        if least < below:
            break
    return least
