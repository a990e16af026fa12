"""The runs that a site shows: their names there, and what their folders hold for its pages."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from gmbench.core.entities import Example, Prediction
from gmbench.core.errors import InputError
from gmbench.core.files import read_file
from gmbench.reporting.charts import LineChart, curve_charts
from gmbench.reporting.index import Entry, ScoredRun, read_scored_run
from gmbench.reporting.leaderboard import BoardRow, League
from gmbench.reporting.pairs import compare_runs
from gmbench.reporting.record import ANALYSIS, RunResult, read_analysis
from gmbench.scoring.analysis import Analysis
from gmbench.scoring.files import read_predictions
from gmbench.scoring.significance import Comparison

Answers = Mapping[str, tuple[Prediction, ...]]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """One run on the site.

    Attributes:
        name: row and seed, as every page calls it.
        page: its file name; the same for the same configuration, wherever the run lies.
    """

    entry: Entry
    name: str
    page: str


def members(league: League) -> tuple[Member, ...]:
    """Every run of a league, by row and seed."""
    found: list[Member] = []
    taken: set[str] = set()
    for row in league.rows:
        for entry in row.entries:
            stem = page = f"run-{entry.result.config.sha[:12]}"
            while page in taken:  # one configuration in several folders
                page = f"{stem}-{len(taken)}"
            taken.add(page)
            name = f"{row.label}, seed {entry.result.config.seed}"
            found.append(Member(entry=entry, name=name, page=f"{page}.html"))
    return tuple(found)


def firsts(rows: Iterable[BoardRow], runs: Iterable[Member]) -> tuple[Member, ...]:
    """One run per row, that of its first seed."""
    by_folder = {member.entry.folder: member for member in runs}
    return tuple(by_folder[row.entries[0].folder] for row in rows)


# What a run folder holds for its pages. A file that is damaged costs its part of a page alone.
def _read(path: Path, reader: Callable[[Path], Value]) -> Value | None:
    try:
        return reader(path) if path.is_file() else None
    except (ValueError, OSError, csv.Error):
        return None


def answers_of(folder: Path, split: str, gold: Iterable[Example]) -> Answers | None:
    """The predictions in a run folder; None where there are none that fit the gold."""
    return _read(folder / f"predictions.{split}.jsonl", lambda path: read_predictions(path, gold))


def picture_of(folder: Path, name: str) -> bytes | None:
    """A picture of the run; None where there is none, or only a link out of the run folder."""
    path = folder / "pictures" / name

    def read(path: Path) -> bytes | None:
        inside = path.resolve().is_relative_to(folder.resolve())
        return read_file(path) if inside else None

    return _read(path, read)


def curves_of(folder: Path, result: RunResult) -> Sequence[LineChart]:
    """Its learning curves; none where nothing was logged or the file is damaged."""

    def read(path: Path) -> Sequence[LineChart]:
        saw_pixels, chosen = result.data.saw_pixels, result.selection.epoch
        return curve_charts(path, saw_pixels=saw_pixels, chosen=chosen)

    return _read(folder / "metrics.csv", read) or ()


def analysis_of(folder: Path) -> Analysis | None:
    """Its error analysis; None where the file is absent or damaged."""
    return _read(folder / ANALYSIS, read_analysis)


@lru_cache(maxsize=16)
def _scored(folder: Path) -> ScoredRun:
    """A run with its counts; each is in many pairs of one site."""
    return read_scored_run(folder)


def compared(one: Member, other: Member) -> Comparison | str:
    """The paired tests, or why there are none."""
    try:
        return compare_runs(*(_scored(member.entry.folder) for member in (one, other)))
    except (InputError, OSError) as fault:
        return str(fault)
