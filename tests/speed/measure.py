"""Interleaved timing of several tasks in one process, and what became of it.

On a shared machine wall time says little: process CPU time at one thread is what is compared, and
only between tasks that took turns in the same run.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


class NoDevice(RuntimeError):
    """A device that was asked for is not here."""


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of some repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One measured thing.

    Attributes:
        suite, name: what it is.
        cpu_ms, wall_ms: of one call; None for what is only counted.
        facts: exact companions (``gflop``, ``ops``, ``peak_mb``, ...).
    """

    suite: str
    name: str
    cpu_ms: Spread | None = None
    wall_ms: Spread | None = None
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Findings:
    """What a suite found.

    Attributes:
        rows: one a measured thing.
        ratios: by name; in every one of them less is better.
        notes: by name, what could not be measured and why.
    """

    rows: tuple[Row, ...]
    ratios: Mapping[str, Spread]
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Laps:
    """Seconds of every repeat of one task, in the order in which they ran."""

    cpu: tuple[float, ...]
    wall: tuple[float, ...]

    def row(self, suite: str, name: str, **facts: float) -> Row:
        """The row of this task."""
        return Row(suite, name, _ms(self.cpu), _ms(self.wall), facts)

    def over(self, floor: "Laps") -> Spread:
        """This task's CPU time over another's, repeat by repeat."""
        return Spread.of([a / max(b, 1e-9) for a, b in zip(self.cpu, floor.cpu, strict=True)])


def take_turns(
    tasks: Mapping[str, Callable[[], object]], *, repeats: int, warmup: int = 1, number: int = 1
) -> dict[str, Laps]:
    """Time tasks in turns: every round calls each of them once.

    Args:
        tasks: by name.
        repeats: rounds that count.
        warmup: rounds before them.
        number: calls a round, for what takes less than a few milliseconds; times are of one call.
    """
    cpu: dict[str, list[float]] = {name: [] for name in tasks}
    wall: dict[str, list[float]] = {name: [] for name in tasks}
    for lap in range(warmup + repeats):
        for name, task in tasks.items():
            used, began = time.process_time(), time.perf_counter()
            for _ in range(number):
                task()
            if lap >= warmup:
                cpu[name].append((time.process_time() - used) / number)
                wall[name].append((time.perf_counter() - began) / number)
    return {name: Laps(tuple(cpu[name]), tuple(wall[name])) for name in tasks}


def _ms(seconds: Sequence[float]) -> Spread:
    return Spread.of([1e3 * value for value in seconds])
