"""A mirror of one run on W&B that can neither stop nor slow it: local files are the truth.

W&B is spoken to in a thread of its own, behind a bounded queue. Whatever goes wrong there is said
once, on the log, and then forgotten. Neither the command line nor the environment, the code or the
repository's remote is handed over; the configuration loses its credentials first.
"""

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from gmbench.core.entities import Box, Entity, Example, Prediction
from gmbench.core.provenance import redact
from gmbench.data.images import open_image
from gmbench.reporting.formats import board_report
from gmbench.reporting.leaderboard import Board
from gmbench.reporting.overlays import EXAMPLES
from gmbench.reporting.record import RunResult, TaskFigures
from gmbench.scoring.counting import score_document

log = logging.getLogger("gmbench")

Mode = Literal["offline", "online"]
Action = Callable[[Any], None]
"""What is to be done with a ``wandb.Run``."""

STEP = "step"
"""The axis of all curves: optimiser steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSettings:
    """How a run is to appear on W&B.

    Attributes:
        project: of W&B; who owns it is ``WANDB_ENTITY``'s business.
        run_id: two runs with one id are one run, and the later sync replaces the earlier; None
            where a sweep hands out ids.
        name, group, job_type, tags: how it is shown and found.
        mode: ``offline`` writes ``wandb/`` in the run folder for ``wandb sync``.
    """

    project: str
    run_id: str | None
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...] = ()
    mode: Mode = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that W&B gets; the training waits for none of them but the last.

    Attributes:
        start: for a server to answer at the start, before the mirror goes offline.
        local: for W&B's own process on this machine to begin.
        end: to take what is still queued, once the run itself is over.
        queued: points of curves that may wait; more are left out and counted.
    """

    start: float = 15.0
    local: float = 60.0
    end: float = 30.0
    queued: int = 10_000


class WandbMirror:
    """Takes what a run has to show and passes it on; nothing here ever raises."""

    def __init__(
        self,
        *,
        settings: MirrorSettings,
        config: Mapping[str, Any],
        folder: Path,
        patience: Patience | None = None,
    ) -> None:
        """Start the thread.

        Args:
            settings: how the run appears.
            config: plain containers; credentials are hidden here.
            folder: gets the folder ``wandb``.
            patience: with W&B.
        """
        self._settings = settings
        self._config = redact(dict(config))
        self._folder = folder
        self._patience = patience or Patience()
        self._queue: queue.Queue[Action | None] = queue.Queue(self._patience.queued)
        self._lost = 0
        self._said = False
        self._exit_code = 0
        self._closed = False
        self._data_dir_was_unset = "WANDB_DATA_DIR" not in os.environ
        if self._data_dir_was_unset:  # what waits for a sync lies with the run, not in the home
            os.environ["WANDB_DATA_DIR"] = str(folder / "wandb")
        # Imported here and not in the thread: workers of a loader may be forked at any time.
        module = self._imported()
        self._thread = threading.Thread(
            target=self._work, args=(module,), name="wandb-mirror", daemon=True
        )
        self._thread.start()

    def log(self, values: Mapping[str, float], step: int) -> None:
        """One point of each curve; left out, and counted, where too many wait already."""
        point = {**values, STEP: step}
        try:
            self._queue.put_nowait(lambda run: run.log(point))
        except queue.Full:
            self._lost += 1

    def send(self, action: Action) -> None:
        """Have ``action`` done with the run; one that fails is said, not raised."""
        try:
            self._queue.put(action, timeout=self._patience.end / 6)
        except queue.Full:
            self._lost += 1

    def close(self, exit_code: int = 0) -> None:
        """Finish the run on W&B, whatever the state, within the patience for that."""
        if self._closed:
            return
        self._closed = True
        self._exit_code = exit_code
        deadline = time.monotonic() + self._patience.end
        self._put_last()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._say(f"did not finish within {self._patience.end:g} s and is left alone")
        elif self._lost:
            self._say(f"was too slow: {self._lost} points or tables are not in the mirror")
        if self._data_dir_was_unset:
            os.environ.pop("WANDB_DATA_DIR", None)

    def _work(self, wandb: Any) -> None:
        run = None if wandb is None else self._begin(wandb)
        while (action := self._queue.get()) is not None:
            if run is not None:
                self._try(action, run, "failed")
        if run is not None:
            self._try(lambda run: run.finish(exit_code=self._exit_code), run, "did not finish")
            # finish() may return before everything is in the file; the end of W&B's process is that
            self._try(lambda module: module.teardown(), wandb, "did not finish")

    def _put_last(self) -> None:
        """The word to end, in place of what waits if there is no room for it."""
        try:
            self._queue.put(None, timeout=self._patience.end / 6)
        except queue.Full:
            while not self._queue.empty():
                with contextlib.suppress(queue.Empty):
                    self._queue.get_nowait()
                    self._lost += 1
            self._queue.put_nowait(None)

    def _imported(self) -> Any:
        # Otherwise W&B reports its own errors to its makers, offline runs included.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        try:
            import wandb
        except Exception as fault:  # absent, or at odds with another package
            self._say(f"is not there ({_line(fault)}); pip install wandb")
            return None
        return wandb

    def _begin(self, wandb: Any) -> Any:
        modes: tuple[Mode, ...] = ("offline",)
        if self._settings.mode == "online":
            modes = ("online", "offline")
        for mode in modes:
            try:
                return self._init(wandb, mode)
            except (Exception, SystemExit) as fault:
                then = "; this run is mirrored offline, see wandb sync" if mode == "online" else ""
                self._say(f"does not start {mode} ({_line(fault)}){then}")
            if mode == "online":  # its service still holds the id for the run that never began
                self._try(lambda module: module.teardown(), wandb, "does not let go")
        return None

    def _init(self, wandb: Any, mode: Mode) -> Any:
        settings = self._settings
        wanted = {
            "console": "off",
            "disable_git": True,
            "finish_timeout": self._patience.end * 0.8,
            "init_timeout": self._patience.start if mode == "online" else self._patience.local,
            "save_code": False,
            "silent": True,
            "x_disable_machine_info": True,
            "x_disable_meta": True,  # it would hold the command line and the repository's remote
            "x_disable_stats": mode == "offline",
            "x_save_requirements": False,
            "x_service_wait": self._patience.local,
        }
        known = wandb.Settings.model_fields
        run = wandb.init(
            dir=str(self._folder),
            project=settings.project,
            id=settings.run_id,
            name=settings.name,
            group=settings.group,
            job_type=settings.job_type,
            tags=list(settings.tags),
            mode=mode,
            config=self._config,
            reinit="create_new",
            settings=wandb.Settings(**{k: v for k, v in wanted.items() if k in known}),
        )
        run.define_metric(STEP, hidden=True)
        run.define_metric("*", step_metric=STEP)
        if mode == "online":
            log.info("W&B: %s", run.url)
        return run

    def _try(self, act: Action, run: Any, fault_is: str) -> None:
        try:
            act(run)
        except (Exception, SystemExit) as fault:
            self._say(f"{fault_is} ({_line(fault)})")

    def _say(self, what: str) -> None:
        """The first trouble of a run; those that follow are for whoever looks for them."""
        level = logging.DEBUG if self._said else logging.WARNING
        self._said = True
        log.log(level, "W&B %s; the run itself is not touched, its folder is complete", what)


def _line(fault: BaseException) -> str:
    text = " ".join(str(fault).split()) or type(fault).__name__
    return str(redact(text))[:200]


# What a finished run shows on W&B: figures with counts, examples with boxes, pictures, the model.
# Each function here makes an action for `WandbMirror.send`: it is carried out in the mirror's
# thread, and what fails there is said, never raised.
SIDE = 512
"""Pixels of the longer side of a picture in the table; its boxes are told as shares of it."""

COLUMNS = ("id", "words", "image", "gold", "predicted", "right", "of gold", "of predicted")


def summary_of(result: RunResult) -> dict[str, Any]:
    """The final figures of a run with their counts, flat, as W&B compares runs by them."""
    data, metrics = result.data, result.metrics
    found: dict[str, Any] = {
        "status": "done",
        "config_sha": result.config.sha,
        "protocol": f"{result.protocol.name} {result.protocol.version}",
        "data/name": data.name,
        "data/fingerprint": data.fingerprint,
        "data/split": data.split,
        "data/n": data.n,
        "data/limit": data.limit,
        "data/saw_pixels": data.saw_pixels,
        "data/blanked": data.blanked,
        "code/commit": result.code.commit,
        "code/dirty": result.code.dirty,
        "device": result.machine.device,
        "parameters": sum(part.total for part in result.parameters),
        "parameters/trained": sum(part.trainable for part in result.parameters),
        "seconds": result.cost.seconds,
        "peak_memory_mib": result.cost.peak_memory_mib,
        "samples_per_second": result.cost.samples_per_second,
        "best/rule": f"{result.selection.split} {result.selection.rule}",
        "best/value": result.selection.value,
        "best/epoch": result.selection.epoch,
    }
    for task in ("gmner", "mner", "eeg"):
        found |= _figures(f"{data.split}/{task}", getattr(metrics, task))
    for name, row in metrics.per_type.items():
        found |= _figures(f"{data.split}/{name}/gmner", row.gmner)
        found |= _figures(f"{data.split}/{name}/mner", row.mner)
    return {key: value for key, value in found.items() if value is not None}


def _figures(prefix: str, figures: TaskFigures | None) -> dict[str, float]:
    if figures is None:
        return {}
    names = ("tp", "pred", "gold", "precision", "recall", "f1")
    return {f"{prefix}_{name}": getattr(figures, name) for name in names}


def show_summary(values: Mapping[str, Any]) -> Action:
    """These values as the run's summary."""
    return lambda run: run.summary.update(dict(values))


def show_examples(
    examples: Sequence[Example], predictions: Mapping[str, Sequence[Prediction]], most: int
) -> Action:
    """A table of at most ``most`` examples, evenly spread over the split, none of them chosen.

    Each with its words, its image with gold and predicted boxes, both lists of entities, and how
    many of the predicted quadruples are right.
    """

    def act(run: Any) -> None:
        import wandb

        step = max(1, -(-len(examples) // most))
        shown = [e for e in examples[::step] if e.id in predictions]
        types = {entity.type for e in shown for entity in e.entities}
        types |= {found.type for e in shown for found in predictions[e.id]}
        classes = {name: number for number, name in enumerate(sorted(types), start=1)}
        table = wandb.Table(columns=list(COLUMNS))
        for example in shown:
            found = predictions[example.id]
            counts = score_document(example.entities, found).gmner
            table.add_data(
                example.id,
                " ".join(example.words),
                _image(wandb, example, found, classes),
                _gold_text(example),
                _found_text(example, found),
                counts.tp,
                counts.gold,
                counts.pred,
            )
        run.log({"examples": table})

    return act


def _image(
    wandb: Any, example: Example, found: Sequence[Prediction], classes: Mapping[str, int]
) -> Any:
    if example.image is None:
        return None
    picture = open_image(example.image, example.size)
    width, height = example.size or picture.size
    labels = {number: name for name, number in classes.items()}

    def boxes(rows: Sequence[tuple[Entity | Prediction, Box]]) -> dict[str, Any]:
        return {
            "box_data": [
                {
                    "position": {
                        "minX": box[0] / width,
                        "minY": box[1] / height,
                        "maxX": box[2] / width,
                        "maxY": box[3] / height,
                    },
                    "class_id": classes[row.type],
                    "box_caption": f"{_words(example, row)} ({row.type})",
                    "scores": {"score": row.score} if isinstance(row, Prediction) else {},
                }
                for row, box in rows
            ],
            "class_labels": labels,
        }

    picture.thumbnail((SIDE, SIDE))
    return wandb.Image(
        picture,
        boxes={
            "gold": boxes([(e, box) for e in example.entities for box in e.boxes]),
            "predicted": boxes([(p, p.box) for p in found if p.box is not None]),
        },
    )


def _gold_text(example: Example) -> str:
    lines = [
        f"{_words(example, e)} ({e.type}){'' if e.boxes else ', not in the image'}"
        for e in example.entities
    ]
    return "\n".join(lines)


def _found_text(example: Example, found: Sequence[Prediction]) -> str:
    lines = [
        f"{_words(example, p)} ({p.type}) {p.score:.2f}{'' if p.box else ', not in the image'}"
        for p in found
    ]
    return "\n".join(lines)


def _words(example: Example, row: Entity | Prediction) -> str:
    return " ".join(example.words[row.start : row.end + 1])


def show_pictures(folder: Path) -> Action:
    """Every picture of the analysis, by its name; none that shows tweets, which are a choice."""

    def act(run: Any) -> None:
        import wandb

        pictures = sorted(path for path in folder.glob("*.png") if path.name != EXAMPLES)
        if pictures:
            run.log({f"analysis/{path.stem}": wandb.Image(str(path)) for path in pictures})

    return act


def show_model(name: str, files: Sequence[Path], metadata: Mapping[str, Any]) -> Action:
    """The run's files as a versioned artifact of type ``model``; referred to, not copied."""

    def act(run: Any) -> None:
        import wandb

        artifact = wandb.Artifact(name, type="model", metadata=dict(metadata))
        for path in files:
            artifact.add_file(str(path), policy="immutable", skip_cache=True)
        run.log_artifact(artifact)

    return act


# A leaderboard on W&B: a table and an artifact in a run of its own.
FILES = {"leaderboard.md": "md", "leaderboard.csv": "csv", "leaderboard.json": "json"}


def mirror_board(
    board: Board, folders: Sequence[Path], *, by: str, metric: str, project: str, mode: Mode
) -> Path:
    """Log a board; what fails is said, never raised.

    Args:
        board: to be logged.
        folders: whose runs it ranks; the same ones, ranked alike, are the same run on W&B.
        by: what makes a row, as typed.
        metric: that ranks.
        project: of W&B.
        mode: ``offline`` writes below the first folder only.

    Returns:
        The folder with W&B's files.
    """
    places = sorted({str(folder.resolve()) for folder in folders})
    first = folders[0]
    identity = "|".join((*places, by, metric))
    settings = MirrorSettings(
        project=project,
        run_id=sha256(identity.encode()).hexdigest()[:16],
        name=f"leaderboard {first.name}",
        group="leaderboard",
        job_type="report",
        tags=tuple(
            dict.fromkeys(r.entries[0].result.data.name for g in board.leagues for r in g.rows)
        ),
        mode=mode,
    )
    config = {"runs": [place.rpartition("/")[2] for place in places], "by": by, "metric": metric}
    mirror = WandbMirror(settings=settings, config=config, folder=first)
    mirror.send(lambda run: _show(run, board))
    mirror.close()
    return first / "wandb"


def _show(run: Any, board: Board) -> None:
    import wandb

    report = board_report(board)
    rows = [redact(row) for row in report.records.records()]
    table = wandb.Table(columns=list(rows[0]))
    for row in rows:
        table.add_data(*row.values())
    run.log({"leaderboard": table})
    artifact = wandb.Artifact("leaderboard", type="leaderboard")
    for name, form in FILES.items():
        with artifact.new_file(name, mode="w", encoding="utf-8") as file:
            file.write(str(redact(report.text(form))))
    run.log_artifact(artifact)
    run.summary.update({"leagues": len(board.leagues), "rows": len(rows)})
