"""A mirror of one run on W&B that can neither stop nor slow it: local files are the truth.

W&B is spoken to in a thread of its own, behind a bounded queue. Whatever goes wrong there is said
once, on the log, and then forgotten. Neither the command line nor the environment, the code or the
repository's remote is handed over; the configuration loses its credentials first.
"""

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gmbench.reporting.provenance import redact

log = logging.getLogger("gmbench")

Mode = Literal["offline", "online"]
Action = Callable[[Any], None]
"""What is to be done with a ``wandb.Run``."""

STEP = "step"
"""The axis of all curves: optimiser steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSettings:
    """How a run is to appear on W&B.

    Attributes:
        project: of W&B; who owns it is ``WANDB_ENTITY``'s business.
        run_id: two runs with one id are one run, and the later sync replaces the earlier; None
            where a sweep hands out ids.
        name, group, job_type, tags: how it is shown and found.
        mode: ``offline`` writes ``wandb/`` in the run folder for ``wandb sync``.
    """

    project: str
    run_id: str | None
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...] = ()
    mode: Mode = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that W&B gets; the training waits for none of them but the last.

    Attributes:
        start: for a server to answer at the start, before the mirror goes offline.
        local: for W&B's own process on this machine to begin.
        end: to take what is still queued, once the run itself is over.
        queued: points of curves that may wait; more are left out and counted.
    """

    start: float = 15.0
    local: float = 60.0
    end: float = 30.0
    queued: int = 10_000


class WandbMirror:
    """Takes what a run has to show and passes it on; nothing here ever raises."""

    def __init__(
        self,
        *,
        settings: MirrorSettings,
        config: Mapping[str, Any],
        folder: Path,
        patience: Patience | None = None,
    ) -> None:
        """Start the thread.

        Args:
            settings: how the run appears.
            config: plain containers; credentials are hidden here.
            folder: gets the folder ``wandb``.
            patience: with W&B.
        """
        self._settings = settings
        self._config = redact(dict(config))
        self._folder = folder
        self._patience = patience or Patience()
        self._queue: queue.Queue[Action | None] = queue.Queue(self._patience.queued)
        self._lost = 0
        self._said = False
        self._exit_code = 0
        self._closed = False
        self._data_dir_was_unset = "WANDB_DATA_DIR" not in os.environ
        if self._data_dir_was_unset:  # what waits for a sync lies with the run, not in the home
            os.environ["WANDB_DATA_DIR"] = str(folder / "wandb")
        # Imported here and not in the thread: workers of a loader may be forked at any time.
        module = self._imported()
        self._thread = threading.Thread(
            target=self._work, args=(module,), name="wandb-mirror", daemon=True
        )
        self._thread.start()

    def log(self, values: Mapping[str, float], step: int) -> None:
        """One point of each curve; left out, and counted, where too many wait already."""
        point = {**values, STEP: step}
        try:
            self._queue.put_nowait(lambda run: run.log(point))
        except queue.Full:
            self._lost += 1

    def send(self, action: Action) -> None:
        """Have ``action`` done with the run; one that fails is said, not raised."""
        try:
            self._queue.put(action, timeout=self._patience.end / 6)
        except queue.Full:
            self._lost += 1

    def close(self, exit_code: int = 0) -> None:
        """Finish the run on W&B, whatever the state, within the patience for that."""
        if self._closed:
            return
        self._closed = True
        self._exit_code = exit_code
        deadline = time.monotonic() + self._patience.end
        self._put_last()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._say(f"did not finish within {self._patience.end:g} s and is left alone")
        elif self._lost:
            self._say(f"was too slow: {self._lost} points or tables are not in the mirror")
        if self._data_dir_was_unset:
            os.environ.pop("WANDB_DATA_DIR", None)

    def _work(self, wandb: Any) -> None:
        run = None if wandb is None else self._begin(wandb)
        while (action := self._queue.get()) is not None:
            if run is not None:
                self._try(action, run, "failed")
        if run is not None:
            self._try(lambda run: run.finish(exit_code=self._exit_code), run, "did not finish")
            # finish() may return before everything is in the file; the end of W&B's process is that
            self._try(lambda module: module.teardown(), wandb, "did not finish")

    def _put_last(self) -> None:
        """The word to end, in place of what waits if there is no room for it."""
        try:
            self._queue.put(None, timeout=self._patience.end / 6)
        except queue.Full:
            while not self._queue.empty():
                with contextlib.suppress(queue.Empty):
                    self._queue.get_nowait()
                    self._lost += 1
            self._queue.put_nowait(None)

    def _imported(self) -> Any:
        # Otherwise W&B reports its own errors to its makers, offline runs included.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        try:
            import wandb
        except Exception as fault:  # absent, or at odds with another package
            self._say(f"is not there ({_line(fault)}); pip install wandb")
            return None
        return wandb

    def _begin(self, wandb: Any) -> Any:
        modes: tuple[Mode, ...] = ("offline",)
        if self._settings.mode == "online":
            modes = ("online", "offline")
        for mode in modes:
            try:
                return self._init(wandb, mode)
            except (Exception, SystemExit) as fault:
                then = "; this run is mirrored offline, see wandb sync" if mode == "online" else ""
                self._say(f"does not start {mode} ({_line(fault)}){then}")
            if mode == "online":  # its service still holds the id for the run that never began
                self._try(lambda module: module.teardown(), wandb, "does not let go")
        return None

    def _init(self, wandb: Any, mode: Mode) -> Any:
        settings = self._settings
        wanted = {
            "console": "off",
            "disable_git": True,
            "finish_timeout": self._patience.end * 0.8,
            "init_timeout": self._patience.start if mode == "online" else self._patience.local,
            "save_code": False,
            "silent": True,
            "x_disable_machine_info": True,
            "x_disable_meta": True,  # it would hold the command line and the repository's remote
            "x_disable_stats": mode == "offline",
            "x_save_requirements": False,
            "x_service_wait": self._patience.local,
        }
        known = wandb.Settings.model_fields
        run = wandb.init(
            dir=str(self._folder),
            project=settings.project,
            id=settings.run_id,
            name=settings.name,
            group=settings.group,
            job_type=settings.job_type,
            tags=list(settings.tags),
            mode=mode,
            config=self._config,
            reinit="create_new",
            settings=wandb.Settings(**{k: v for k, v in wanted.items() if k in known}),
        )
        run.define_metric(STEP, hidden=True)
        run.define_metric("*", step_metric=STEP)
        if mode == "online":
            log.info("W&B: %s", run.url)
        return run

    def _try(self, act: Action, run: Any, fault_is: str) -> None:
        try:
            act(run)
        except (Exception, SystemExit) as fault:
            self._say(f"{fault_is} ({_line(fault)})")

    def _say(self, what: str) -> None:
        """The first trouble of a run; those that follow are for whoever looks for them."""
        level = logging.DEBUG if self._said else logging.WARNING
        self._said = True
        log.log(level, "W&B %s; the run itself is not touched, its folder is complete", what)


def _line(fault: BaseException) -> str:
    text = " ".join(str(fault).split()) or type(fault).__name__
    return str(redact(text))[:200]
