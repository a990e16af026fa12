"""Exact resume: what a checkpoint must know so that training goes on as if never interrupted."""

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


# The state of every random generator of a process, in plain tensors.
@dataclass(frozen=True, eq=False)
class RandomState:
    """Generators of torch (CPU and the process's GPU), numpy and Python.

    Attributes:
        torch: of the CPU.
        cuda: of the GPU; empty without one.
        numpy, python: as their libraries give them.
    """

    torch: Tensor
    cuda: tuple[Tensor, ...]
    numpy: tuple[Any, ...]
    python: tuple[Any, ...]

    @classmethod
    def now(cls) -> Self:
        """As the generators stand."""
        # Of this process's own GPU alone: to ask another would take memory there.
        used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cuda = (torch.cuda.get_rng_state(),) if used else ()
        numpy: Any = np.random.get_state(legacy=True)
        return cls(torch=torch.get_rng_state(), cuda=cuda, numpy=numpy, python=random.getstate())

    def restore(self) -> None:
        """Put the generators back to this state; a GPU that is not there is passed over."""
        torch.set_rng_state(self.torch)
        if self.cuda and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.cuda[0])
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def tensors(self) -> dict[str, Tensor]:
        """Byte tensors by name."""
        kind, keys, *rest = self.numpy
        plain = json.dumps({"numpy": [kind, keys.tolist(), *rest], "python": self.python})
        text = torch.frombuffer(bytearray(plain.encode()), dtype=torch.uint8)
        return {"torch": self.torch, "plain": text} | ({"cuda": self.cuda[0]} if self.cuda else {})

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The state that :meth:`tensors` describes."""
        plain = json.loads(bytes(tensors["plain"].cpu().numpy()))
        kind, keys, *rest = plain["numpy"]
        version, internal, gauss = plain["python"]
        return cls(
            torch=tensors["torch"].cpu(),
            cuda=(tensors["cuda"].cpu(),) if "cuda" in tensors else (),
            numpy=(kind, np.asarray(keys, dtype=np.uint32), *rest),
            python=(version, tuple(internal), gauss),
        )


KEY = "gmbench"
"""Of our part of a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a run is, and what its digits depend on.

    Attributes:
        config: sha256 of the configuration without its volatile keys.
        data: fingerprint of the data set.
        code: sha256 of the sources.
        torch: version.
        device: ``cpu``, or the name of the GPU.
        processes: that train together.
        threads: of each.
    """

    config: str
    data: str
    code: str
    torch: str
    device: str
    processes: int
    threads: int

    def another_run(self, other: "Identity") -> Iterator[str]:
        """What makes ``other`` another run altogether."""
        if self.config != other.config:
            yield "another configuration"
        if self.data != other.data:
            yield "other data"

    def other_digits(self, other: "Identity") -> Iterator[str]:
        """What would change the last digits: ``name (then, now)``."""
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
        identity: of the run that wrote it.
        steps: it had done.
    """

    identity: Identity
    steps: int


def read_origin(path: Path) -> Origin | None:
    """Of a checkpoint; None for one that does not say."""
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    own = state.get(KEY)
    if own is None:
        return None
    return Origin(Identity(**json.loads(own["identity"])), int(state["global_step"]))


class ExactResume(Callback):
    """Writes who trains and every process's random generators; puts those back.

    The generators are put back right before the first batch: whatever was built until then has
    drawn from them too.

    Attributes:
        identity: of the run; set before training, since the trainer says how many processes.
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
        """Add our part; every process takes part in it."""
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
        """Remember the generators of this process; with more processes than then, leave them."""
        states = checkpoint.get(KEY, {}).get("random", [])
        if trainer.global_rank < len(states):
            self._pending = RandomState.of_tensors(states[trainer.global_rank])

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Put the generators back, once, to where the epoch's loader had left them."""
        if self._pending is not None:
            self._pending.restore()
            self._pending = None
            draw()
