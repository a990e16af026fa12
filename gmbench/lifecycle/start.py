"""Where a run begins: anew, or at a checkpoint that it can go on from exactly."""

import hashlib
import logging
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from gmbench.config.identity import run_sha, what_computes
from gmbench.config.schema import Counts, Settings
from gmbench.core.distributed import rank
from gmbench.core.errors import InputError
from gmbench.lifecycle.build import Run
from gmbench.training.durable_files import (
    PREVIOUS,
    DamagedCheckpoint,
    damage,
    intact,
    restore,
    write_durably,
)
from gmbench.training.resume import Identity, read_origin

log = logging.getLogger("gmbench")

AUTO, NEVER = "auto", "never"


@dataclass(frozen=True)
class Start:
    """Where training begins.

    Attributes:
        checkpoint: to go on from; None = at the beginning.
        exact: whether every digit will be that of an unbroken run.
    """

    checkpoint: Path | None = None
    exact: bool = True

    @property
    def path(self) -> str | None:
        """The checkpoint as Lightning takes it."""
        return None if self.checkpoint is None else str(self.checkpoint)


def identity_of(settings: Settings, run: Run, processes: int, device: torch.device) -> Identity:
    """What the checkpoints of a run say about it.

    Args:
        settings: of the run.
        run: its built parts.
        processes: that train together.
        device: of this process.
    """
    on_gpu = device.type == "cuda"
    return Identity(
        config=run_sha(settings.tree, Counts.RESUME),
        settings=what_computes(settings.tree, Counts.RESUME),
        data=run.fingerprint.data,
        candidates=run.fingerprint.candidates,
        code=sources_of(type(run.module.model).__module__.split(".")[0]),
        torch=str(torch.__version__),
        device=torch.cuda.get_device_name(device) if on_gpu else device.type,
        processes=processes,
        threads=torch.get_num_threads(),
    )


def choose_start(settings: Settings, folder: Path, identity: Identity) -> Start:
    """Where ``resume`` lets the run begin.

    ``auto`` looks into the run's own folder and begins anew, with a warning, where what lies there
    is of another run or of other code; a path must fit.

    Args:
        settings: of the run, checked.
        folder: of checkpoints.
        identity: of the run that is about to begin.

    Raises:
        InputError: the checkpoint does not fit, or would give other digits.
    """
    auto, inexact = settings.resume == AUTO, settings.resume_inexact
    if settings.resume == NEVER or (auto and settings.force):
        return Start()
    path = folder / "last.ckpt" if auto else Path(settings.resume)
    if auto and not path.exists() and not path.with_name(PREVIOUS).exists():
        return Start()
    try:
        path, found = _readable(path, mend=auto and rank() == 0)
    except DamagedCheckpoint as fault:
        return _refuse(auto, str(fault))
    another = list(found.another_run(identity))
    if another:
        todo = "" if auto else "; repeat the overrides and the data of its run"
        return _refuse(auto, f"{path} is of {' and '.join(another)}{todo}")
    digits = list(found.other_digits(identity))
    if auto and found.code != identity.code and not inexact:
        return _refuse(auto, f"{path} was written by other code (resume_inexact=true goes on)")
    if digits and not inexact:
        raise InputError(
            f"resume: {path} would go on with other digits: {', '.join(digits)}; restore that, or "
            f"set resume_inexact=true (the result says so) or resume=never"
        )
    if path.parent != folder and rank() == 0:
        best = path.with_name("best.ckpt").read_bytes()
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / "best.ckpt", lambda stream: stream.write(best))
    log.info("going on from %s", path)
    return Start(path, exact=not digits)


def forget_previous(folder: Path) -> None:
    """Remove what only an interrupted run needs, once its result is written."""
    for name in (PREVIOUS, f"{PREVIOUS}.json"):
        (folder / name).unlink(missing_ok=True)


def _readable(path: Path, *, mend: bool) -> tuple[Path, Identity]:
    """The checkpoint or its forerunner, and who wrote it.

    Args:
        path: of ``last.ckpt``.
        mend: whether to replace a damaged file by one that holds the same or the state before.

    Raises:
        DamagedCheckpoint: neither can be gone on from, or the best one so far is lost.
    """
    try:
        source = intact(path)
    except FileNotFoundError as error:
        raise DamagedCheckpoint(str(error)) from None
    origin = read_origin(source)
    best = path.with_name("best.ckpt")
    fault = damage(best)
    if fault is not None and origin.is_best and mend:
        restore(best, source)
    # The forerunner of a damaged last one: its best epoch is made again, unless it was before.
    elif fault is not None and source.name != PREVIOUS:
        raise DamagedCheckpoint(f"{best}, the best so far, is damaged ({fault})")
    if source != path and mend:
        restore(path, source)
    if origin.identity is None:
        raise DamagedCheckpoint(f"{source} does not say which run wrote it")
    return source, origin.identity


def _refuse(auto: bool, why: str) -> Start:
    if not auto:
        raise InputError(f"resume: {why}")
    log.warning("%s: the run begins anew", why)
    return Start()


@cache
def sources_of(package: str) -> str:
    """Digest of gmbench and of the model's package, as they were first read."""
    digest = hashlib.sha256()
    for name in ("gmbench", package):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None:
            continue
        place = Path(file)
        for path in sorted(place.parent.rglob("*.py")) if place.name == "__init__.py" else [place]:
            digest.update(path.relative_to(place.parent).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
