"""Why a run failed: a one-word cause that a grid can count, and the step at fault."""

import dataclasses
from typing import Any

import torch
import torch.distributed as dist
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from gmbench.core.command_line import stopped_by
from gmbench.core.errors import NonFinite, chain
from gmbench.core.tensors import Batch
from gmbench.training.durable_files import is_full

PEER = "peer"
"""Cause of a failure if another process ended or did not answer in time."""

LOADER = "loader"
"""Cause of a failure if a loading process was killed or did not answer in time."""


def cause_of(error: BaseException) -> str:
    """Return interrupted, nan, oom, disk, peer, loader, or the name of the exception.

    What the error was raised from counts too: torch raises a plain RuntimeError on a full disk.
    """
    if stopped_by(error):
        return "interrupted"
    if isinstance(error, NonFinite):
        return "nan"
    for link in chain(error):
        if is_out_of_memory(link):
            return "oom"
        if is_full(link):
            return "disk"
        if _is_broken_connection(link):
            return PEER
        if isinstance(link, RuntimeError) and str(link).startswith("DataLoader"):
            return LOADER
    return type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch's CPU allocator raises a plain RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _is_broken_connection(error: BaseException) -> bool:
    """Whether processes could not talk; gloo raises plain RuntimeErrors that name its files."""
    known: tuple[type[BaseException], ...] = (getattr(dist, "DistError", ConnectionError),)
    gloo = "/gloo/" in str(error) or "by peer" in str(error)
    return isinstance(error, known) or (isinstance(error, RuntimeError) and gloo)


def message_of(error: BaseException) -> str:
    """Return the message of an error, with the notes added to it."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


class StepNotes(Callback):
    """Add the training step at fault to an error: its examples, or the sizes of its batch."""

    def __init__(self) -> None:
        self._batch: Batch | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Remember the batch until the step is done."""
        self._batch = batch

    def on_train_batch_end(self, *_: Any) -> None:
        """Forget the batch: the step is done."""
        self._batch = None

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Add the note."""
        if cause_of(exception) == LOADER:
            exception.add_note(
                "a loading process is stopped, was killed or reads too slowly; "
                "trainer.num_workers=0 does without, +trainer.peer_timeout=SECONDS waits longer"
            )
        if self._batch is None:
            return
        if isinstance(exception, NonFinite):
            where = f"training step {trainer.global_step}, epoch {trainer.current_epoch}"
            exception.add_note(f"{where}; examples {', '.join(self._batch.ids)}")
        elif is_out_of_memory(exception):
            exception.add_note(f"the last training step was on {shapes_of(self._batch)}")


def shapes_of(batch: Batch) -> str:
    """Return ``16 examples: input_ids 16x41, pixels 16x3x224x224``."""
    values = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    sizes = [
        f"{name} {'x'.join(map(str, value.shape))}"
        for name, value in values.items()
        if isinstance(value, Tensor)
    ]
    return f"{len(batch)} examples: {', '.join(sizes)}"
