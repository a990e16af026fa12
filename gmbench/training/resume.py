"""Exact resume: everything in a checkpoint that lets training continue bit for bit."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from gmbench.core.distributed import gather_bytes
from gmbench.core.tensors import Batch
from gmbench.data.datamodule import draw
from gmbench.training.loggers import MetricsFile

KEY = "gmbench"
"""Key of our part of a checkpoint."""


@dataclass(frozen=True, eq=False)
class RandomState:
    """State of every random generator of a process: torch (CPU and own GPU), numpy, Python."""

    torch: Tensor
    cuda: tuple[Tensor, ...]  # empty without a GPU
    numpy: tuple[Any, ...]
    python: tuple[Any, ...]

    @classmethod
    def now(cls) -> Self:
        """Return the current state."""
        # Of this process's own GPU only: asking another would take memory there.
        used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cuda = (torch.cuda.get_rng_state(),) if used else ()
        numpy: Any = np.random.get_state(legacy=True)
        return cls(torch=torch.get_rng_state(), cuda=cuda, numpy=numpy, python=random.getstate())

    def restore(self) -> None:
        """Set the generators to this state; ignore the state of a missing GPU."""
        torch.set_rng_state(self.torch)
        if self.cuda and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.cuda[0])
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as byte tensors by name."""
        kind, keys, *rest = self.numpy
        plain = json.dumps({"numpy": [kind, keys.tolist(), *rest], "python": self.python})
        text = torch.frombuffer(bytearray(plain.encode()), dtype=torch.uint8)
        return {"torch": self.torch, "plain": text} | ({"cuda": self.cuda[0]} if self.cuda else {})

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Build the state from what :meth:`tensors` returned."""
        plain = json.loads(bytes(tensors["plain"].cpu().numpy()))
        kind, keys, *rest = plain["numpy"]
        version, internal, gauss = plain["python"]
        return cls(
            torch=tensors["torch"].cpu(),
            cuda=(tensors["cuda"].cpu(),) if "cuda" in tensors else (),
            numpy=(kind, np.asarray(keys, dtype=np.uint32), *rest),
            python=(version, tuple(internal), gauss),
        )


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What defines a run, and what its digits depend on.

    Attributes:
        config: sha256 of the configuration without its volatile keys.
        data: fingerprint of the data set.
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

    def another_run(self, other: "Identity") -> Iterator[str]:
        """Yield what makes ``other`` a different run."""
        if self.config != other.config:
            yield "another configuration"
        if self.data != other.data:
            yield "other data"

    def other_digits(self, other: "Identity") -> Iterator[str]:
        """Yield what would change the last digits: ``name (then, now)``."""
        if self.code != other.code:
            yield "code (changed since)"
        for name in ("torch", "device", "processes", "threads"):
            then, now = getattr(self, name), getattr(other, name)
            if then != now:
                yield f"{name} ({then} then, {now} now)"


def read_identity(path: Path) -> Identity | None:
    """Return the identity of the run that wrote a checkpoint; None if it holds none."""
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    own = state.get(KEY)
    return None if own is None else Identity(**json.loads(own["identity"]))


class ExactResume(Callback):
    """Store the run's identity and every process's random state; restore the latter.

    The random state is restored right before the first batch: whatever is built before that draws
    random numbers too. ``metrics.csv`` continues after the last row before the checkpoint.

    Attributes:
        identity: of the run; set before training, when the trainer knows the number of processes.
    """

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self._pending: RandomState | None = None

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Add identity and random states; every process takes part in this."""
        assert self.identity is not None
        checkpoint[KEY] = {
            "identity": json.dumps(asdict(self.identity)),
            "random": gather_bytes(RandomState.now().tensors()),
        }

    def on_load_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Remember the random state of this process; a process beyond those has none."""
        states = checkpoint.get(KEY, {}).get("random", [])
        if trainer.global_rank < len(states):
            self._pending = RandomState.of_tensors(states[trainer.global_rank])

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Continue ``metrics.csv``."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):
                logger.continue_from(trainer.global_step)

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Restore the random state, once, as the epoch's loader had left it."""
        if self._pending is not None:
            self._pending.restore()
            self._pending = None
            draw()
