"""The LightningModule: one step, one optimiser, one way to validate, for every model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import lightning
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from gmbench.core.distributed import NonFinite, gather_predictions
from gmbench.core.entities import Prediction
from gmbench.core.tensors import Batch, Outputs
from gmbench.faults import strike
from gmbench.objective.decode import Decodes
from gmbench.objective.losses import SetLoss
from gmbench.scoring.metric import GroundedF1
from gmbench.training.nonfinite import Skips, gradient_norm
from gmbench.training.optimizer import (
    OptimSettings,
    build_optimizer,
    build_schedule,
    pretrained_modules,
)
from gmbench.training.resume import RandomState
from gmbench.training.step import Dump, Step, no_loss


class GroundedModule(lightning.LightningModule):
    """Trains a model with a set loss and scores its decoded predictions.

    Attributes:
        model: ``Batch -> Outputs``.
        predictions: of the last evaluated split, by example id.
        skips: training steps left out because something in them was not finite.
        left_out: the last of them, until somebody takes it.
        step: the training step under way.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        loss: SetLoss,
        decoder: Decodes,
        optim: OptimSettings,
        metrics: Mapping[str, GroundedF1],
        select: str = "gmner",
        may_skip: int = 0,
    ) -> None:
        """Keep the built parts.

        Args:
            model: ``Batch -> Outputs``; its parameters that do not require a gradient never learn.
            loss: matcher and loss terms.
            decoder: outputs to predictions.
            optim: learning rates, schedule, freezing.
            metrics: one a split (``dev``, ``test``), built on that split's gold.
            select: the task whose dev micro F1 chooses the checkpoint; ``mner`` when no pixels
                were seen.
            may_skip: so many training steps may be left out; 0 = the first such ends training.
        """
        super().__init__()
        self.model = model
        self.loss = loss
        self.decoder = decoder
        self.optim = optim
        self.metrics = nn.ModuleDict(metrics)
        self.select = select
        self.predictions: dict[str, tuple[Prediction, ...]] = {}
        self.learns = frozenset(n for n, p in model.named_parameters() if p.requires_grad)
        self.skips = Skips(may_skip)
        self.left_out: Dump | None = None
        self.step: Step | None = None

    def forward(self, batch: Batch) -> Outputs:
        """The model's outputs."""
        outputs: Outputs = self.model(batch)
        return outputs

    def on_train_epoch_start(self) -> None:
        """Prepare the epoch that begins."""
        self.start_epoch(self.current_epoch)

    def start_epoch(self, epoch: int) -> None:
        """Freeze the encoders for the first ``freeze_epochs`` epochs, then let them learn.

        An encoder that does not learn runs without dropout, as it does where its features are
        cached.
        """
        self.loss.start_epoch(epoch)
        frozen = epoch < self.optim.freeze_epochs
        self.model.train()
        for module in pretrained_modules(self.model):
            module.requires_grad_(not frozen)
        for name, parameter in self.model.named_parameters():
            if name not in self.learns:
                parameter.requires_grad_(False)
        for module in pretrained_modules(self.model):
            module.train(any(p.requires_grad for p in module.parameters()))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch.

        Raises:
            NonFinite: a cost is, and no step may be left out any more.
        """
        strike("step")
        self.step = Step(batch, RandomState.now())
        try:
            values = self.loss(self(batch), batch)
        except NonFinite as error:
            if not self.skips.left:
                raise
            self.step.error = error
            return no_loss(self.model)
        if strike("loss"):
            values = replace(values, total=values.total * float("nan"))
        self.step.values = replace(values, total=values.total.detach())
        size = len(batch)
        self.log("train/loss", values.total.detach(), prog_bar=True, batch_size=size)
        for name, value in values.parts.items():
            self.log(f"train/{name}", value, batch_size=size)
        if values.matching.unmatched:
            self.log("train/unmatched", float(values.matching.unmatched), batch_size=size)
        return values.total

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm here: Lightning refuses to with fused AdamW under mixed precision.

        Its reason is the loss scaling of float16, which bfloat16 does not need.

        A step that is left out has no gradient, and AdamW passes over what has none: its moments
        stay as they are too.

        Raises:
            NonFinite: the loss or a gradient is; the optimiser has not touched any weight yet.
        """
        assert self.step is not None
        if strike("grad"):
            next(p.grad for p in self.model.parameters() if p.grad is not None).fill_(float("nan"))
        try:
            norm = gradient_norm(self.model, self.step.total)
        except NonFinite as found:
            error = self.step.error or found
            dump = self.failed_step(str(error))
            self.skips.take(error, self.global_step, self.step.batch.ids)
            self.left_out = dump
            self.zero_grad(set_to_none=True)
            return
        if self.optim.clip is not None:
            nn.utils.clip_grads_with_norm_(self.model.parameters(), self.optim.clip, norm)

    def failed_step(self, message: str) -> Dump | None:
        """The step that is under way, for replaying; None before the first."""
        if self.step is None:
            return None
        return self.step.dump(
            self.model,
            self.learns,
            message=message,
            step=self.global_step,
            epoch=self.current_epoch,
            precision=str(self.trainer.precision),
        )

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Decode and count one dev batch."""
        strike("validate")
        self._evaluate(batch, "dev")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Decode and count one test batch."""
        self._evaluate(batch, "test")

    def _evaluate(self, batch: Batch, split: str) -> None:
        answers = self.decoder(self(batch), batch)
        self._metric(split).update(batch.ids, answers)
        self.predictions.update(zip(batch.ids, answers, strict=True))

    def _metric(self, split: str) -> GroundedF1:
        metric = self.metrics[split]
        assert isinstance(metric, GroundedF1)
        return metric

    def on_validation_epoch_start(self) -> None:
        """Forget the predictions of the last round."""
        self.predictions = {}

    def on_test_epoch_start(self) -> None:
        """Forget the predictions of the last round."""
        self.predictions = {}

    def on_validation_epoch_end(self) -> None:
        """Log dev P, R, F1 of the three tasks, and the value that selects the checkpoint.

        Predictions and counts are those of all processes, each example once.
        """
        self._log_scores("dev")

    def on_test_epoch_end(self) -> None:
        """Log test P, R, F1 of the three tasks."""
        self._log_scores("test")

    def _log_scores(self, split: str) -> None:
        self.predictions = gather_predictions(self.predictions)
        metric = self._metric(split)
        scores = metric.scores().micro
        metric.reset()
        for task in ("gmner", "mner", "eeg"):
            counts = getattr(scores, task)
            for figure in ("precision", "recall", "f1"):
                self.log(f"{split}/{task}_{figure}", float(getattr(counts, figure)))
        value = getattr(scores, self.select).f1
        self.log(f"{split}/select", float(value), prog_bar=split == "dev")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Fused AdamW with two learning rates, linear warm-up and decay, stepped every batch."""
        optimizer = build_optimizer(self.model, self.optim, self.learns)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = build_schedule(optimizer, self.optim, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Nothing but plain containers and tensors: a checkpoint loads with weights_only=True."""
        checkpoint.pop("hyper_parameters", None)
        checkpoint["skipped_steps"] = self.skips.taken

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As :meth:`on_save_checkpoint` left it."""
        self.skips.taken = checkpoint.get("skipped_steps", 0)
