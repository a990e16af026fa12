"""Suite ``memory``: the peak of a training process of each model, each in a process of its own."""

import multiprocessing
import resource
import sys
from collections.abc import Sequence
from typing import Any

from gmbench.benching.measure import Findings, Row, Spread
from gmbench.benching.sizes import Size

RECORDS = 10_000


def run(models: Sequence[str], size: Size, overrides: Sequence[str]) -> Findings:
    """Peak resident memory of two training steps, and of start-up with 10,000 region records."""
    start = _in_a_process(_imports_alone)
    rows = [Row("memory", "libraries alone", facts={"peak_mb": start})]
    ratios = {}
    for name in models:
        peak = _in_a_process(_steps, name, size, tuple(overrides))
        rows.append(Row("memory", f"{name} training", facts={"peak_mb": peak}))
        ratios[f"{name}_peak_over_libraries"] = Spread(peak / start, peak / start, peak / start)
    records = _in_a_process(_records) - start
    rows.append(Row("memory", f"{RECORDS:,} region records", facts={"peak_mb": records}))
    return Findings(tuple(rows), ratios)


def _steps(name: str, size: Size, overrides: tuple[str, ...]) -> None:
    import torch

    from gmbench.benching.sizes import build, configuration

    torch.set_num_threads(1)
    bench = build(configuration(name, size, overrides), size)
    for _ in range(2):  # the moments of AdamW exist from the second on
        bench.step()


def _imports_alone() -> None:
    import gmbench.benching.sizes  # noqa: F401


def _records() -> None:
    """Candidates as a split holds them: 100 boxes with scores each."""
    import numpy as np

    import gmbench.benching.sizes  # noqa: F401
    from gmbench.structures import Candidates

    kept = [Candidates(np.ones((100, 4)), np.ones(100)) for _ in range(RECORDS)]
    assert len(kept) == RECORDS


def _in_a_process(task: Any, *arguments: Any) -> float:
    """Peak resident MB of a fresh process that does ``task``.

    Raises:
        RuntimeError: it failed.
    """
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=_told, args=(answers, task, arguments))
    process.start()
    process.join()
    if process.exitcode or answers.empty():
        raise RuntimeError(f"the measured process ended with exit code {process.exitcode}")
    return float(answers.get())


def _told(answers: Any, task: Any, arguments: tuple[Any, ...]) -> None:
    task(*arguments)
    answers.put(_own_peak())


def _own_peak() -> float:
    """Peak resident MB since this program started; the parent's is not in it."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 1024
