"""A grid on the terminal: one line a job as it ends, and how it all went."""

from collections.abc import Sequence

from gmbench.grid.jobs import Outcome, Status


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
