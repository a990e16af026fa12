"""Time that a run has taken, on the clock and of CPU."""

import resource
import time
from dataclasses import dataclass
from resource import RUSAGE_CHILDREN, RUSAGE_SELF
from typing import Self


@dataclass(frozen=True, slots=True)
class Spent:
    """Time on the clock, and of CPU.

    Attributes:
        seconds: on the clock.
        cpu: seconds of CPU of this process, all its threads, and its children that have ended; NaN
            where a part of the time was not measured so.
    """

    seconds: float = 0.0
    cpu: float = 0.0

    @classmethod
    def now(cls) -> Self:
        """Both clocks, each from some moment of its own: only differences mean something."""
        used = [resource.getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
        return cls(time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used))

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.seconds + other.seconds, self.cpu + other.cpu)

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.seconds - other.seconds, self.cpu - other.cpu)
