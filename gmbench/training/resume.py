"""Exact resume: everything in a checkpoint that lets training continue bit for bit."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from gmbench.config.identity import by_key
from gmbench.config.renames import current_key
from gmbench.core.distributed import gather_bytes
from gmbench.core.errors import first_line, first_ten
from gmbench.core.tensors import Batch
from gmbench.data.datamodule import draw
from gmbench.data.fingerprint import Fingerprint
from gmbench.training.durable_files import DamagedCheckpoint
from gmbench.training.loggers import MetricsFile

KEY = "gmbench"
"""Key of our part of a checkpoint."""


def random_state() -> dict[str, Tensor]:
    """Return the state of this process's random generators as byte tensors by name."""
    numpy_state: Any = np.random.get_state(legacy=True)
    kind, keys, *rest = numpy_state
    plain = json.dumps({"numpy": [kind, keys.tolist(), *rest], "python": random.getstate()})
    state = {
        "torch": torch.get_rng_state(),
        "plain": torch.frombuffer(bytearray(plain.encode()), dtype=torch.uint8),
    }
    # Of this process's own GPU only: asking another would take memory there.
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: Mapping[str, Tensor]) -> None:
    """Set the random generators to a state; ignore that of a missing GPU."""
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
    plain = json.loads(bytes(state["plain"].cpu().numpy()))
    kind, keys, *rest = plain["numpy"]
    np.random.set_state((kind, np.asarray(keys, dtype=np.uint32), *rest))
    version, internal, gauss = plain["python"]
    random.setstate((version, tuple(internal), gauss))


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What defines a run, and what its digits depend on.

    Attributes:
        config: sha256 of the configuration without its volatile keys.
        data: fingerprint of the data set.
        settings: what that configuration computes; None in older checkpoints.
        candidates: of the candidate regions; None if there are none, or nobody noted it.
        code: sha256 of the sources.
        torch: version.
        device: ``cpu``, or the name of the GPU.
        processes: number of processes that train together.
        threads: number of threads per process.
    """

    config: str
    data: str
    code: str
    torch: str
    device: str
    processes: int
    threads: int
    settings: Mapping[str, Any] | None = None
    candidates: str | None = None

    def another_run(self, other: "Identity") -> Iterator[str]:
        """Yield what makes ``other`` a different run."""
        if self.config != other.config:
            keys = list(self._other_settings(other))
            yield f"another configuration{f' ({first_ten(keys)})' if keys else ''}"
        then = Fingerprint(self.data, self.candidates)
        yield from then.differences(Fingerprint(other.data, other.candidates))

    def _other_settings(self, other: "Identity") -> Iterator[str]:
        """Yield each setting that differs: ``trainer.epochs: 5 then, 10 now``."""
        if self.settings is None or other.settings is None:
            return
        then, now = by_key(self.settings), by_key(other.settings)
        for key in {**then, **now}:
            if (key in then, then.get(key)) != (key in now, now.get(key)):
                before, after = then.get(key, "absent"), now.get(key, "absent")
                yield f"{current_key(key)}: {before} then, {after} now"

    def other_digits(self, other: "Identity") -> Iterator[str]:
        """Yield what would change the last digits: ``name (then, now)``."""
        if self.code != other.code:
            yield "code (changed since)"
        for name in ("torch", "device", "processes", "threads"):
            then, now = getattr(self, name), getattr(other, name)
            if then != now:
                yield f"{name} ({then} then, {now} now)"


@dataclass(frozen=True)
class Origin:
    """Where a checkpoint comes from.

    Attributes:
        identity: of the run that wrote it; None if it says nothing about it.
        is_best: whether its epoch is the best of the run so far.
    """

    identity: Identity | None
    is_best: bool


def read_origin(path: Path) -> Origin:
    """Return where a checkpoint comes from.

    Raises:
        DamagedCheckpoint: it is a file of another kind.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        own = state.get(KEY)
        kept = state.get("callbacks", {}).get("Checkpoints", {})
        identity = None if own is None else Identity(**json.loads(own["identity"]))
        return Origin(identity, "epoch" in kept and kept["epoch"] == state["epoch"])
    except (
        UnpicklingError,
        RuntimeError,
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
    ) as error:
        raise DamagedCheckpoint(f"{path} is no checkpoint ({first_line(error)})") from None


class ExactResume(Callback):
    """Store the run's identity and every process's random state; restore the latter.

    The random state is restored right before the first batch: whatever is built before that draws
    random numbers too. ``metrics.csv`` continues after the last row before the checkpoint.

    Attributes:
        identity: of the run; set before training, when the trainer knows the number of processes.
    """

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self._pending: dict[str, Tensor] | None = None

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add identity and random states; every process takes part in this."""
        assert self.identity is not None
        checkpoint[KEY] = {
            "identity": json.dumps(asdict(self.identity)),
            "random": gather_bytes(random_state()),
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Continue ``metrics.csv`` and remember the random state of this process, if it has one.

        Not in ``on_train_start``, which is skipped if no epoch is left.
        """
        if trainer.state.fn != TrainerFn.FITTING:  # called before an evaluation, too
            return
        states = checkpoint.get(KEY, {}).get("random", [])
        if trainer.global_rank < len(states):
            self._pending = states[trainer.global_rank]
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):
                logger.continue_from(checkpoint["global_step"])

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Restore the random state, once, as the epoch's loader had left it."""
        if self._pending is not None:
            restore_random_state(self._pending)
            self._pending = None
            draw()
