"""Interleaved timing, exact counts and peak memory.

Wall time says little on a shared machine: the CPU time of this process is compared, and only
between tasks that took turns in the same run. On a GPU it is wall time between synchronisations.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

RESHAPES = (torch.ops.aten._unsafe_view.default,)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of some repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, *values: float) -> Self:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One measured task.

    Attributes:
        suite, name: identify it.
        ms: time of one call; None for a row of counts only.
        facts: exact companions (``gflop``, ``ops``, ``peak_mb``, ...).
    """

    suite: str
    name: str
    ms: Spread | None = None
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Findings:
    """Result of a suite.

    Attributes:
        rows: one per task.
        figures: by name; lower is better in each.
    """

    rows: tuple[Row, ...]
    figures: Mapping[str, Spread]


@dataclass(frozen=True)
class Laps:
    """Seconds of every repeat of one task, in the order in which they ran."""

    seconds: tuple[float, ...]

    def row(self, suite: str, name: str, **facts: float) -> Row:
        return Row(suite, name, Spread.of(*(1e3 * s for s in self.seconds)), facts)

    def over(self, *baselines: "Laps") -> Spread:
        """This task's time over the sum of others', repeat by repeat."""
        sums = [sum(lap) for lap in zip(*(b.seconds for b in baselines), strict=True)]
        return Spread.of(*(a / max(b, 1e-9) for a, b in zip(self.seconds, sums, strict=True)))


def take_turns(
    tasks: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    warmup: int = 1,
    calls: int = 1,
    device: torch.device = CPU,
) -> dict[str, Laps]:
    """Time tasks in turns: every round runs each of them.

    Args:
        tasks: by name.
        repeats: rounds that count.
        warmup: rounds before them.
        calls: calls per round, for a task of less than a few milliseconds.
        device: where the tasks compute.
    """
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for lap in range(warmup + repeats):
        for name, task in tasks.items():
            began = now(device)
            for _ in range(calls):
                task()
            if lap >= warmup:
                taken[name].append((now(device) - began) / calls)
    return {name: Laps(tuple(seconds)) for name, seconds in taken.items()}


def now(device: torch.device = CPU) -> float:
    """CPU seconds of this process, or wall seconds once the GPU has finished its work."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


class OperationCounter(TorchDispatchMode):
    """Counts aten operations that compute or write something; views do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        returns = func._schema.returns
        view = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
        self.count += func.namespace == "aten" and not view and func not in RESHAPES
        return func(*args, **(kwargs or {}))


def operations(task: Callable[[], object]) -> tuple[float, int]:
    """GFLOP and non-view aten operations of one call (forward, backward, optimiser alike)."""
    # The counter inside: FlopCounterMode hands on operations already decomposed.
    with FlopCounterMode(display=False) as flop, OperationCounter() as counter:
        task()
    return flop.get_total_flops() / 1e9, counter.count


def in_a_process(task: Callable[..., object], *arguments: Any) -> float:
    """Peak resident MB of a fresh process that runs ``task``.

    Raises:
        RuntimeError: it failed.
    """
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=_peak_of, args=(answers, task, arguments))
    process.start()
    process.join()
    if process.exitcode or answers.empty():
        raise RuntimeError(f"the measured process exited with code {process.exitcode}")
    return float(answers.get())


def _peak_of(answers: Any, task: Callable[..., object], arguments: Sequence[Any]) -> None:
    task(*arguments)
    answers.put(peak_memory())


def peak_memory() -> float:
    """Peak resident MB since this program started, without its parent's (Linux)."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
