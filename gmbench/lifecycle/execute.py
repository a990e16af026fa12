"""One run from its settings to result.json: build, fit, choose on dev, test once, record, show."""

import multiprocessing
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import lightning
import torch
from omegaconf import OmegaConf
from rich.console import Console

from gmbench.config.identity import run_sha
from gmbench.config.schema import Settings
from gmbench.core.command_line import stopped_by
from gmbench.core.distributed import rank
from gmbench.core.files import sweep, write_atomically
from gmbench.core.provenance import redact
from gmbench.core.spent import Spent
from gmbench.lifecycle.attempts import begin_attempt, failure_of_another, record_failure
from gmbench.lifecycle.build import Run, build_run
from gmbench.lifecycle.record import Fit, record
from gmbench.lifecycle.screen import closing, say
from gmbench.lifecycle.start import AUTO, choose_start, identity_of
from gmbench.lifecycle.tracking import tracked
from gmbench.reporting.tables import show
from gmbench.scoring.files import write_predictions
from gmbench.training.checkpoints import checkpoint_bytes, require_room
from gmbench.training.failures import PEER, cause_of, message_of
from gmbench.training.matching_stability import MatchingStability
from gmbench.training.resume import ExactResume
from gmbench.training.trainer import build_trainer


def execute(
    settings: Settings, folder: Path, overrides: tuple[str, ...], console: Console
) -> float | None:
    """Run ``mode=train`` or ``mode=test`` and write the run folder.

    A run that fails leaves ``failure.json`` with its cause. Of several processes the first writes,
    except for the failures of the others: ``failure.rank1.json``.

    Args:
        settings: of the run, checked.
        folder: the run folder.
        overrides: as typed, for the record.
        console: where tables go.

    Returns:
        Test F1 of the task that selected the checkpoint; None in a process that is not the first.
    """
    with _attempt(settings, folder), ExitStack() as until_tested:
        began = Spent.now()
        lightning.seed_everything(settings.seed, workers=True, verbose=False)
        if settings.trainer.num_threads is not None:
            torch.set_num_threads(settings.trainer.num_threads)
        run = build_run(settings)
        tracking = until_tested.enter_context(tracked(settings, folder, overrides, run.fingerprint))
        resume = ExactResume()
        watching = [MatchingStability()] if settings.callbacks.matching else []
        trainer = build_trainer(
            settings,
            folder,
            tracking.loggers,
            [resume, *watching],
            idle_parts=_has_idle_parts(settings, run),
        )
        _settle(trainer, settings.seed)
        identity = identity_of(settings, run, trainer.world_size, trainer.strategy.root_device)
        resume.identity = identity
        if settings.mode == "train":
            start = choose_start(settings, folder / "checkpoints", identity)
            require_room(folder, checkpoint_bytes(run.module.model, run.module.learns))
            trainer.fit(run.module, run.data, ckpt_path=start.path, weights_only=True)
            fit = Fit.of(trainer, run, exact=start.exact)
        else:
            fit = Fit.loaded(Path(str(settings.ckpt)), run)
        for evaluate, split in ((trainer.validate, "dev"), (trainer.test, "test")):
            evaluate(run.module, run.data, ckpt_path=fit.path, verbose=False, weights_only=True)
            if trainer.is_global_zero:
                write_predictions(folder / f"predictions.{split}.jsonl", run.module.predictions)
        if not trainer.is_global_zero:
            return None
        result = record(settings, run, trainer, fit, folder, overrides, began)
        tracking.finished(run, result)
    show(result, console)
    say(console, closing(folder, Path(settings.tree["runs"]), tracking.unsynced))
    return result.selected_f1


@contextmanager
def _attempt(settings: Settings, folder: Path) -> Iterator[None]:
    """Open the run folder for a new attempt; if it fails, write down why."""
    folder.mkdir(parents=True, exist_ok=True)
    if rank() == 0:
        sweep(folder)
        named = (folder / name for name in ("result.json", "analysis.json"))
        for old in (*named, *folder.glob("failure*.json")):
            old.unlink(missing_ok=True)
        text = OmegaConf.to_yaml(OmegaConf.create(redact(settings.tree)))
        write_atomically(folder / "config.yaml", text.encode())
        begin_attempt(folder, run_sha(settings.tree))
    try:
        yield
    except BaseException as error:
        if (stopped := stopped_by(error)) is not None:
            kept = settings.resume == AUTO and (folder / "checkpoints" / "last.ckpt").is_file()
            stopped.add_note(f"the same command {'goes on' if kept else 'begins anew'}")
            error = stopped
        cause, message = cause_of(error), message_of(error)
        if cause == PEER:  # the reason is what that process itself wrote down
            silent = f"another process ended silently, or did not answer in time: {message}"
            cause, message = failure_of_another(folder, rank()) or (cause, silent)
        with suppress(OSError):  # a full disk: the error itself is the news
            record_failure(folder, cause, message, traceback.format_exception(error), rank=rank())
        raise
    finally:
        for worker in multiprocessing.active_children():
            worker.kill()  # Python would wait for ever for a stopped one


def _settle(trainer: lightning.Trainer, seed: int) -> None:
    """Give each process random numbers of its own, on the same initial weights."""
    if trainer.global_rank:
        torch.manual_seed(seed + trainer.global_rank * 2**32)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _has_idle_parts(settings: Settings, run: Run) -> bool:
    """Whether a step may leave parts of the model without gradient."""
    blank = any(example.image is None for example in run.data.splits["train"].examples)
    return settings.optim.freeze_epochs > 0 or (blank and "pixels" in run.data.inputs)
