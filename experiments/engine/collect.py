"""The cells of a table from finished runs: mean, deviation, interval, the paper's number."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from experiments.engine.measures import Answers, Finished, Measure, sums
from experiments.engine.plan import Experiment, Planned, Setting, Variant
from experiments.papers.papers import papers
from experiments.papers.published import Cell
from gmbench.config import compose, parse
from gmbench.config.identity import by_key, what_computes
from gmbench.core.entities import Entity, Example
from gmbench.core.errors import InputError
from gmbench.lifecycle.build_data import build_source
from gmbench.lifecycle.lookup import Lookup
from gmbench.reporting.index import Indexed
from gmbench.reporting.record import RunResult, read_result
from gmbench.scoring.files import read_predictions
from gmbench.scoring.intervals import Ints, TweetTable, tweet_table
from gmbench.scoring.methods import MethodDifference, SeedSummary, compare_methods, summarise

log = logging.getLogger("experiments")


class Answered:
    """Runs of one row, read when they are first asked for."""

    def __init__(self, overrides: Sequence[str]) -> None:
        self._overrides = overrides
        self._read: dict[Path, tuple[TweetTable, Answers] | None] = {}

    @cached_property
    def gold(self) -> tuple[Example, ...]:
        """The test split, read as the runs read it."""
        return build_source(parse(compose(self._overrides))).read("test").examples

    def figure(self, measure: Measure) -> Callable[[Finished], float | None]:
        """How a run's figure is found."""
        if measure.of_tweets is not None:
            return lambda run: None if (t := self._table(run, measure)) is None else ratio(t)
        if measure.of_answers is None:
            return measure.of
        from_answers = measure.of_answers

        def of(run: Finished) -> float | None:
            found = self._of(run)
            return None if found is None else from_answers(self.gold, found[1])

        return of

    def tables(self, runs: Sequence[Finished], measure: Measure) -> list[Ints]:
        """Counts by tweet of the runs that have them."""
        return [t for run in runs if (t := self._table(run, measure)) is not None]

    def _table(self, run: Finished, measure: Measure) -> Ints | None:
        """tp, pred, gold by tweet; of a ratio, F1 is the ratio: how many, of how many, twice."""
        found = self._of(run)
        if found is None or measure.of_tweets is None:
            table: Ints | None = None if found is None else getattr(found[0], measure.task or "")
            return table
        rows = [measure.of_tweets(example, found[1][example.id]) for example in self.gold]
        return np.array([(some, every, every) for some, every in rows], dtype=np.int64)

    def _of(self, run: Finished) -> tuple[TweetTable, Answers] | None:
        if run.folder not in self._read:
            try:
                self._read[run.folder] = self._count(run)
            except (OSError, ValueError) as fault:
                log.warning("%s: not compared: %s", run.folder, fault)
                self._read[run.folder] = None
        return self._read[run.folder]

    def _count(self, run: Finished) -> tuple[TweetTable, Answers]:
        answers = read_predictions(run.folder / "predictions.test.jsonl", self.gold)
        table = tweet_table({e.id: e.entities for e in self.gold}, answers)
        stored = run.result.metrics.mner
        if sums(table.mner) != (stored.tp, stored.pred, stored.gold):
            raise ValueError("its predictions do not give the counts of its result.json")
        return table, answers


def ratio(table: Ints) -> float | None:
    """How many of how many, in %; None of nothing."""
    some, every, _ = sums(table)
    return 100 * some / every if every else None


def compared(
    mine: Answered,
    runs: Sequence[Finished],
    other: Answered,
    reference: Sequence[Finished],
    measure: Measure,
    *,
    same_weights: bool = False,
) -> MethodDifference | None:
    """Mean F1 of some runs minus that of others, where both answer for the same tweets.

    ``same_weights``: runs of one seed test the same weights, so that seeds are paired too.
    """
    if not runs or not reference:
        return None
    same = runs[0].result.data.fingerprint == reference[0].result.data.fingerprint
    if not same and asked_of(mine.gold) != asked_of(other.gold):
        return None
    if same_weights:
        seeds = {run.seed for run in runs} & {run.seed for run in reference}
        runs, reference = ([run for run in some if run.seed in seeds] for some in (runs, reference))
    first, second = mine.tables(runs, measure), other.tables(reference, measure)
    if not first or not second:
        return None
    return compare_methods(first, second, paired=same_weights and len(first) == len(second))


def asked_of(examples: Sequence[Example]) -> dict[str, tuple[tuple[str, ...], tuple[Entity, ...]]]:
    """Words and gold by tweet: data that differ in pictures or candidates alone ask the same."""
    return {example.id: (example.words, example.entities) for example in examples}


@dataclass(frozen=True, kw_only=True)
class OurCell:
    """What we measured for a row and a measure; nothing where there is no run.

    Attributes:
        wanted: number of seeds planned.
        runs: those there are, by seed.
        summary: over the runs that have the figure.
        difference: to the reference row, of runs on the same tweets; None for the reference.
        paper: the paper's cell for this row.
        value, delta: the paper's number, and its difference to its own full model, in points.
    """

    setting: Setting
    row: Variant
    measure: Measure
    wanted: int
    runs: tuple[Finished, ...]
    summary: SeedSummary | None
    difference: MethodDifference | None
    paper: Cell | None
    value: float | None
    delta: float | None

    @property
    def off(self) -> float | None:
        """Ours minus the paper's, where both are of the same data."""
        if self.summary is None or self.value is None or not self.setting.real:
            return None
        return self.summary.mean - self.value


@dataclass(frozen=True, kw_only=True)
class Block:
    """All cells of one setting.

    Attributes:
        cells: by row and measure, in their order.
        set_aside: a line for each run that is there but cannot stand in this table.
    """

    setting: Setting
    cells: tuple[tuple[OurCell, ...], ...]
    set_aside: tuple[str, ...]
    planned: tuple[Planned, ...]

    @property
    def runs(self) -> tuple[Finished, ...]:
        """Every run used."""
        return tuple(run for row in self.cells for run in row[0].runs)

    @property
    def by_label(self) -> dict[str, tuple[Finished, ...]]:
        """The runs of each row that has any, by its label."""
        return {row[0].row.label: row[0].runs for row in self.cells if row[0].runs}


def find(planned: Sequence[Planned], index: Indexed) -> dict[Planned, Finished]:
    """The runs of a plan that are finished: by the sha of their configuration, wherever they lie.

    Where the data is here, a run on other data is not taken, with a line.
    A run in its own folder whose configuration lacks only keys that have come to the tree since is
    taken too, with a note. So is one there that only tested weights (``Variant.weights_of``);
    elsewhere such a run could be of any checkpoint.
    """
    found, lookup = {}, Lookup()
    for run in planned:
        there: list[Finished | None] = [
            Finished(seed=run.seed, folder=entry.folder, result=entry.result)
            for entry in index.by_sha.get(run.sha, ())
            if not run.row.tested_only
        ]
        for one in filter(None, there or [_older(run)]):
            if why := _other_data(lookup, one.result, run):
                log.warning("%s: not taken, it has %s", one.folder, why)
            else:
                found[run] = one
                break
    return found


def _other_data(lookup: Lookup, result: RunResult, run: Planned) -> str:
    """What a result has of other data than its row reads; empty where the data is not here."""
    try:
        return lookup.other_data(result, run.config)
    except InputError:
        return ""


def collect(
    experiment: Experiment, planned: Sequence[Planned], found: Mapping[Planned, Finished]
) -> tuple[Block, ...]:
    """The cells of every setting."""
    blocks = []
    for setting in dict.fromkeys(run.setting for run in planned):
        mine = tuple(run for run in planned if run.setting is setting)
        usable, set_aside = _comparable(mine, found, by_row=experiment.data_varies)
        blocks.append(_block(experiment, setting, mine, usable, set_aside))
    return tuple(blocks)


def _block(
    experiment: Experiment,
    setting: Setting,
    planned: tuple[Planned, ...],
    usable: Mapping[Planned, Finished],
    set_aside: tuple[str, ...],
) -> Block:
    runs = {
        row.key: tuple(usable[run] for run in planned if run.row is row and run in usable)
        for row in experiment.rows
    }
    answers = {
        row.key: Answered(next((run.overrides for run in planned if run.row is row), ()))
        for row in experiment.rows
    }
    weights = {row.key: row.weights_of or row.key for row in experiment.rows}
    cells = []
    for row in experiment.rows:
        line = []
        other = row.against or experiment.reference
        for measure in experiment.measures:
            of = answers[row.key].figure(measure)
            values = [v for run in runs[row.key] if (v := of(run)) is not None]
            difference = None
            if other not in (None, row.key) and measure.compared and values:
                assert other is not None
                difference = compared(
                    answers[row.key],
                    runs[row.key],
                    answers[other],
                    runs[other],
                    measure,
                    same_weights=weights[row.key] == weights[other],
                )
            paper = paper_cell(experiment, setting, row, measure)
            line.append(
                OurCell(
                    setting=setting,
                    row=row,
                    measure=measure,
                    wanted=sum(run.row is row for run in planned),
                    runs=runs[row.key],
                    summary=summarise(values) if values else None,
                    difference=difference,
                    paper=paper,
                    value=None if paper is None else getattr(paper, measure.printed),
                    delta=None if paper is None else paper.delta,
                )
            )
        cells.append(tuple(line))
    return Block(setting=setting, cells=tuple(cells), set_aside=set_aside, planned=planned)


def paper_cell(
    experiment: Experiment, setting: Setting, row: Variant, measure: Measure
) -> Cell | None:
    """What the paper prints there; on the built-in world, what it prints for its first data set."""
    if not experiment.paper or row.extra or not measure.printed:
        return None
    table = papers().table(experiment.name)
    if any(other.row for other in experiment.measures):  # its rows are types
        return table.cell(measure.row, row.key) if measure.row else None
    column = measure.column or (setting if setting.real else experiment.settings[0]).key
    return table.cell(row.key, column)


def _comparable(
    planned: Sequence[Planned], found: Mapping[Planned, Finished], *, by_row: bool
) -> tuple[dict[Planned, Finished], tuple[str, ...]]:
    """Only runs on the same tweets, counted by the same rules, with or all without pixels."""
    usable: dict[Planned, Finished] = {}
    lines = []
    firsts: dict[str, tuple[Any, ...]] = {}
    for run in planned:
        if run not in found:
            continue
        identity = identity_of(found[run].result)
        first = firsts.setdefault(run.row.key if by_row else "", identity)
        if identity == first:
            usable[run] = found[run]
        else:
            differ = [n for n, (a, b) in enumerate(zip(identity, first, strict=True)) if a != b]
            names = ("protocol", "data", "split", "limit", "pixels")
            lines.append(f"{run.label}: other {', '.join(names[n] for n in differ)}")
    return usable, tuple(lines)


def identity_of(result: RunResult) -> tuple[Any, ...]:
    """What must be equal of two runs that share a table."""
    data = result.data
    return result.protocol, data.fingerprint, (data.split, data.n), data.limit, data.saw_pixels


def _older(run: Planned) -> Finished | None:
    """The run in the planned folder, if its configuration lacks only keys that are new since."""
    try:
        stored = yaml.load((run.folder / "config.yaml").read_bytes(), Loader=yaml.CSafeLoader)
        record = read_result(run.folder / "result.json")
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if not isinstance(stored, dict):
        return None
    then, now = by_key(what_computes(stored)), by_key(what_computes(run.config))
    if run.row.tested_only and record.selection.value is not None:
        log.warning("%s: not taken, it was trained itself", run.folder)
        return None
    new = [key for key in now if key not in then]
    if other := [key for key in then if key not in now or then[key] != now[key]]:
        log.warning("%s: not taken, it ran with another %s", run.folder, ", ".join(other[:5]))
        return None
    note = f"ran before {', '.join(new)} came to the configuration"
    return Finished(seed=run.seed, folder=run.folder, result=record, note=note if new else None)
