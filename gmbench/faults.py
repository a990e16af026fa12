"""Faults on purpose, so that tests can prove what a run survives: off unless asked for.

``GMBENCH_FAULT="step:13:kill;save:2:enospc"`` says what happens when a named place is passed for
the n-th time in a process; ``step@1:13:kill`` only in process 1 of several. Places:

- ``load`` (an example read), ``log`` (metrics.csv written), ``match`` (a batch matched);
- ``step`` (before a training step), ``loss`` and ``grad`` (of a step), ``validate`` (before a dev
  batch);
- of a checkpoint ``write`` (each piece of it), ``save`` (written, not yet in its place), ``keep``
  (before the old one gets its other name), ``note`` (digests written), ``saved`` (in its place).
"""

import errno
import os
import signal
import time
from collections import Counter
from functools import cache

VARIABLE = "GMBENCH_FAULT"
ACTIONS = ("kill", "raise", "enospc", "nan", "oom", "hang")


class PlannedFault(RuntimeError):
    """The error of the action ``raise``."""


def strike(place: str) -> bool:
    """Pass a place; whether its value is to become NaN. Without a plan: a look at the environment.

    Raises:
        PlannedFault: action ``raise``.
        OSError: action ``enospc``: no space left on the device.
        torch.OutOfMemoryError: action ``oom``.
        ValueError: the plan cannot be read.
    """
    text = os.environ.get(VARIABLE)
    return text is not None and _plan(text).strike(place)


class FaultPlan:
    """Which pass of which place does what; counts passes.

    Args:
        text: ``place:n:action`` or ``place@process:n:action``, several separated by ``;``.

    Raises:
        ValueError: the text is none.
    """

    def __init__(self, text: str) -> None:
        self.actions: dict[tuple[str, int], str] = {}
        self.passed: Counter[str] = Counter()
        for entry in filter(None, text.split(";")):
            where, number, action = (*entry.split(":"), "", "")[:3]
            place, at, process = where.partition("@")
            known = number.isdecimal() and action in ACTIONS
            if not known or (at and not process.isdecimal()):
                raise ValueError(
                    f"{VARIABLE}: {entry!r} is not place:number:action; actions: "
                    f"{', '.join(ACTIONS)}"
                )
            if process in ("", os.environ.get("LOCAL_RANK", "0")):
                self.actions[place, int(number)] = action

    def strike(self, place: str) -> bool:
        """Pass ``place`` once more; see the function of that name."""
        self.passed[place] += 1
        number = self.passed[place]
        action = self.actions.get((place, number))
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if action == "raise":
            raise PlannedFault(f"planned fault at {place} {number}")
        if action == "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if action == "oom":
            import torch  # only where it is wanted: modules of every level pass places

            raise torch.OutOfMemoryError(f"planned: out of memory at {place} {number}")
        while action == "hang":
            time.sleep(1)
        return action == "nan"


@cache
def _plan(text: str) -> FaultPlan:
    return FaultPlan(text)
