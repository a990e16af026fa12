"""One run from checked configuration to result.json: train, choose on dev, test once, report."""

import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gmbench.config import check_data
from gmbench.config.identity import plain_config, run_sha
from gmbench.core.distributed import rank
from gmbench.core.errors import InputError
from gmbench.core.files import write_atomically
from gmbench.core.provenance import redact
from gmbench.lifecycle.attempts import (
    begin_attempt,
    ended_attempt,
    failure_of_another,
    record_failure,
)
from gmbench.lifecycle.build import Run, build_run
from gmbench.lifecycle.record import Fit, record, store_analysis, store_curves
from gmbench.lifecycle.start import choose_start, forget_previous, identity_of
from gmbench.lifecycle.tracking import Tracking, tracked
from gmbench.reporting.record import RunResult, Selection, write_result
from gmbench.reporting.tables import show
from gmbench.scoring.files import write_predictions
from gmbench.training.checkpoints import Checkpoints, NoRoom, checkpoint_bytes, require_room
from gmbench.training.failures import PEER, cause_of, message_of
from gmbench.training.matching_stability import MatchingStability
from gmbench.training.resume import ExactResume, Identity
from gmbench.training.trainer import TrainerSettings, build_trainer


def execute(
    cfg: DictConfig, folder: Path, overrides: tuple[str, ...], console: Console
) -> float | None:
    """Run ``mode=train`` or ``mode=test`` and write the run folder.

    A run that fails leaves ``failure.json`` with its cause. Of several processes the first writes,
    but for the failures of the others: ``failure.rank1.json``.

    Args:
        cfg: the checked configuration.
        folder: the run folder.
        overrides: as typed, for the record.
        console: where tables go.

    Returns:
        Test F1 of the task that selected the checkpoint; None in a process that is not the first.
    """
    config = plain_config(cfg)
    sha = run_sha(cfg)
    folder.mkdir(parents=True, exist_ok=True)
    if rank() == 0:
        _clear(folder)
        text = OmegaConf.to_yaml(OmegaConf.create(redact(config)))
        write_atomically(folder / "config.yaml", text.encode())
        begin_attempt(folder, sha)
    try:
        with tracked(cfg, config, sha, overrides, folder) as tracking:
            result = _compute(cfg, folder, overrides, sha, tracking)
    except BaseException as error:
        cause, message = cause_of(error), message_of(error)
        if cause == PEER:  # what that process itself said is the reason
            silent = f"another process ended without a word, or did not answer in time: {message}"
            cause, message = failure_of_another(folder, rank()) or (cause, silent)
        with suppress(OSError):  # a full disk: the error itself is the news
            record_failure(folder, cause, message, traceback.format_exception(error), rank=rank())
        raise
    if result is None:
        return None
    show(result, console)
    console.print(f"Run folder: {folder}", soft_wrap=True, markup=False, highlight=False)
    return result.selected_f1


def _clear(folder: Path) -> None:
    named = (folder / name for name in ("result.json", "analysis.json"))
    for old in (*named, *folder.glob("failure*.json")):
        old.unlink(missing_ok=True)


def _compute(
    cfg: DictConfig, folder: Path, overrides: tuple[str, ...], sha: str, tracking: Tracking
) -> RunResult | None:
    began = time.perf_counter()
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    if cfg.trainer.num_threads is not None:
        torch.set_num_threads(cfg.trainer.num_threads)
    run = build_run(cfg)
    most = max(len(e.entities) for s in run.data.splits.values() for e in s.examples)
    check_data(cfg, most)
    resume = ExactResume()
    watching = [MatchingStability()] if cfg.callbacks.get("matching") else []
    trainer = build_trainer(
        _trainer_settings(cfg, run), folder, tracking.loggers, [resume, *watching]
    )
    if trainer.global_rank:  # dropout of its own, on the same initial weights
        torch.manual_seed(cfg.seed + trainer.global_rank * 2**32)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    identity = identity_of(cfg, run, trainer.world_size, trainer.strategy.root_device)
    resume.identity = identity
    fit = _train(cfg, run, trainer, folder, identity) if cfg.mode == "train" else _loaded(cfg, run)
    path = None if fit.checkpoint is None else str(fit.checkpoint)
    trainer.validate(run.module, run.data, ckpt_path=path, verbose=False, weights_only=True)
    if trainer.is_global_zero:
        write_predictions(folder / "predictions.dev.jsonl", run.module.predictions)
    trainer.test(run.module, run.data, ckpt_path=path, verbose=False, weights_only=True)
    if not trainer.is_global_zero:
        return None
    predictions = folder / "predictions.test.jsonl"
    write_predictions(predictions, run.module.predictions)
    store_analysis(run, folder, f"{cfg.model.name} seed {cfg.seed}")
    result = record(cfg, run, trainer, fit, identity.data, overrides, predictions, began)
    if cfg.mode == "train":
        store_curves(folder, saw_pixels=run.saw_pixels)
    result = replace(result, attempt=ended_attempt(folder, "done"))
    write_result(folder / "result.json", result)
    forget_previous(folder / "checkpoints")
    tracking.finished(run, result)
    return result


def _train(
    cfg: DictConfig, run: Run, trainer: lightning.Trainer, folder: Path, identity: Identity
) -> Fit:
    start = choose_start(cfg, folder / "checkpoints", identity)
    try:
        require_room(folder, checkpoint_bytes(run.module.model, run.module.learns))
    except NoRoom as full:
        raise InputError([str(full.strerror)]) from full
    path = None if start.checkpoint is None else str(start.checkpoint)
    trainer.fit(run.module, run.data, ckpt_path=path, weights_only=True)
    kept = trainer.checkpoint_callback
    assert isinstance(kept, Checkpoints)
    return Fit(
        checkpoint=kept.best,
        selection=Selection(
            rule=f"{run.module.select}_f1",
            split="dev",
            value=kept.score,
            epoch=kept.epoch,
        ),
        seconds=kept.seconds,
        earlier=kept.earlier,
        exact=start.exact,
        degraded=("disk",) if kept.io.missed else (),
        samples=len(run.data.splits["train"].examples) * trainer.current_epoch,
    )


def _loaded(cfg: DictConfig, run: Run) -> Fit:
    selection = Selection(rule=f"{run.module.select}_f1", split="dev", value=None, epoch=None)
    return Fit(checkpoint=Path(cfg.ckpt), selection=selection, seconds=0.0, samples=0)


def _trainer_settings(cfg: DictConfig, run: Run) -> TrainerSettings:
    blank = any(example.image is None for example in run.data.splits["train"].examples)
    return TrainerSettings(
        epochs=cfg.trainer.epochs,
        precision=cfg.trainer.precision,
        accelerator=cfg.trainer.accelerator,
        devices=_plain(cfg.trainer.devices),
        nodes=cfg.trainer.get("nodes", 1),
        idle_parts=cfg.optim.freeze_epochs > 0 or (blank and "pixels" in run.data.inputs),
        deterministic=cfg.trainer.deterministic,
        progress=cfg.callbacks.progress,
        patience=cfg.callbacks.patience,
        may_miss=cfg.trainer.get("may_miss_saves", 3),
        peer_timeout=cfg.trainer.get("peer_timeout", 120.0),
    )


def _plain(devices: Any) -> Any:
    return list(devices) if OmegaConf.is_list(devices) else devices
