"""metrics.csv of a run that was interrupted: Lightning begins the file anew, here it goes on."""

import csv
import io
from pathlib import Path

from gmbench.scoring.atomic import write_atomically

FILE, BEFORE = "metrics.csv", "metrics.before.csv"

Row = dict[str, str]


def set_aside(folder: Path, steps: int) -> None:
    """Keep the rows of the first ``steps`` steps until :func:`join`; drop all others.

    Args:
        folder: the run folder.
        steps: done before the checkpoint that training goes on from; 0 for a run begun anew.
    """
    rows = [row for row in _read(folder / BEFORE) + _read(folder / FILE) if _step(row) < steps]
    if rows:
        _write(folder / BEFORE, rows)
    else:
        (folder / BEFORE).unlink(missing_ok=True)


def join(folder: Path) -> None:
    """Put the rows kept before in front of those written since."""
    before = _read(folder / BEFORE)
    if before:
        _write(folder / FILE, before + _read(folder / FILE))
    (folder / BEFORE).unlink(missing_ok=True)


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _step(row: Row) -> int:
    """A row that was cut off has none and is dropped."""
    step = row.get("step") or ""
    return int(step) if step.isdecimal() else 2**63


def _write(path: Path, rows: list[Row]) -> None:
    names = sorted({name for row in rows for name in row if name})
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=names, extrasaction="ignore")
    table.writeheader()
    table.writerows(rows)
    write_atomically(path, text.getvalue().encode())
