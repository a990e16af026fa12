"""A step that ended in a number that is not finite: written down, and made once more."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from gmbench.engine.dump import FOLDER, Dump, StepRecord, hexes, write_dump
from gmbench.engine.module import GroundedModule
from gmbench.engine.nonfinite import NonFinite, gradient_norm, nonfinite_gradients
from gmbench.tensors import Batch


class NonFiniteDump(Callback):
    """Writes the dump of a step that ended in ``NonFinite``.

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
        if not (isinstance(exception, NonFinite) and isinstance(pl_module, GroundedModule)):
            return
        dump = pl_module.failed_step(str(exception))
        if dump is not None:
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
