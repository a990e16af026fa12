"""All finished runs below a folder, read in a second or two however many there are."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gmbench.reporting.results import RunResult, read_result

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
    def by_sha(self) -> dict[str, Entry]:
        """One trained run for each configuration; the first by folder where there are several."""
        found: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.result.selection.value is not None:  # otherwise: some checkpoint, tested
                found.setdefault(entry.result.config.sha, entry)
        return found


def read_index(*folders: Path) -> Indexed:
    """Every ``result.json`` below the folders; one that is not there is empty."""
    entries, damaged, failed = [], {}, []
    for folder in folders:
        for run, names in _runs(folder):
            if "result.json" not in names:
                failed.append(run)
                continue
            try:
                entries.append(Entry(folder=run, result=read_result(run / "result.json")))
            except (ValueError, OSError) as fault:
                damaged[run / "result.json"] = str(fault)
    return Indexed(entries=tuple(entries), damaged=damaged, failed=tuple(failed))


def _runs(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders with a result or a failure, sorted."""
    for place, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if name not in INSIDE_A_RUN)
        if "result.json" in names or "failure.json" in names:
            yield Path(place), names
