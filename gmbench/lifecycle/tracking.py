"""A run and what watches it: loggers while it trains, its results when it ends, however it ends."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from gmbench.core.provenance import redact
from gmbench.lifecycle.build import Run
from gmbench.lifecycle.record import PICTURES
from gmbench.reporting.leaderboard import of_the_method
from gmbench.reporting.record import RunResult
from gmbench.reporting.wandb import (
    MirrorSettings,
    WandbMirror,
    show_examples,
    show_model,
    show_pictures,
    show_summary,
    summary_of,
)
from gmbench.training.loggers import build_loggers


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """What watches one run.

    Attributes:
        loggers: for the trainer.
        mirror: on W&B, where one was asked for.
        folder: the run folder.
        examples: so many at most in the mirror's table.
        model: whether the chosen checkpoint becomes an artifact.
    """

    loggers: list[Logger]
    mirror: WandbMirror | None
    folder: Path
    examples: int
    model: bool

    def finished(self, run: Run, result: RunResult) -> None:
        """Show the results of a run whose files are all written.

        Args:
            run: its built parts, with the test predictions in the module.
            result: as written.
        """
        if self.mirror is None:
            return
        self.mirror.send(show_summary(summary_of(result)))
        self.mirror.send(show_pictures(self.folder / PICTURES))
        if self.examples:
            found = dict(run.module.predictions)
            test = run.data.splits["test"].examples
            self.mirror.send(show_examples(test, found, self.examples))
        if self.model and result.checkpoint is not None:
            files = (self.folder / result.checkpoint.path, self.folder / "config.yaml")
            about = {"config_sha": result.config.sha, "sha256": result.checkpoint.sha256}
            self.mirror.send(show_model(f"{result.config.model}-{result.data.name}", files, about))


@contextmanager
def tracked(
    cfg: DictConfig, config: Mapping[str, Any], sha: str, overrides: tuple[str, ...], folder: Path
) -> Iterator[Tracking]:
    """Loggers as ``cfg.logger`` asks for them, and an end for the mirror also when the run fails.

    Args:
        cfg: the checked configuration.
        config: the same in plain containers.
        sha: that stands for it.
        overrides: as typed.
        folder: the run folder.
    """
    mirror = None
    if cfg.logger.name == "wandb":
        settings = mirror_settings(cfg, sha, overrides, os.environ)
        only_first = rank_zero_only(WandbMirror)  # None on every other process
        mirror = only_first(settings=settings, config=config, folder=folder)
    try:
        yield Tracking(
            loggers=build_loggers(
                folder, tensorboard=cfg.logger.name == "tensorboard", taker=mirror
            ),
            mirror=mirror,
            folder=folder,
            examples=cfg.logger.get("examples", 0),
            model=cfg.logger.get("model", False),
        )
    except BaseException as error:
        if mirror is not None:
            cause = redact(f"{type(error).__name__}: {error}")
            mirror.send(show_summary({"status": "failed", "cause": cause}))
            mirror.close(exit_code=1)
        raise
    if mirror is not None:
        mirror.close()


def mirror_settings(
    cfg: DictConfig, sha: str, overrides: tuple[str, ...], environ: Mapping[str, str]
) -> MirrorSettings:
    """How the run appears on W&B; its id follows from what it computes.

    Args:
        cfg: the checked configuration.
        sha: that stands for it.
        overrides: as typed.
        environ: of the process; inside a sweep, W&B has chosen the id.
    """
    identity = sha
    if cfg.mode != "train":  # the test of some checkpoint is not the run that trained it
        identity = sha256(f"{sha} {cfg.mode} {cfg.ckpt}".encode()).hexdigest()
    method = of_the_method(overrides)
    return MirrorSettings(
        project=cfg.logger.project,
        run_id=None if environ.get("WANDB_SWEEP_ID") else identity[:16],
        name=" ".join((cfg.model.name, cfg.data.name, *redact(method), f"seed={cfg.seed}"))[:128],
        group=cfg.name,
        job_type=cfg.mode,
        tags=tuple(
            dict.fromkeys((cfg.model.name, cfg.data.name, cfg.encoders.name, *cfg.logger.tags))
        ),
        mode=cfg.logger.mode,
    )
