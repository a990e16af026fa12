"""The LightningModule that trains, validates and tests every model."""

from collections.abc import Mapping
from typing import Any, cast

from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import Optimizer

from gmbench.config.schema import Optim
from gmbench.core.distributed import gather_predictions
from gmbench.core.entities import Prediction
from gmbench.core.tensors import Batch
from gmbench.nn.additions import Additions, measured
from gmbench.objective.decode import Decodes
from gmbench.objective.losses import SetLoss
from gmbench.scoring.counting import TASKS
from gmbench.scoring.metric import GroundedF1
from gmbench.training.nonfinite import finite_gradient_norm
from gmbench.training.optimizer import (
    build_optimizer,
    build_schedule,
    freeze_encoders,
)


class GroundedModule(LightningModule):
    """Train a model with a set loss and score its decoded predictions.

    Args:
        model: ``Batch -> Outputs``; parameters that do not require a gradient never learn.
        loss: matcher and loss terms.
        decoder: outputs to predictions.
        optim: learning rates, schedule, freezing.
        metrics: one per evaluated split (``dev``, ``test``), built on its gold.
        select: task whose dev micro F1 chooses the checkpoint; ``mner`` if there are no pictures.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        loss: SetLoss,
        decoder: Decodes,
        optim: Optim,
        metrics: Mapping[str, GroundedF1],
        select: str = "gmner",
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.decoder = decoder
        self.optim = optim
        self.metrics = nn.ModuleDict(metrics)
        self.select = select
        self.predictions: dict[str, tuple[Prediction, ...]] = {}  # of the last evaluated split
        self.additions = Additions()  # in the test
        self.learns = frozenset(n for n, p in model.named_parameters() if p.requires_grad)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Fused AdamW with two learning rates, linear warm-up and decay, stepped every batch."""
        optimizer = build_optimizer(self.model, self.optim, self.learns)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = build_schedule(optimizer, self.optim, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Freeze the encoders for the first ``freeze_epochs`` epochs, then let them learn."""
        self.loss.start_epoch(self.current_epoch)
        freeze_encoders(self.model, self.learns, self.current_epoch < self.optim.freeze_epochs)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Return the loss of one batch and the matching behind it."""
        values = self.loss(self.model(batch), batch)
        self.total = values.total.detach()  # checked before the optimiser steps
        self.log("train/loss", self.total, prog_bar=True, batch_size=len(batch))
        self.log_dict({f"train/{n}": v for n, v in values.parts.items()}, batch_size=len(batch))
        if values.matching.unmatched:
            self.log("train/unmatched", values.matching.unmatched, batch_size=len(batch))
        return {"loss": values.total, "matching": values.matching}

    def configure_gradient_clipping(self, optimizer: Optimizer, *_: Any, **__: Any) -> None:
        """Check loss and gradients before the optimiser steps, then clip.

        Lightning refuses to clip with fused AdamW under mixed precision because of float16's loss
        scaling, which bfloat16 does not need.

        Raises:
            NonFinite: the loss or a gradient is NaN or infinite; no weight has changed yet.
        """
        norm = finite_gradient_norm(self.model, self.total)
        if self.optim.clip is not None:
            nn.utils.clip_grads_with_norm_(self.model.parameters(), self.optim.clip, norm)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Decode and count one dev batch."""
        self._evaluate(batch, "dev")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Decode and count one test batch, and measure what each part of the model adds."""
        with measured(self.additions):
            self._evaluate(batch, "test")

    def _evaluate(self, batch: Batch, split: str) -> None:
        predictions = self.decoder(self.model(batch), batch)
        cast(GroundedF1, self.metrics[split]).update(batch.ids, predictions)
        self.predictions.update(zip(batch.ids, predictions, strict=True))

    def on_validation_epoch_start(self) -> None:
        """Forget the predictions of the last evaluation."""
        self.predictions = {}

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        """Log dev P, R and F1 of the three tasks, and the value that selects the checkpoint."""
        self._log_scores("dev")

    def on_test_epoch_end(self) -> None:
        """Log test P, R and F1 of the three tasks."""
        self._log_scores("test")

    def _log_scores(self, split: str) -> None:
        """Log the scores of all processes' examples, each counted once."""
        self.predictions = gather_predictions(self.predictions)
        metric = cast(GroundedF1, self.metrics[split])
        scores = metric.scores().micro
        metric.reset()
        for task in TASKS:
            for figure in ("precision", "recall", "f1"):
                self.log(f"{split}/{task}_{figure}", float(getattr(getattr(scores, task), figure)))
        selected = getattr(scores, self.select).f1
        self.log(f"{split}/select", float(selected), prog_bar=split == "dev")
