"""Faults on purpose, patched into a process from outside: gmbench itself knows nothing of them.

A plan ``step:13:kill;save:2:enospc`` lists what happens when a place is passed for the n-th time in
a process; ``step@1:13:kill`` strikes only in process 1 of several. Commands that tests start read
it from the environment variable GMBENCH_FAULT (hooks/sitecustomize.py).
"""

import errno
import functools
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch

from gmbench.data.dataset import GroundedDataset
from gmbench.objective.matcher import HungarianMatcher
from gmbench.training import durable_files, loggers
from gmbench.training.checkpoints import DurableCheckpoints
from gmbench.training.module import GroundedModule

VARIABLE = "GMBENCH_FAULT"
NAN = float("nan")
SIGNALS = {
    "kill": signal.SIGKILL,
    "stop": signal.SIGSTOP,
    "interrupt": signal.SIGINT,
    "terminate": signal.SIGTERM,
}


class Plan:
    """Counts how often each place is passed."""

    def __init__(self, text: str) -> None:
        self.actions: dict[tuple[str, int], str] = {}
        self.passed: Counter[str] = Counter()
        for entry in text.split(";"):
            where, number, action = entry.split(":")
            place, _, process = where.partition("@")
            if process in ("", os.environ.get("LOCAL_RANK", "0")):
                self.actions[place, int(number)] = action

    def strike(self, place: str) -> bool:
        """Pass a place once more; whether its value becomes NaN."""
        self.passed[place] += 1
        action = self.actions.get((place, self.passed[place]))
        if action in SIGNALS:
            os.kill(os.getpid(), SIGNALS[action])
        if action == "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if action == "oom":
            raise torch.OutOfMemoryError(f"planned: out of memory at {place}")
        while action == "hang":
            time.sleep(1)
        return action == "nan"


def install(text: str, put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Patch the places of a plan into this process; ``put`` may be ``monkeypatch.setattr``."""
    plan = Plan(text)

    def around(owner: Any, name: str, act: Callable[..., Any]) -> None:
        """Let ``act`` call the function or method: it is given first, then its arguments."""
        whole = getattr(owner, name)

        @functools.wraps(whole)
        def patched(*args: Any, **kwargs: Any) -> Any:
            return act(whole, *args, **kwargs)

        put(owner, name, patched)

    def before(place: str) -> Callable[..., Any]:
        def act(whole: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            plan.strike(place)
            return whole(*args, **kwargs)

        return act

    def step(whole: Callable[..., Any], *args: Any) -> dict[str, Any]:
        plan.strike("step")
        values = whole(*args)
        return values | {"loss": values["loss"] * NAN} if plan.strike("loss") else values

    def clip(whole: Callable[..., Any], self: GroundedModule, *args: Any, **kwargs: Any) -> None:
        if plan.strike("grad"):
            next(p.grad for p in self.model.parameters() if p.grad is not None).fill_(NAN)
        whole(self, *args, **kwargs)

    def match(whole: Callable[..., Any], self: Any, layers: Any, *args: Any, **kwargs: Any) -> Any:
        if plan.strike("match"):
            layers = [replace(layer, type_logits=layer.type_logits * NAN) for layer in layers]
        return whole(self, layers, *args, **kwargs)

    def hashing(whole: Callable[..., Any], self: Any, stream: Any) -> None:
        def write(data: Any) -> int:
            plan.strike("write")
            return stream.write(data)

        whole(self, SimpleNamespace(write=write, flush=stream.flush))

    def digests(whole: Callable[..., Any], path: Any, known: Any) -> None:
        whole(path, known)
        plan.strike("keep" if path.name == durable_files.PREVIOUS else "note")

    def saved(whole: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        whole(*args, **kwargs)
        plan.strike("saved")

    around(GroundedDataset, "__getitem__", before("load"))
    around(GroundedModule, "training_step", step)
    around(GroundedModule, "configure_gradient_clipping", clip)
    around(GroundedModule, "validation_step", before("validate"))
    around(HungarianMatcher, "__call__", match)
    around(DurableCheckpoints, "save_checkpoint", saved)
    around(durable_files._HashingStream, "__init__", hashing)
    around(durable_files, "_read_back", before("save"))
    around(durable_files, "_write_digests", digests)
    around(loggers, "write_atomically", before("log"))
