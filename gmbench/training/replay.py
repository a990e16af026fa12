"""A step that ended in a number that is not finite: written down, and made once more."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from gmbench.core.distributed import NonFinite
from gmbench.core.tensors import Batch
from gmbench.training.module import GroundedModule
from gmbench.training.nonfinite import (
    gradient_norm,
    is_out_of_memory,
    nonfinite_gradients,
    shapes_of,
)
from gmbench.training.step import FOLDER, Dump, StepRecord, hexes, write_dump


class FailedSteps(Callback):
    """Writes the dump of a step that ended in ``NonFinite`` or was left out because of it.

    An error of memory is told the sizes of the batch.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Every process writes what it saw, those beyond the first in a folder of their own."""
        if not isinstance(pl_module, GroundedModule):
            return
        if is_out_of_memory(exception) and pl_module.step is not None:
            exception.add_note(f"the last training step was on {shapes_of(pl_module.step.batch)}")
        if not isinstance(exception, NonFinite):
            return
        dump = pl_module.failed_step(str(exception))
        if dump is not None:
            self._write(trainer, dump)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Keep the last step that was left out; a later one takes its place."""
        if isinstance(pl_module, GroundedModule) and pl_module.left_out is not None:
            self._write(trainer, pl_module.left_out)
            pl_module.left_out = None

    def _write(self, trainer: lightning.Trainer, dump: Dump) -> None:
        rank = trainer.global_rank
        write_dump(self.folder / (f"{FOLDER}.{rank}" if rank else FOLDER), dump)


def replay(module: GroundedModule, batch: Batch, dump: Dump) -> StepRecord:
    """Make the step of a dump once more, up to where the optimiser would begin.

    Args:
        module: built from the same configuration; its weights and gradients are changed.
        batch: of the examples that the dump names, in their order.
        dump: as ``read_dump`` gives it.

    Returns:
        What came out this time; ``message`` is empty where everything was finite.
    """
    record = replace(dump.record, loss=None, parts={}, gradients=(), message="")
    module.model.load_state_dict(dict(dump.weights), strict=False)
    module.start_epoch(record.epoch)
    module.model.zero_grad()
    half = record.precision == "bf16-mixed"
    device = next(module.model.parameters()).device
    dump.random.restore()
    try:
        with torch.autocast(device.type, dtype=torch.bfloat16) if half else nullcontext():
            values = module.loss(module.model(batch.to(device)), batch.to(device))
        record = replace(record, loss=float(values.total.detach()).hex(), parts=hexes(values.parts))
        values.total.backward()  # type: ignore[no-untyped-call]
        gradient_norm(module.model, values.total.detach())
    except NonFinite as error:
        record = replace(record, message=str(error))
    return replace(record, gradients=nonfinite_gradients(module.model))
