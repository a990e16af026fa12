"""One run from checked configuration to result.json: train, choose on dev, test once, report."""

import json
import logging
import resource
import sys
import time
import traceback
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import lightning
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gmbench.build import Run, build_run
from gmbench.config import check_data
from gmbench.engine.parameters import parameters_by_part
from gmbench.engine.trainer import TrainerSettings, build_trainer
from gmbench.reporting.provenance import config_sha, git_state, library_versions, redact
from gmbench.reporting.results import (
    ConfigUsed,
    Cost,
    DataUsed,
    FloorFigures,
    Machine,
    Metrics,
    Part,
    ProtocolUsed,
    RunResult,
    Selection,
    StoredFile,
    read_result,
    write_result,
)
from gmbench.reporting.tables import run_table, type_table
from gmbench.scoring.atomic import write_atomically
from gmbench.scoring.counting import PROTOCOL, PROTOCOL_VERSION, CorpusScores, score_corpus
from gmbench.scoring.files import write_predictions
from gmbench.scoring.floors import Predictions, floors

log = logging.getLogger("gmbench")

VOLATILE = (
    "runs",
    "cache",
    "name",
    "mode",
    "ckpt",
    "force",
    "data.root",
    "callbacks.progress",
    "logger",
    "trainer.num_workers",
)
"""Keys that do not change what a run computes: two runs that differ only here are the same run."""


@dataclass(frozen=True)
class Fit:
    """What training left behind.

    Attributes:
        checkpoint: the chosen state, or None where nothing was trained.
        selection: how it was chosen.
        seconds: of training.
        samples: training examples seen.
    """

    checkpoint: Path | None
    selection: Selection
    seconds: float
    samples: int


def execute(cfg: DictConfig, folder: Path, overrides: tuple[str, ...], console: Console) -> float:
    """Run ``mode=train`` or ``mode=test`` and write the run folder.

    A folder that already holds the result of the same configuration is shown, not computed again,
    unless ``force=true``. A run that fails leaves ``failure.json`` with its cause.

    Args:
        cfg: the checked configuration.
        folder: the run folder.
        overrides: as typed, for the record.
        console: where tables go.

    Returns:
        Test F1 of the task that selected the checkpoint.
    """
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    sha = config_sha({str(k): v for k, v in config.items()}, VOLATILE)
    finished = None if cfg.force or cfg.mode == "test" else _finished(folder, sha)
    if finished is not None:
        console.print(f"Finished before, in {folder} (force=true computes it again).")
        _show(finished, console)
        return _value(finished)
    folder.mkdir(parents=True, exist_ok=True)
    for old in ("result.json", "failure.json"):
        (folder / old).unlink(missing_ok=True)
    text = OmegaConf.to_yaml(OmegaConf.create(redact(config)))
    write_atomically(folder / "config.yaml", text.encode())
    try:
        result = _compute(cfg, folder, overrides, sha, console)
    except BaseException as error:
        _record_failure(folder, error)
        raise
    _show(result, console)
    console.print(f"Run folder: {folder}")
    return _value(result)


def _compute(
    cfg: DictConfig, folder: Path, overrides: tuple[str, ...], sha: str, console: Console
) -> RunResult:
    began = time.perf_counter()
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    if cfg.trainer.num_threads is not None:
        torch.set_num_threads(cfg.trainer.num_threads)
    run = build_run(cfg)
    most = max(len(e.entities) for s in run.data.splits.values() for e in s.examples)
    check_data(cfg, most)
    trainer = build_trainer(_trainer_settings(cfg), folder, cfg.name)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    fit = _train(cfg, run, trainer, folder) if cfg.mode == "train" else _loaded(cfg, run)
    path = None if fit.checkpoint is None else str(fit.checkpoint)
    trainer.validate(run.module, run.data, ckpt_path=path, verbose=False, weights_only=True)
    write_predictions(folder / "predictions.dev.jsonl", run.module.predictions)
    trainer.test(run.module, run.data, ckpt_path=path, verbose=False, weights_only=True)
    predictions = folder / "predictions.test.jsonl"
    write_predictions(predictions, run.module.predictions)
    result = _result(cfg, run, trainer, fit, sha, overrides, predictions, began)
    write_result(folder / "result.json", result)
    return result


def _train(cfg: DictConfig, run: Run, trainer: lightning.Trainer, folder: Path) -> Fit:
    began = time.perf_counter()
    trainer.fit(run.module, run.data)
    seconds = time.perf_counter() - began
    best = folder / "checkpoints" / "best.ckpt"
    callback: Any = trainer.checkpoint_callback
    state = torch.load(best, map_location="cpu", weights_only=True)
    return Fit(
        checkpoint=best,
        selection=Selection(
            rule=f"{run.module.select}_f1",
            split="dev",
            value=float(callback.best_model_score),
            epoch=int(state["epoch"]),
        ),
        seconds=seconds,
        samples=len(run.data.splits["train"].examples) * trainer.current_epoch,
    )


def _loaded(cfg: DictConfig, run: Run) -> Fit:
    selection = Selection(rule=f"{run.module.select}_f1", split="dev", value=None, epoch=None)
    return Fit(checkpoint=Path(cfg.ckpt), selection=selection, seconds=0.0, samples=0)


def _trainer_settings(cfg: DictConfig) -> TrainerSettings:
    return TrainerSettings(
        epochs=cfg.trainer.epochs,
        precision=cfg.trainer.precision,
        accelerator=cfg.trainer.accelerator,
        devices=cfg.trainer.devices,
        deterministic=cfg.trainer.deterministic,
        progress=cfg.callbacks.progress,
        patience=cfg.callbacks.patience,
        logger=cfg.logger.name,
        project=cfg.logger.get("project", "gmbench"),
        mode=cfg.logger.get("mode", "offline"),
    )


def _result(
    cfg: DictConfig,
    run: Run,
    trainer: lightning.Trainer,
    fit: Fit,
    sha: str,
    overrides: tuple[str, ...],
    predictions: Path,
    began: float,
) -> RunResult:
    gold = run.data.gold("test")
    scores = score_corpus((gold[id_], found) for id_, found in run.module.predictions.items())
    test = run.data.splits["test"]
    return RunResult(
        protocol=ProtocolUsed(name=PROTOCOL, version=PROTOCOL_VERSION, iou_threshold=0.5),
        data=DataUsed(
            name=run.source.name,
            synthetic=run.source.synthetic,
            fingerprint=run.source.fingerprint(),
            split="test",
            n=len(test.examples),
            limit=run.source.limit,
            saw_pixels=run.saw_pixels,
            blanked=sum(example.image is None for example in test.examples),
        ),
        config=ConfigUsed(model=cfg.model.name, sha=sha, overrides=overrides, seed=cfg.seed),
        code=git_state(Path(__file__).parent),
        versions=library_versions(),
        machine=Machine(
            device=_device_name(trainer),
            processes=trainer.world_size,
            threads=torch.get_num_threads(),
            precision=str(trainer.precision),
        ),
        parameters=tuple(
            Part(name=p.name, total=p.total, trainable=p.trainable)
            for p in parameters_by_part(run.module.model, run.module.learns)
        ),
        cost=Cost(
            seconds=time.perf_counter() - began,
            peak_memory_mib=peak_memory_mib(),
            samples_per_second=fit.samples / fit.seconds if fit.seconds else None,
        ),
        selection=fit.selection,
        checkpoint=_stored(fit.checkpoint, predictions.parent),
        predictions=_stored(predictions, predictions.parent),
        metrics=Metrics.of(scores, saw_pixels=run.saw_pixels),
        floors=_floors(run),
    )


def _floors(run: Run) -> tuple[FloorFigures, ...]:
    """What needs no learning, on the same split."""
    gold = run.data.gold("test")
    train, test = (run.data.splits[name].examples for name in ("train", "test"))

    def scored(predictions: Predictions) -> CorpusScores:
        return score_corpus((gold[id_], found) for id_, found in predictions.items())

    return tuple(FloorFigures.of(f, scored(f.predictions)) for f in floors(train, test))


def _finished(folder: Path, sha: str) -> RunResult | None:
    """The valid result of the same configuration in ``folder``, if there is one."""
    path = folder / "result.json"
    if not path.is_file():
        return None
    try:
        result = read_result(path)
    except ValueError as fault:
        log.warning("%s; the run is computed again", fault)
        return None
    return result if result.config.sha == sha else None


def _record_failure(folder: Path, error: BaseException) -> None:
    record = {
        "cause": type(error).__name__,
        "message": str(error),
        "traceback": traceback.format_exception(error),
    }
    write_atomically(folder / "failure.json", json.dumps(redact(record), indent=2).encode())


def _stored(path: Path | None, folder: Path) -> StoredFile | None:
    if path is None:
        return None
    inside = path.resolve().is_relative_to(folder.resolve())
    shown = path.resolve().relative_to(folder.resolve()) if inside else Path(path.name)
    with path.open("rb") as file:
        digest = sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return StoredFile(path=shown.as_posix(), sha256=digest.hexdigest())


def peak_memory_mib() -> float:
    """Of the GPU where there is one, otherwise of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would take over the peak of the process that started this one
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    kilo = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilo


def _device_name(trainer: lightning.Trainer) -> str:
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _show(result: RunResult, console: Console) -> None:
    console.print(run_table(result))
    console.print(type_table(result))


def _value(result: RunResult) -> float:
    figures = result.metrics.gmner or result.metrics.mner
    return figures.f1
