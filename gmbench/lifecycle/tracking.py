"""A run and what watches it: loggers while it trains, its results when it ends, however it ends."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from gmbench.config import schema
from gmbench.config.identity import run_sha
from gmbench.config.schema import Settings
from gmbench.core.provenance import redact
from gmbench.data.fingerprint import Fingerprint
from gmbench.lifecycle.build import Run
from gmbench.lifecycle.record import PICTURES
from gmbench.reporting.formats import flat_figures
from gmbench.reporting.leaderboard import of_the_method
from gmbench.reporting.overlays import EXAMPLES
from gmbench.reporting.record import RunResult
from gmbench.reporting.wandb import WandbMirror, show_examples, show_model, show_pictures
from gmbench.training.loggers import build_loggers


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """What watches one run.

    Attributes:
        loggers: for the trainer.
        mirror: on W&B, where one was asked for.
        folder: the run folder.
        settings: ``logger`` of the run.
    """

    loggers: list[Logger]
    mirror: WandbMirror | None
    folder: Path
    settings: schema.Logger

    @property
    def unsynced(self) -> Path | None:
        """The folder of a closed mirror that ``wandb sync`` takes."""
        return None if self.mirror is None else self.mirror.offline

    def finished(self, run: Run, result: RunResult) -> None:
        """Show the results of a run whose files are all written.

        Args:
            run: its built parts, with the test predictions in the module.
            result: as written.
        """
        pictures = sorted((self.folder / PICTURES).glob("*.png"))
        if not self.settings.examples:
            pictures = [path for path in pictures if path.name != EXAMPLES]
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                for path in pictures:
                    pixels = np.asarray(Image.open(path).convert("RGB"))
                    logger.experiment.add_image(
                        f"{PICTURES}/{path.stem}", pixels, dataformats="HWC"
                    )
                logger.finalize("success")
        if self.mirror is None:
            return
        self.mirror.send(lambda wandb_run: wandb_run.summary.update(flat_figures(result)))
        if pictures:
            self.mirror.send(show_pictures, pictures)
        if self.settings.examples:
            found = dict(run.module.predictions)
            test = run.data.splits["test"].examples
            self.mirror.send(show_examples, test, found, self.settings.examples)
        if self.settings.model and result.checkpoint is not None:
            files = (self.folder / result.checkpoint.path, self.folder / "config.yaml")
            about = {"config_sha": result.config.sha, "sha256": result.checkpoint.sha256}
            self.mirror.send(show_model, f"{result.config.model}-{result.data.name}", files, about)


@contextmanager
def tracked(
    settings: Settings, folder: Path, overrides: tuple[str, ...], data: Fingerprint
) -> Iterator[Tracking]:
    """The loggers of a run, and an end for its mirror also when the run fails.

    Args:
        settings: of the run.
        folder: the run folder.
        overrides: as typed.
        data: fingerprint of what it reads.
    """
    logger, mirror = settings.logger, None
    if logger.name == "wandb":
        only_first = rank_zero_only(WandbMirror)  # None on every other process
        mirror = only_first(
            init=wandb_arguments(settings, overrides, data, os.environ),
            config=settings.tree,
            folder=folder,
        )
    try:
        yield Tracking(
            loggers=build_loggers(
                folder,
                tensorboard=logger.name == "tensorboard",
                mirror=mirror if mirror is not None and mirror.wandb is not None else None,
            ),
            mirror=mirror,
            folder=folder,
            settings=logger,
        )
    except BaseException as error:
        if mirror is not None:
            cause = redact(f"{type(error).__name__}: {error}")
            failed = {"status": "failed", "cause": cause}
            mirror.send(lambda wandb_run: wandb_run.summary.update(failed))
            mirror.close(exit_code=1)
        raise
    if mirror is not None:
        mirror.close()


def wandb_arguments(
    settings: Settings, overrides: tuple[str, ...], read: Fingerprint, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Arguments of ``wandb.init``: how the run appears; its id follows from what it computes.

    Args:
        settings: of the run.
        overrides: as typed.
        read: fingerprint of its data.
        environ: of the process; inside a sweep, W&B has chosen the id.
    """
    model, data = settings.model.name, str(settings.data["name"])
    computes = [run_sha(settings.tree), read.data, read.candidates]
    if settings.mode != "train":  # the test of some checkpoint is not the run that trained it
        computes += [settings.mode, settings.ckpt]
    identity = sha256(" ".join(map(str, computes)).encode()).hexdigest()
    method = redact(of_the_method(overrides))
    return {
        "project": settings.logger.project,
        "id": None if environ.get("WANDB_SWEEP_ID") else identity[:16],
        "name": " ".join((model, data, *method, f"seed={settings.seed}"))[:128],
        "group": settings.name,
        "job_type": settings.mode,
        "tags": list(dict.fromkeys((model, data, settings.encoders.name, *settings.logger.tags))),
        "mode": settings.logger.mode,
    }
