"""All finished runs below a folder, read in a second or two however many there are."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gmbench.core.errors import InputError
from gmbench.reporting.record import RunResult, read_result
from gmbench.scoring.counting import TASKS
from gmbench.scoring.files import read_tweet_table
from gmbench.scoring.intervals import TweetTable

INSIDE_A_RUN = frozenset({"checkpoints", "tensorboard", "wandb", ".git", "__pycache__"})
"""Folders in which no run lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One finished run and its folder."""

    folder: Path
    result: RunResult


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """Runs below some folders.

    Attributes:
        entries: every valid result, by folder.
        damaged: by file, what is wrong with a result that cannot be read.
        failed: folders with a ``failure.json`` and no result.
    """

    entries: tuple[Entry, ...]
    damaged: Mapping[Path, str]
    failed: tuple[Path, ...]

    @cached_property
    def by_sha(self) -> dict[str, list[Entry]]:
        """The trained runs of each configuration, by folder; their data may differ."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.result.selection.value is not None:  # otherwise: some checkpoint, tested
                found.setdefault(entry.result.config.sha, []).append(entry)
        return found


def read_index(*folders: Path) -> Indexed:
    """Every ``result.json`` below the folders; one that is not there is empty."""
    entries, damaged, failed = [], {}, []
    for folder in folders:
        for run, names in _runs(folder):
            path = run / "result.json"
            if path.name not in names:
                failed.append(run)
                continue
            try:
                entries.append(Entry(folder=run, result=read_result(path)))
            except (ValueError, OSError) as fault:
                damaged[path] = str(fault).removeprefix(f"{path}: ")
    return Indexed(entries=tuple(entries), damaged=damaged, failed=tuple(failed))


def _runs(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders with a result or a failure, sorted."""
    for place, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if name not in INSIDE_A_RUN)
        if "result.json" in names or "failure.json" in names:
            yield Path(place), names


# A run with the counts of every example.
TWEETS = "tweets.test.csv"
"""Counts of every example, in a run folder."""


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """A finished run with the counts of every example."""

    folder: Path
    result: RunResult
    table: TweetTable

    @property
    def name(self) -> str:
        """Model and seed, as tables show them."""
        return f"{self.result.config.model} seed {self.result.config.seed}"


def read_scored_run(folder: Path) -> ScoredRun:
    """The run in a folder.

    Raises:
        InputError: the run is not finished, or its counts are missing or not those of its
            result.
        InputError: a file is malformed.
    """
    for name in ("result.json", TWEETS):
        if not (folder / name).is_file():
            what = "not finished" if name == "result.json" else "made before counts were stored"
            raise InputError(f"{folder}: no {name}, the run is {what}; run it again")
    result, table = read_result(folder / "result.json"), read_tweet_table(folder / TWEETS)
    if len(table.ids) != result.data.n:
        raise InputError(
            f"{folder / TWEETS}: {len(table.ids)} examples, result.json has "
            f"{result.data.n}; run it again"
        )
    for task in TASKS:
        figures = getattr(result.metrics, task)
        if figures is None:
            continue
        sums = getattr(table, task).sum(axis=0).tolist()
        if sums != [figures.tp, figures.pred, figures.gold]:
            raise InputError(
                f"{folder / TWEETS}: {task} adds up to tp/pred/gold "
                f"{'/'.join(map(str, sums))}, result.json has "
                f"{figures.tp}/{figures.pred}/{figures.gold}: edited? run it again"
            )
    return ScoredRun(folder, result, table)
