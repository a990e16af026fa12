"""Jobs as processes of their own: started, watched, killed when they hang, judged when they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from gmbench.grid.jobs import Job, Outcome, judge
from gmbench.lifecycle.attempts import FAILURE, OUTPUT, RESULT, Status, finished

# Whether the kernel ended a job for want of memory: its own count, kept for each cgroup.
OF_THIS_PROCESS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def oom_kills(own: Path = OF_THIS_PROCESS, groups: Path = GROUPS) -> int:
    """Processes of our cgroup that were killed for want of memory so far.

    Args:
        own: says which cgroup is ours.
        groups: where cgroups are mounted (version 1 or 2).

    Returns:
        0 too where nobody counts.
    """
    for path in _counters(own, groups):
        try:
            rows = dict(line.split() for line in path.read_text().splitlines())
            return int(rows["oom_kill"])
        except (OSError, ValueError, KeyError):
            continue
    return 0


def _counters(own: Path, groups: Path) -> Iterator[Path]:
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


Report = Callable[[Outcome, int, int], None]
"""Called with each outcome, how many there are so far, and how many there will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a grid loses patience.

    Attributes:
        timeout: seconds a job may take; None = for ever.
        silence: seconds without a change in a job's output or run folder; None = for ever.
        same_cause: so many failures with one cause, and nothing else yet, end the grid: the other
            jobs are skipped. None = never.
        grace: seconds between the wish that a job ends and its being killed.
    """

    timeout: float | None = None
    silence: float | None = 3600.0
    same_cause: int | None = 3
    grace: float = 5.0


@dataclass(slots=True)
class _Running:
    index: int
    job: Job
    process: "subprocess.Popen[bytes]"
    output: BinaryIO
    began: float = field(default_factory=time.monotonic)
    oom_kills: int = field(default_factory=oom_kills)


def run_jobs(
    jobs: Sequence[Job], *, workers: int = 1, limits: Limits | None = None, report: Report
) -> tuple[Outcome, ...]:
    """One outcome a job, in their order, whatever any of them does.

    A job whose folder holds a valid result of its configuration is skipped at once. Whatever ends
    this call (Ctrl-C and SIGTERM included) leaves no process of a job behind.

    Args:
        jobs: to be run.
        workers: at most so many at a time.
        limits: patience with each.
        report: told of each outcome as it comes.

    Raises:
        KeyboardInterrupt: the user, or SIGTERM, ended it.
    """
    limits = limits or Limits()
    outcomes: dict[int, Outcome] = {}

    def note(index: int, outcome: Outcome) -> None:
        outcomes[index] = outcome
        report(outcome, len(outcomes), len(jobs))

    waiting: list[int] = []
    for index, job in enumerate(jobs):
        before = finished_before(job)
        if before is None:
            waiting.append(index)
        else:
            note(index, before)
    running: list[_Running] = []
    made: list[Outcome] = []
    with asked_to_stop() as stop:
        try:
            while waiting or running:
                if stop.asked:
                    raise KeyboardInterrupt
                while waiting and len(running) < workers:
                    index = waiting.pop(0)
                    try:
                        running.append(_start(index, jobs[index]))
                    except OSError as fault:  # no such folder, a name too long, no more processes
                        made.append(_not_started(jobs[index], fault))
                        note(index, made[-1])
                time.sleep(0.05)
                for one in list(running):
                    outcome = _look(one, limits)
                    if outcome is not None:
                        running.remove(one)
                        made.append(outcome)
                        note(one.index, outcome)
                if (cause := all_alike(made, limits.same_cause)) and waiting:
                    for index in waiting:
                        note(index, given_up(jobs[index], len(made), cause))
                    waiting.clear()
        finally:
            for one in running:
                _end(one, limits.grace)
    return tuple(outcomes[index] for index in range(len(jobs)))


def finished_before(job: Job) -> Outcome | None:
    """The outcome of a job that need not be made: its folder holds its valid result."""
    try:
        result = finished(job.folder, job.sha)
    except ValueError:  # damaged: made again
        return None
    if result is None:
        return None
    return Outcome(job=job, status=Status.SKIPPED, cause="finished before", result=result)


def _not_started(job: Job, fault: OSError) -> Outcome:
    return Outcome(job=job, status=Status.FAILED, cause=f"not started: {fault}")


def given_up(job: Job, count: int, cause: str) -> Outcome:
    """The outcome of a job that is not made because the first ``count`` failed alike."""
    return Outcome(
        job=job,
        status=Status.SKIPPED,
        cause=f"not started: the first {count} failed alike ({cause})",
    )


def all_alike(made: Sequence[Outcome], most: int | None) -> str | None:
    """The cause that all of at least ``most`` made jobs share, if they do."""
    causes = {outcome.cause for outcome in made}
    if most is None or len(made) < most or len(causes) != 1:
        return None
    return causes.pop()


def _start(index: int, job: Job) -> _Running:
    job.folder.mkdir(parents=True, exist_ok=True)
    for old in (RESULT, FAILURE):
        (job.folder / old).unlink(missing_ok=True)
    output = (job.folder / OUTPUT).open("wb")
    process = subprocess.Popen(
        job.command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # its own group: it dies with its workers, and not by our Ctrl-C
        preexec_fn=die_with_parent if sys.platform == "linux" else None,
    )
    return _Running(index, job, process, output)


def die_with_parent() -> None:
    """In the child: if the grid itself is killed with -9, so is this job."""
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _look(one: _Running, limits: Limits) -> Outcome | None:
    """The outcome of a job that has ended, or that is now ended for want of patience."""
    seconds = time.monotonic() - one.began
    code, killed_for = one.process.poll(), None
    if code is None:
        if limits.timeout is not None and seconds > limits.timeout:
            killed_for = f"timeout: longer than {limits.timeout:g} s"
        elif limits.silence is not None and min(seconds, _quiet(one.job)) > limits.silence:
            killed_for = f"hang: nothing written for {limits.silence:g} s"
        else:
            return None
    code = _end(one, limits.grace)
    if killed_for is None and code == -signal.SIGKILL and oom_kills() > one.oom_kills:
        killed_for = "oom: killed by the kernel for want of memory"
    return judge(one.job, code, killed_for, seconds)


def _quiet(job: Job) -> float:
    """Seconds since anything in the run folder changed."""
    newest = 0.0
    with suppress(OSError):
        for path in os.listdir(job.folder):
            with suppress(OSError):  # a temporary file that was renamed meanwhile
                newest = max(newest, (job.folder / path).stat().st_mtime)
    return time.time() - newest


def _end(one: _Running, grace: float) -> int:
    """Whatever is left of a job's group is gone after this: asked first, then killed."""
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


@dataclass(slots=True)
class _Stop:
    asked: bool = False


@contextmanager
def asked_to_stop() -> Iterator[_Stop]:
    """Ctrl-C, SIGTERM and SIGHUP only leave a word: an exception may be lost inside a callback.

    One that comes while a process is started, say, would be printed and ignored.
    """
    stop = _Stop()

    def note(number: int, frame: FrameType | None) -> None:
        stop.asked = True

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        old = {number: signal.signal(number, note) for number in signals}
    except ValueError:  # not the main thread: somebody else looks after signals
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


# A grid on the terminal: one line a job as it ends, and how it all went.
def line_of(outcome: Outcome, number: int, of: int) -> str:
    """One job: its place, what became of it, how long it took, its score or the cause."""
    width = len(str(of))
    said = outcome.cause or ""
    if outcome.status is not Status.FAILED and outcome.result is not None:
        metrics = outcome.result.metrics
        task, figures = ("GMNER", metrics.gmner) if metrics.gmner else ("MNER", metrics.mner)
        assert figures is not None
        said = f"{task} F1 {100 * figures.f1:.2f}"
    time = f"{outcome.seconds:8.1f} s" if outcome.seconds else " " * 10
    return (
        f"[{number:>{width}}/{of}] {outcome.status:<7} {time}  {outcome.job.label}  {said}".rstrip()
    )


def summary_of(outcomes: Sequence[Outcome]) -> str:
    """How many are done, skipped and failed."""
    counts = {status: sum(o.status is status for o in outcomes) for status in Status}
    return f"{len(outcomes)} jobs: " + ", ".join(f"{n} {status}" for status, n in counts.items())
