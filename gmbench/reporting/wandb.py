"""A mirror on W&B that can neither stop nor slow a run: local files are the truth.

Lightning's ``WandbLogger`` alone cannot promise that. It calls ``wandb.init`` and ``run.log`` in
the thread that trains: a server that hangs holds up the first step, and a killed W&B process
raises in the middle of an epoch. So ``WandbLogger(experiment=mirror)`` gets a ``WandbMirror`` in
place of a ``wandb.Run``: a queue that a thread of its own empties. The first problem is logged as a
warning, later ones as debug messages. Neither the command line nor the environment, the code or
the repository's remote is sent; the configuration loses its credentials first.
"""

import atexit
import logging
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from gmbench.core.entities import Box, Entity, Example, Prediction
from gmbench.core.errors import first_line
from gmbench.core.provenance import redact
from gmbench.data.images import open_image
from gmbench.reporting.formats import board_report
from gmbench.reporting.leaderboard import Board
from gmbench.scoring.counting import score_document

log = logging.getLogger("gmbench")

Predictions = Mapping[str, Sequence[Prediction]]
_TEMPORARIES: list[Path] = []
"""Folders that W&B keeps for as long as this process lasts."""
STEP = "step"  # the axis of all curves: optimiser steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that W&B gets; training waits for none of them but the last."""

    start: float = 15.0  # for a server to answer, before the mirror goes offline
    local: float = 60.0  # for W&B's own process on this machine to begin
    end: float = 30.0  # to take what is still queued, once the run itself is over
    queued: int = 10_000  # not seconds: points of curves; more are left out and counted


class WandbMirror:
    """The part of a ``wandb.Run`` that a logger uses, behind a queue; nothing here ever raises.

    Args:
        init: arguments of ``wandb.init``, with ``mode`` and ``id``. Two runs with one id are one
            run: the later sync replaces the earlier.
        config: plain containers; credentials are hidden here.
        folder: gets the folder ``wandb``, for ``wandb sync`` if the mode is ``offline``.
        patience: time limits.

    Attributes:
        offline: the folder that ``wandb sync`` takes, once an offline mirror has begun.
    """

    def __init__(
        self,
        *,
        init: Mapping[str, Any],
        config: Mapping[str, Any],
        folder: Path,
        patience: Patience | None = None,
    ) -> None:
        self.id = init["id"]
        self.offline: Path | None = None
        self._init = {**init, "config": redact(dict(config)), "dir": str(folder)}
        self._patience = patience or Patience()
        self._queue: SimpleQueue[Callable[[Any], None] | None] = SimpleQueue()
        self._deadline = math.inf  # actions that are still queued then are left out
        self._lost = self._exit_code = 0
        self._warned = False
        # Otherwise W&B reports its own errors to its makers, offline runs included.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._data_dir_was_unset = "WANDB_DATA_DIR" not in os.environ
        if self._data_dir_was_unset:  # what waits for a sync lies with the run, not in the home
            os.environ["WANDB_DATA_DIR"] = str(folder / "wandb")
        # Imported here and not in the thread: workers of a loader may be forked at any time.
        self.wandb: Any = None
        try:
            self.wandb = _imported(folder)
        except Exception as fault:  # absent, or at odds with another package
            self._warn(f"is not there ({_line(fault)}); pip install wandb")
        self._thread = Thread(target=self._work, name="wandb-mirror", daemon=True)
        self._thread.start()

    def log(self, values: Mapping[str, float]) -> None:
        """Queue one point of each curve; if too many wait, leave it out and count it."""
        if self._queue.qsize() >= self._patience.queued:
            self._lost += 1
            return
        # WandbLogger has a name of its own for the axis.
        point = {STEP if name == "trainer/global_step" else name: v for name, v in values.items()}
        self._queue.put(lambda run: run.log(point))

    def send(self, action: Callable[..., None], *arguments: Any) -> None:
        """Queue ``action(run, *arguments)``; if it fails, that is logged, not raised."""
        self._queue.put(lambda run: action(run, *arguments))

    def close(self, exit_code: int = 0) -> None:
        """Finish the run on W&B within ``Patience.end``, whatever its state."""
        if self._deadline < math.inf:
            return
        self._exit_code = exit_code
        self._deadline = time.monotonic() + self._patience.end / 2
        self._queue.put(None)
        self._thread.join(self._patience.end)
        if self._thread.is_alive():
            self._warn(f"did not finish within {self._patience.end:g} s and is left alone")
        elif self._lost:
            self._warn(f"was too slow: {self._lost} points or tables are not in the mirror")
        if self._data_dir_was_unset:
            os.environ.pop("WANDB_DATA_DIR", None)

    def _work(self) -> None:
        run = None if self.wandb is None else self._begin()
        while (action := self._queue.get()) is not None:
            if time.monotonic() > self._deadline:
                self._lost += 1
            elif run is not None:
                self._try("failed", partial(action, run))
        if run is not None:
            self._try("did not finish", partial(run.finish, exit_code=self._exit_code))
            # finish() may return before everything is in the file; the end of W&B's process is that
            self._try("did not finish", self.wandb.teardown)

    def _begin(self) -> Any:
        """The run; offline if no server answers, None if W&B does not start at all."""
        known = self.wandb.Settings.model_fields  # they differ between versions
        for mode in dict.fromkeys((self._init["mode"], "offline")):
            online = mode == "online"
            settings = {
                "console": "off",
                "disable_git": True,
                "finish_timeout": self._patience.end * 0.8,
                "init_timeout": self._patience.start if online else self._patience.local,
                "save_code": False,
                "silent": True,
                "x_disable_machine_info": True,
                "x_disable_meta": True,  # it holds the command line and the repository's remote
                "x_disable_stats": not online,
                "x_save_requirements": False,
                "x_service_wait": self._patience.local,
            }
            kept = {name: value for name, value in settings.items() if name in known}
            try:
                own = {"mode": mode, "settings": self.wandb.Settings(**kept)}
                run = self.wandb.init(**self._init | own, reinit="create_new")
                run.define_metric(STEP, hidden=True)
                run.define_metric("*", step_metric=STEP)
            except (Exception, SystemExit) as fault:
                instead = "; mirrored offline, see wandb sync" if online else ""
                self._warn(f"does not start {mode} ({_line(fault)}){instead}")
                # Its service still holds the id for the run that never began.
                self._try("does not let go", self.wandb.teardown)
            else:
                if online:
                    log.info("W&B: %s", run.url)
                else:
                    self.offline = Path(run.settings.sync_dir)
                return run
        return None

    def _try(self, fault_is: str, act: Callable[[], object]) -> None:
        try:
            act()
        except (Exception, SystemExit) as fault:
            self._warn(f"{fault_is} ({_line(fault)})")

    def _warn(self, what: str) -> None:
        level = logging.DEBUG if self._warned else logging.WARNING
        self._warned = True
        log.log(level, "W&B %s; the run itself is not touched, its folder is complete", what)


def _imported(folder: Path) -> Any:
    """The package, with the temporary folders that it makes at its import in the run folder.

    They last as long as the process; those of a killed one are swept when the run starts again.
    """
    if first := "wandb" not in sys.modules:
        own = tempfile.mkdtemp(prefix=".wandb.", suffix=".tmp", dir=folder)
        atexit.register(shutil.rmtree, own, ignore_errors=True)  # after W&B's own cleaning
        before, tempfile.tempdir = tempfile.tempdir, own
    try:
        import wandb
    finally:
        if first:
            tempfile.tempdir = before
            _TEMPORARIES.extend(Path(own).iterdir())
    for kept in _TEMPORARIES:  # swept, if this process has made the same run before
        kept.mkdir(parents=True, exist_ok=True)
    return wandb


def _line(fault: BaseException) -> str:
    return str(redact(first_line(fault)))[:200]


# What a finished run shows on W&B: actions for ``WandbMirror.send``.
COLUMNS = ("id", "words", "image", "gold", "predicted", "right", "of gold", "of predicted")


def show_examples(
    run: Any, examples: Sequence[Example], predictions: Predictions, limit: int
) -> None:
    """Log a table of at most ``limit`` examples, evenly spread over the split."""
    import wandb

    step = max(1, -(-len(examples) // limit))
    shown = [(e, predictions[e.id]) for e in examples[::step] if e.id in predictions]
    types = {e.type for example, _ in shown for e in example.entities}
    types |= {row.type for _, rows in shown for row in rows}
    table = wandb.Table(columns=list(COLUMNS))
    for example, rows in shown:
        counts = score_document(example.entities, rows).gmner
        table.add_data(
            *(example.id, " ".join(example.words), _image(wandb, example, rows, sorted(types))),
            *("\n".join(_text(example, row) for row in part) for part in (example.entities, rows)),
            *(counts.tp, counts.gold, counts.pred),
        )
    run.log({"examples": table})


def _image(wandb: Any, example: Example, rows: Sequence[Prediction], types: list[str]) -> Any:
    """The image with its boxes, as shares of width and height."""
    if example.image is None:
        return None
    picture = open_image(example.image, example.size)
    width, height = example.size or picture.size

    def drawn(row: Entity | Prediction, box: Box) -> dict[str, Any]:
        shares = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
        return {
            "position": dict(zip(("minX", "minY", "maxX", "maxY"), shares, strict=True)),
            "class_id": types.index(row.type) + 1,
            "box_caption": _name(example, row),
            "scores": {"score": row.score} if isinstance(row, Prediction) else {},
        }

    picture.thumbnail((512, 512))  # pixels: the table is an overview
    boxes = {
        "gold": [drawn(entity, box) for entity in example.entities for box in entity.boxes],
        "predicted": [drawn(row, row.box) for row in rows if row.box is not None],
    }
    labels = dict(enumerate(types, start=1))
    layers = {name: {"box_data": data, "class_labels": labels} for name, data in boxes.items()}
    return wandb.Image(picture, boxes=layers)


def _text(example: Example, row: Entity | Prediction) -> str:
    score = f" {row.score:.2f}" if isinstance(row, Prediction) else ""
    box = row.box if isinstance(row, Prediction) else row.boxes
    return f"{_name(example, row)}{score}{'' if box else ', not in the image'}"


def _name(example: Example, row: Entity | Prediction) -> str:
    return f"{' '.join(example.words[row.start : row.end + 1])} ({row.type})"


def show_pictures(run: Any, pictures: Sequence[Path]) -> None:
    """Log pictures of the run folder."""
    import wandb

    run.log({f"{path.parent.name}/{path.stem}": wandb.Image(str(path)) for path in pictures})


def show_model(run: Any, name: str, files: Sequence[Path], metadata: Mapping[str, Any]) -> None:
    """Log files as a versioned artifact of type ``model``; referred to, not copied."""
    import wandb

    artifact = wandb.Artifact(name, type="model", metadata=dict(metadata))
    for path in files:
        artifact.add_file(str(path), policy="immutable", skip_cache=True)
    run.log_artifact(artifact)


# A leaderboard on W&B: a table and an artifact in a run of its own.
def mirror_board(
    board: Board, folders: Sequence[Path], *, by: str, metric: str, project: str, mode: str
) -> Path | None:
    """Log a leaderboard; the folder that ``wandb sync`` takes, None if there is nothing to sync.

    It lies below the first of ``folders``.

    The same folders, ranked alike, are the same run on W&B.
    """
    places = sorted({str(folder.resolve()) for folder in folders})
    rows = [row for league in board.leagues for row in league.rows]
    mirror = WandbMirror(
        init={
            "project": project,
            "id": sha256("|".join((*places, by, metric)).encode()).hexdigest()[:16],
            "name": f"leaderboard {folders[0].name}",
            "group": "leaderboard",
            "job_type": "report",
            "tags": list(dict.fromkeys(row.entries[0].result.data.name for row in rows)),
            "mode": mode,
        },
        config={"runs": [Path(place).name for place in places], "by": by, "metric": metric},
        folder=folders[0],
    )
    mirror.send(_show_board, board)
    mirror.close()
    return mirror.offline


def _show_board(run: Any, board: Board) -> None:
    import wandb

    report = board_report(board)
    data = [list(redact(record).values()) for record in report.records.records()]
    run.log({"leaderboard": wandb.Table(columns=list(map(str, report.records.heads)), data=data)})
    artifact = wandb.Artifact("leaderboard", type="leaderboard")
    for form in ("md", "csv", "json"):
        with artifact.new_file(f"leaderboard.{form}", mode="w", encoding="utf-8") as file:
            file.write(str(redact(report.text(form))))
    run.log_artifact(artifact)
    run.summary.update({"leagues": len(board.leagues), "rows": len(data)})
