"""A leaderboard on W&B: a table and an artifact in a run of its own."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from gmbench.reporting.leaderboard import Board
from gmbench.reporting.leaderboard_tables import TEXTS, rows_of
from gmbench.reporting.provenance import redact
from gmbench.reporting.wandb_mirror import MirrorSettings, Mode, WandbMirror

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

    rows = rows_of(board)
    table = wandb.Table(columns=list(rows[0]))
    for row in rows:
        table.add_data(*redact(row).values())
    run.log({"leaderboard": table})
    artifact = wandb.Artifact("leaderboard", type="leaderboard")
    for name, form in FILES.items():
        with artifact.new_file(name, mode="w", encoding="utf-8") as file:
            file.write(str(redact(TEXTS[form](board))))
    run.log_artifact(artifact)
    run.summary.update({"leagues": len(board.leagues), "rows": len(rows)})
