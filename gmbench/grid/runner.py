"""Run jobs as processes: start them, watch them, kill those that hang, judge those that end."""

import ctypes
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gmbench.core.command_line import Stopped, handling_signals
from gmbench.core.errors import InputError
from gmbench.core.locks import LOCK, Held, held
from gmbench.core.progress import in_words, time_left
from gmbench.grid.jobs import Job, Outcome, judge, last_line
from gmbench.lifecycle.attempts import FAILURE, OUTPUT, RESULT, Status, finished
from gmbench.lifecycle.lookup import Lookup
from gmbench.reporting.record import RunResult

EPOCH = re.compile(r"Epoch (\d+)/(\d+)")
"""In a line that a run prints after an epoch."""

log = logging.getLogger("gmbench")

Report = Callable[[Outcome, int, int], None]
"""Called with each outcome, its number in order of arrival, and the number of jobs."""

PR_SET_PDEATHSIG = 1
MAX_OUTPUT = 16 * 2**20
"""Bytes of a job's output that are kept while it runs."""
OWN_CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a job, or a whole grid, is given up.

    Attributes:
        timeout: seconds that a job may take; None = no limit.
        silence: seconds without a change in a job's output or run folder; None = no limit.
        same_cause: number of failures with one cause, before any other outcome, after which the
            remaining jobs are skipped; None = no limit.
        grace: seconds between SIGTERM and SIGKILL.
    """

    timeout: float | None = None
    silence: float | None = 3600.0
    same_cause: int | None = 3
    grace: float = 5.0


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int = 1,
    limits: Limits | None = None,
    report: Report,
    watch: Callable[[str], None] | None = None,
) -> tuple[Outcome, ...]:
    """Return one outcome per job, in job order, even if some jobs crash.

    A job whose folder holds a valid result of its configuration is skipped; one whose result is of
    other data fails, and keeps it; one that another process works on is waited for. Whatever ends
    this call (Ctrl-C and SIGTERM included) leaves no process of a job behind.

    Args:
        jobs: to be run.
        workers: maximum number of jobs at a time.
        limits: when a job or the grid is given up.
        report: called with each outcome as it arrives.
        watch: called about once a second with a line on what runs and how long it will take.

    Raises:
        Stopped: Ctrl-C, SIGTERM or SIGHUP ended it.
    """
    limits = limits or Limits()
    outcomes: dict[int, Outcome] = {}

    def note(index: int, outcome: Outcome) -> None:
        outcomes[index] = outcome
        report(outcome, len(outcomes), len(jobs))

    lookup = Lookup()

    def settled(index: int) -> bool:
        """Whether the job needs no process: there is its result, or one that must stay."""
        try:
            result = _stored_result(jobs[index], lookup)
        except InputError as fault:
            note(index, Outcome(job=jobs[index], status=Status.FAILED, cause=str(fault)))
            return True
        if result is not None:
            cause = "finished before"
            outcome = Outcome(job=jobs[index], status=Status.SKIPPED, cause=cause, result=result)
            note(index, outcome)
        return result is not None

    waiting = deque(index for index in range(len(jobs)) if not settled(index))
    elsewhere: dict[int, float] = {}  # jobs that other processes work on, and when to ask again
    told: set[int] = set()
    running: list[_Running] = []
    watched = 0.0
    # Noted, not raised: an exception that arrives inside a callback would be printed and ignored.
    received: list[int] = []
    with handling_signals(received.append):
        try:
            while waiting or running or elsewhere:
                if received:
                    raise Stopped(received[0])
                for index in [i for i, when in elsewhere.items() if when < time.monotonic()]:
                    del elsewhere[index]
                    waiting.append(index)
                while waiting and len(running) < workers:
                    index, job = waiting[0], jobs[waiting.popleft()]
                    try:
                        with ExitStack() as hold:
                            hold.enter_context(held(job.folder / LOCK, job.folder))
                            if not settled(index):  # by another process, meanwhile
                                running.append(_start(index, job))
                                running[-1].hold = hold.pop_all()
                    except Held as fault:
                        if index not in told:
                            log.warning("%s waits: %s", job.label, str(fault).partition(";")[0])
                        told.add(index)
                        elsewhere[index] = time.monotonic() + 1
                    except OSError as fault:  # no such folder, a name too long, no more processes
                        cause = f"not started: {fault}"
                        note(index, Outcome(job=job, status=Status.FAILED, cause=cause))
                time.sleep(0.05)
                for one in list(running):
                    if (outcome := _look(one, limits)) is not None:
                        running.remove(one)
                        one.hold.close()
                        note(one.index, outcome)
                made = [o for o in outcomes.values() if o.status is not Status.SKIPPED]
                if watch is not None and time.monotonic() > watched + 1:
                    watched = time.monotonic()
                    watch(_progress(running, made, len(waiting), len(jobs), workers))
                if waiting and (common := _common_cause(made, limits.same_cause)):
                    cause = f"not started: the first {len(made)} failed alike ({common})"
                    while waiting:
                        index = waiting.popleft()
                        note(index, Outcome(job=jobs[index], status=Status.SKIPPED, cause=cause))
        finally:
            for one in running:
                _end(one, limits.grace)
                one.hold.close()
    return tuple(outcomes[index] for index in range(len(jobs)))


def _stored_result(job: Job, lookup: Lookup) -> RunResult | None:
    """The valid result of the job's configuration in its folder, if there is one.

    Raises:
        InputError: it is of other data, or the data cannot be read.
    """
    if job.tree is not None:
        return lookup(job.folder, job.tree)
    try:
        return finished(job.folder, job.sha)
    except ValueError:  # damaged: the run is made again
        return None


def _common_cause(made: Sequence[Outcome], limit: int | None) -> str | None:
    """The cause that all made jobs share, once there are ``limit`` of them."""
    causes = {outcome.cause for outcome in made}
    return causes.pop() if limit is not None and len(made) >= limit and len(causes) == 1 else None


# ---------------------------------------------------------------- one process


def oom_kills(own: Path = OWN_CGROUP, groups: Path = CGROUPS) -> int:
    """Number of processes of this cgroup that the kernel has killed for lack of memory.

    Args:
        own: file that names this process's cgroup.
        groups: where cgroups are mounted (version 1 or 2).

    Returns:
        0 also where there is no such count.
    """
    for path in _memory_counters(own, groups):
        with suppress(OSError, ValueError, KeyError):
            return int(dict(line.split() for line in path.read_text().splitlines())["oom_kill"])
    return 0


def _memory_counters(own: Path, groups: Path) -> Iterator[Path]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        for folder in (path.strip("/"), ""):  # in a container ours is mounted as the root
            if number == "0":
                yield groups / folder / "memory.events"
            elif "memory" in controllers.split(","):
                yield groups / "memory" / folder / "memory.oom_control"


@dataclass(slots=True)
class _Running:
    index: int
    job: Job
    process: "subprocess.Popen[bytes]"
    output: BinaryIO
    started: float = field(default_factory=time.monotonic)
    seen: frozenset[tuple[str, int, int]] = frozenset()
    changed: float = field(default_factory=time.monotonic)
    oom_kills: int = field(default_factory=oom_kills)
    hold: ExitStack = field(default_factory=ExitStack)


def _start(index: int, job: Job) -> _Running:
    for old in (RESULT, FAILURE, OUTPUT):
        (job.folder / old).unlink(missing_ok=True)
    output = (job.folder / OUTPUT).open("ab")  # at its end wherever that is: it may be shortened
    process = subprocess.Popen(
        job.command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # its own group: it dies with its workers, and not by our Ctrl-C
        preexec_fn=partial(_die_with, os.getpid()) if sys.platform == "linux" else None,
    )
    return _Running(index, job, process, output)


def _die_with(grid: int) -> None:
    """In the child: end this job if the grid itself is killed with -9."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != grid:  # it was killed before this line: no signal will come
        os._exit(1)


def _look(one: _Running, limits: Limits) -> Outcome | None:
    """Outcome of a job that has ended, or that exceeds a limit and is ended now; else None."""
    seconds = time.monotonic() - one.started
    kill_cause = None
    if one.process.poll() is None:
        _shorten(one.job.folder / OUTPUT)
        if limits.timeout is not None and seconds > limits.timeout:
            kill_cause = f"timeout: longer than {limits.timeout:g} s"
        elif limits.silence is not None and _silence(one) > limits.silence:
            kill_cause = f"hang: nothing written for {limits.silence:g} s"
        else:
            return None
    code = _end(one, limits.grace)
    if kill_cause is None and code == -signal.SIGKILL and oom_kills() > one.oom_kills:
        kill_cause = "oom: killed by the kernel for want of memory"
    return judge(one.job, code, kill_cause, seconds)


def _silence(one: _Running) -> float:
    """Seconds since anything in the run folder changed, by a clock that nobody sets."""
    seen = set()
    with suppress(OSError):
        for name in os.listdir(one.job.folder):
            with suppress(OSError):  # a temporary file that was renamed meanwhile
                status = (one.job.folder / name).stat()
                seen.add((name, status.st_mtime_ns, status.st_size))
    if seen != one.seen:
        one.seen, one.changed = frozenset(seen), time.monotonic()
    return time.monotonic() - one.changed


def _shorten(path: Path) -> None:
    """Cut the middle out of an output that is longer than ``MAX_OUTPUT``."""
    with suppress(OSError), path.open("r+b") as file:
        if (size := file.seek(0, os.SEEK_END)) > MAX_OUTPUT:
            file.seek(size - MAX_OUTPUT // 4)
            end = file.read()
            file.truncate(MAX_OUTPUT // 4)
            file.seek(0, os.SEEK_END)
            file.write(
                b"\n[gmbench: the middle of this output was too long and is left out]\n" + end
            )


def _end(one: _Running, grace: float) -> int:
    """End whatever is left of a job's process group, by SIGTERM, then SIGKILL; its exit code."""
    if one.process.poll() is None:
        _signal(one, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            one.process.wait(timeout=grace)
    _signal(one, signal.SIGKILL)  # also children of a job that itself has ended
    code = one.process.wait()
    one.output.close()
    return code


def _signal(one: _Running, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.process.pid, number)


# ---------------------------------------------------------------- on the terminal


def _progress(
    running: Sequence[_Running], made: Sequence[Outcome], waiting: int, jobs: int, workers: int
) -> str:
    """The epoch of every running job, and an estimate of the grid's time."""
    spent = [time.monotonic() - one.started for one in running]
    epochs = [last_line(one.job.folder / OUTPUT, "Epoch ") for one in running]
    whole = [outcome.seconds for outcome in made if outcome.status is Status.DONE]
    for seconds, line in zip(spent, epochs, strict=True):
        if found := EPOCH.match(line):
            done, total = map(int, found.groups())
            whole.append(seconds + time_left(seconds, done, total))
    line = f"{len(running)} running, {waiting} waiting of {jobs} jobs"
    if whole:
        each = sum(whole) / len(whole)
        left = waiting * each + sum(max(0.0, each - seconds) for seconds in spent)
        line += f", about {in_words(left / workers)} left"
    labels = (f"{one.job.label}: {said}" for one, said in zip(running, epochs, strict=True) if said)
    return "\n  ".join((line, *labels))


def line_of(outcome: Outcome, number: int, total: int) -> str:
    """One job as a line: number, status, duration, label, and its score or cause."""
    message = outcome.cause or ""
    if outcome.status is not Status.FAILED and outcome.result is not None:
        task = "GMNER" if outcome.result.metrics.gmner else "MNER"
        message = f"{task} F1 {100 * outcome.result.selected_f1:.2f}"
    place = f"[{number:>{len(str(total))}}/{total}]"
    duration = f"{outcome.seconds:8.1f} s" if outcome.seconds else " " * 10
    return f"{place} {outcome.status:<7} {duration}  {outcome.job.label}  {message}".rstrip()
