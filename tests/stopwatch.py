"""CPU time as a user's own process spends it: apart from the tests' and without a tracer."""

import os
import subprocess
import sys

from tests.conftest import REPOSITORY

TIMED = """
import sys
from time import process_time
from timeit import timeit

def million():
    return timeit("for n in range(1_000_000): s += n", "s = 0", timer=process_time, number=1)

before = million()
spent = timeit(sys.argv[2], sys.argv[1], timer=process_time, number=1)
print(spent, (before + million()) / 2)
"""
MILLION = 0.05
"""CPU seconds of a million additions on the core for which bounds are written, at its quickest."""


def cpu_seconds(setup: str, statement: str, *, below: float) -> float:
    """CPU seconds of a statement, `setup` not counted: the least of three fresh processes.

    One that took less than the bound ends the search. Coverage follows child processes and makes
    pure Python two to three times as slow, and another machine's load slows any single measurement;
    neither is what a bound is about. Nor is how fast a core is at the moment: where a million
    additions, timed in the same process, take longer than ``MILLION``, a second counts for less.
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
        spent, million = map(float, done.stdout.splitlines()[-1].split())
        least = min(least, spent * min(1.0, MILLION / million))
        if least < below:
            break
    return least
