"""Finished runs -> the cells of a table: mean, deviation, paired interval, the paper's number."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from experiments.engine.answers import Answered, compared
from experiments.engine.measures import Finished, Measure
from experiments.engine.plan import Experiment, Planned, Setting, Variant
from experiments.papers import papers
from experiments.published import Cell
from gmbench.config.identity import what_computes
from gmbench.reporting.index import Indexed
from gmbench.reporting.results import RunResult, read_result
from gmbench.scoring.seeds import SeedDifference, SeedSummary, summarise

log = logging.getLogger("experiments")


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
    difference: SeedDifference | None
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


def find(planned: Sequence[Planned], index: Indexed) -> dict[Planned, Finished]:
    """The runs of a plan that are finished: by the sha of their configuration, wherever they lie.

    A run in its own folder whose configuration lacks only keys that have come to the tree since is
    taken too, with a note. So is one there that only tested weights (``Variant.weights_of``);
    elsewhere such a run could be of any checkpoint.
    """
    found = {}
    for run in planned:
        entry = index.by_sha.get(run.sha)
        if entry is not None:
            found[run] = Finished(seed=run.seed, folder=entry.folder, result=entry.result)
        else:
            older = _older(run)
            if older is not None:
                found[run] = older
    return found


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
    cells = []
    for row in experiment.rows:
        line = []
        other = row.against or experiment.reference
        for measure in experiment.measures:
            of = answers[row.key].figure(measure)
            values = [v for run in runs[row.key] if (v := of(run)) is not None]
            difference = None
            if other not in (None, row.key) and measure.task is not None and values:
                assert other is not None
                difference = compared(
                    answers[row.key], runs[row.key], answers[other], runs[other], measure.task
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
    if not experiment.paper or row.extra:
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
    new, other = _differences(what_computes(stored), what_computes(run.config))
    if other:
        log.warning("%s: not taken, it ran with another %s", run.folder, ", ".join(other[:5]))
        return None
    note = f"ran before {', '.join(new)} came to the configuration"
    return Finished(seed=run.seed, folder=run.folder, result=record, note=note if new else None)


def _differences(stored: object, wanted: object, key: str = "") -> tuple[list[str], list[str]]:
    """Keys that only ``wanted`` has, and keys that differ otherwise."""
    if not isinstance(stored, dict) or not isinstance(wanted, dict):
        return [], [] if stored == wanted else [key]
    new: list[str] = []
    other = [f"{key}.{name}".strip(".") for name in stored if name not in wanted]
    for name, value in wanted.items():
        path = f"{key}.{name}".strip(".")
        if name not in stored:
            new.append(path)
            continue
        more_new, more_other = _differences(stored[name], value, path)
        new, other = new + more_new, other + more_other
    return new, other
