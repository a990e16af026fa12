"""Build a Lightning trainer from typed settings."""

import inspect
import logging
import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch.distributed import distributed_c10d as c10d
from torch.nn.parallel import DistributedDataParallel

from gmbench.config.schema import Settings, Trainer
from gmbench.core.command_line import stopped_by
from gmbench.training.checkpoints import Checkpoints, DurableCheckpoints
from gmbench.training.epochs import EpochBar, EpochLines
from gmbench.training.failures import StepNotes

Precision = Literal["auto", "32-true", "bf16-mixed"]


def build_trainer(
    settings: Settings,
    folder: Path,
    loggers: list[Logger],
    callbacks: Sequence[Callback] = (),
    *,
    idle_parts: bool = False,
) -> lightning.Trainer:
    """Build a trainer that keeps ``checkpoints/{best,last}.ckpt`` in ``folder``.

    The best checkpoint is chosen by ``dev/select``, which the module logs.

    Args:
        settings: of the run.
        folder: the run folder.
        loggers: of the run.
        callbacks: in addition to those for checkpoints, errors and ``settings.callbacks``.
        idle_parts: a step may leave parts of the model without gradient (frozen for some epochs, or
            only blank pictures in a process's share); DDP then looks for them.
    """
    _silence_advice()
    trainer, watching = settings.trainer, settings.callbacks
    io = DurableCheckpoints(trainer.may_miss_saves)
    checkpoints = Checkpoints(folder / "checkpoints", "dev/select", io)
    all_callbacks: list[Callback] = [*callbacks, StepNotes(), checkpoints, EpochLines()]
    if watching.progress:
        all_callbacks.append(EpochBar())
    if len(loggers) > 1:  # for TensorBoard and W&B; metrics.csv leaves them out
        all_callbacks.append(LearningRateMonitor(logging_interval="step"))
    if watching.patience is not None:
        all_callbacks.append(EarlyStopping("dev/select", mode="max", patience=watching.patience))
    built = lightning.Trainer(
        default_root_dir=folder,
        max_epochs=trainer.epochs,
        precision=resolve_precision(trainer.precision, trainer.accelerator),
        accelerator=trainer.accelerator,
        devices=trainer.devices,
        num_nodes=trainer.nodes,
        strategy=build_strategy(trainer, idle_parts),
        use_distributed_sampler=False,  # ours splits batches exactly and repeats nothing
        deterministic="warn" if trainer.deterministic else False,
        callbacks=all_callbacks,
        plugins=[io],
        logger=loggers,
        log_every_n_steps=10,
        enable_progress_bar=watching.progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    # On SIGTERM Lightning broadcasts amid whatever else processes exchange; TimedDDP ends them.
    built._signal_connector._sigterm_notifier_fn = lambda *_: None  # type: ignore[method-assign]
    return built


def build_strategy(settings: Trainer, idle_parts: bool) -> Strategy | str:
    """Return DDP, or Lightning's ``auto`` for one process.

    FSDP is not offered: models of a few hundred million parameters need no sharding.
    """
    few = settings.devices == "auto" and torch.cuda.device_count() < 2
    alone = settings.nodes == 1 and (settings.devices == 1 or few)
    if alone or settings.accelerator == "mps":
        return "auto"
    # No buffer changes in training, and evaluation must do without collectives. The argument's name
    # depends on the version of torch.
    known = inspect.signature(DistributedDataParallel).parameters
    sync_buffers = (
        "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    )
    return TimedDDP(
        peer_timeout=settings.peer_timeout,
        find_unused_parameters=idle_parts,
        gradient_as_bucket_view=True,
        timeout=timedelta(minutes=30),  # until all processes have read the data
        **{sync_buffers: False},
    )


class TimedDDP(DDPStrategy):
    """DDP with a timeout of its own for every wait after the first, which includes reading data.

    Args:
        peer_timeout: seconds of every wait after the first.
        settings: Lightning's.
    """

    def __init__(self, *, peer_timeout: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._peer_timeout = timedelta(seconds=peer_timeout)

    def setup_distributed(self) -> None:
        """Join the process group."""
        super().setup_distributed()
        # Public under another name from torch 2.13 on.
        set_timeout = getattr(dist, "set_timeout", None) or c10d._set_pg_timeout
        set_timeout(self._peer_timeout, None)

    def on_exception(self, exception: BaseException) -> None:
        """End the processes that this one has started, if a signal ends it."""
        super().on_exception(exception)
        started = getattr(self.launcher, "procs", [])
        if stopped_by(exception) is not None:
            children = list(started)
            started.clear()  # who watches them would kill this process too
            for child in children:
                child.kill()  # it may wait for this one; only the first process keeps a state
                child.wait()


def _silence_advice() -> None:
    """Turn off tips and warnings that do not apply here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",  # cached features: more workers cost more than they save
        ".*exists and is not empty.*",  # the same command uses its own folder again
        ".*smaller than the logging interval.*",
        ".*in eval mode at the start of training.*",  # frozen encoders belong there
        ".*treespec.*",
        ".*recommended to use `self.log.*sync_dist=True.*",  # scores are those of all already
    ):
        warnings.filterwarnings("ignore", text)


def resolve_precision(precision: Precision, accelerator: str) -> Literal["32-true", "bf16-mixed"]:
    """Resolve ``auto``: bf16 on a CUDA GPU from Ampere on, float32 on a CPU."""
    if precision != "auto":
        return precision
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"
