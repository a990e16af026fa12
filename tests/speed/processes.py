"""Work in a process of its own: what it costs there, and the most memory it ever held."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from typing import Any


def in_a_process(task: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What ``task`` returns in a fresh process, and the peak resident MB of that process.

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
    result: tuple[Any, float] = answers.get()
    return result


def _told(answers: Any, task: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    found = task(*arguments)
    answers.put((found, own_peak()))


def own_peak() -> float:
    """Peak resident MB since this program started; the parent's is not in it."""
    found = _status("VmHWM")
    if found is not None:
        return found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def own_memory() -> float:
    """Resident MB now; the peak so far where the system does not say."""
    found = _status("VmRSS")
    return own_peak() if found is None else found


def _status(key: str) -> float | None:
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith(f"{key}:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) / 1024
