"""Finished runs -> leagues of rows: seeds together, and only what may be ranked beside each other.

Runs that differ in protocol, data fingerprint, split, limit, or in whether they saw pixels never
share a table. Everything here is a function of the runs: equal runs give equal boards.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gmbench.reporting.index import Entry, Indexed, read_scored_run
from gmbench.reporting.record import RunResult
from gmbench.scoring.counting import TASKS, Task
from gmbench.scoring.intervals import LEVEL, RESAMPLES, Interval, Ints, f1, resampled_sums
from gmbench.scoring.methods import MethodDifference, SeedSummary, compare_methods, summarise
from gmbench.scoring.signature import DIGITS, Signature, protocol_name
from gmbench.scoring.significance import holm

EVERY_ROW = "every row"
GIVEN_TEXT = ("model.decode.given_text=true", "model.network.prefix=gold")
"""Overrides of runs that are given gold text for a diagnosis: all of it, or what stands before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """A row against another, over all seeds of both.

    Attributes:
        delta: the difference of mean F1; its interval holds the noise of seeds and of examples.
        p: two-sided, of the same test; None where a row has one seed, which compares runs alone.
        p_holm: adjusted for the other comparisons of the table.
    """

    delta: Interval
    p: float | None
    p_holm: float | None

    @property
    def differs(self) -> bool:
        """Whether the difference is significant at 5 % after Holm's correction."""
        return self.p_holm is not None and self.p_holm <= 1 - LEVEL + 1e-12


def versus(differences: Sequence[MethodDifference]) -> list[Versus]:
    """A family of comparisons with Holm's correction for those that have a p-value."""
    adjusted = iter(holm([found.p for found in differences if found.p is not None]))
    return [
        Versus(delta=found.delta, p=found.p, p_holm=None if found.p is None else next(adjusted))
        for found in differences
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRow:
    """One method: its runs over seeds.

    Attributes:
        label: what tells it from the other rows.
        entries: by seed.
        figures: F1 by task; None where the league does not report it.
        interval: of the mean of the ranked task over resampled examples; None without the counts.
        versus: against the first row of the league; None for that row or without the counts.
        parameters, trainable: of the model.
        samples_per_second: in training, mean.
        memory_mib: peak, the greatest.
        minutes: a run, mean.
        cpu_minutes: the same of CPU; None where a run has not counted them.
    """

    label: str
    entries: tuple[Entry, ...]
    figures: Mapping[Task, SeedSummary | None]
    interval: Interval | None
    versus: Versus | None
    parameters: int
    trainable: int
    samples_per_second: float | None
    memory_mib: float | None
    minutes: float
    cpu_minutes: float | None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its runs."""
        return tuple(entry.result.config.seed for entry in self.entries)

    @property
    def marks(self) -> tuple[str, ...]:
        """What sets its runs apart from uninterrupted ones, one line per run; usually nothing."""
        lines = ((e.result.config.seed, marks_of(e.result)) for e in self.entries)
        return tuple(f"seed {seed} {' and '.join(marks)}" for seed, marks in lines if marks)


@dataclass(frozen=True, slots=True, kw_only=True)
class League:
    """Rows that may be ranked beside each other.

    Attributes:
        title: data set, split and size.
        apart: why it is a table of its own; empty for the only or first one.
        task: by which it is ranked.
        rows: best first.
        shared: overrides of every row, left out of their labels.
    """

    title: str
    apart: tuple[str, ...]
    task: Task
    rows: tuple[BoardRow, ...]
    shared: tuple[str, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All tasks, the ranking one first."""
        return (self.task, *(task for task in TASKS if task != self.task))

    @property
    def signature(self) -> Signature:
        """What a figure of this table is to be quoted with."""
        result = self.rows[0].entries[0].result
        seeds = [len(row.entries) for row in self.rows]
        tasks = self.tasks if result.data.saw_pixels else (self.task,)
        return replace(signature_of(result, tasks), seeds=(min(seeds), max(seeds)))

    @property
    def notes(self) -> dict[str, str]:
        """What is said below the title, by label."""
        notes = {"apart from the first table": "; ".join(self.apart)}
        notes[EVERY_ROW] = " ".join(self.shared)
        return {label: text for label, text in notes.items() if text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All leagues, and what is not in any of them.

    Attributes:
        set_aside: one line per run left out, with the reason.
        failed: folders of failed runs.
    """

    leagues: tuple[League, ...]
    set_aside: tuple[str, ...]
    failed: tuple[str, ...]


def leaderboard(
    index: Indexed, *, metric: Task = "gmner", by: Sequence[str] = (), tests: int = 12
) -> Board:
    """Rank the runs of an index.

    Args:
        index: the runs.
        metric: the task by whose mean F1 rows are ranked; MNER in leagues without pixels.
        by: what names a row: ``model``, ``data``, ``device``, ``precision``, ``commit`` or the key
            of an override; further overrides in which its runs differ make rows of their own.
            Nothing = model and all overrides.
        tests: number of rows from the top that are compared with the best.
    """
    lines = [f"{path}: {fault}" for path, fault in sorted(index.damaged.items())]
    leagues: dict[tuple[str, ...], list[Entry]] = {}
    for entry in sorted(index.entries, key=lambda e: str(e.folder)):
        leagues.setdefault(tuple(conditions(entry.result).values()), []).append(entry)
    ordered = sorted(leagues.values(), key=lambda runs: _order(runs[0].result))
    made = []
    for runs in ordered:
        task: Task = metric if runs[0].result.data.saw_pixels else "mner"
        every = [set(method_overrides(entry.result)) for entry in runs]
        shared = () if by else tuple(sorted(set.intersection(*every)))
        groups = _groups(runs, by, shared, lines)
        rows = sorted(
            (_row(label, entries) for label, entries in groups.items()),
            key=lambda row: (-_mean(row, task), row.label),
        )
        made.append(
            League(
                title=_title(runs[0].result),
                apart=_apart(runs[0].result, ordered[0][0].result),
                task=task,
                rows=(*_tested(rows[:tests], task), *rows[tests:]),
                shared=shared,
            )
        )
    return Board(
        leagues=tuple(made),
        set_aside=tuple(lines),
        failed=tuple(sorted(str(folder) for folder in index.failed)),
    )


# Which runs may stand in one table, and why others may not.
def conditions(result: RunResult) -> dict[str, str]:
    """What two runs must share to stand in one table, by name."""
    data, rules = result.data, result.protocol
    return {
        "protocol": f"{rules.name} {rules.version} IoU {rules.iou_threshold:g}",
        "data": data.name,
        "data fingerprint": data.fingerprint[:12],
        "split": data.split,
        "n": str(data.n),
        "limit": str(data.limit),
        "pixels": "seen" if data.saw_pixels else "not seen",
        "text": "given" if _given_text(result) else "read",
    }


def signature_of(result: RunResult, tasks: Sequence[Task]) -> Signature:
    """The signature of the figures of one run in these tasks."""
    data, rules = result.data, result.protocol
    return Signature(
        protocol=protocol_name(rules.name, rules.version),
        iou=rules.iou_threshold,
        tasks=tuple(tasks),
        split=data.split,
        n=data.n,
        data=data.fingerprint[:DIGITS],
        text="given" if _given_text(result) else None,
    )


def _given_text(result: RunResult) -> bool:
    return any(o.lstrip("+").lower() in GIVEN_TEXT for o in result.config.overrides)


def _order(result: RunResult) -> tuple[object, ...]:
    """Real data first, whole before limited, with pixels before without."""
    data, protocol = result.data, result.protocol
    return (
        *(data.synthetic, data.name, data.limit is not None, not data.saw_pixels),
        *(_given_text(result), data.split, protocol.name, protocol.version),
        *(protocol.iou_threshold, data.fingerprint, data.n),
    )


def _title(result: RunResult) -> str:
    data, protocol = result.data, result.protocol
    return (
        f"{data.name}{' (built-in world)' if data.synthetic else ''}, {data.split} split, "
        f"{data.n} examples, protocol {protocol.name} {protocol.version}, "
        f"data {data.fingerprint[:8]}"
    )


def _apart(result: RunResult, first: RunResult) -> tuple[str, ...]:
    """Why a league does not stand in the first table."""
    data = result.data
    size = "all examples" if data.limit is None else f"limited to {data.limit} examples"
    reasons = {
        "protocol": f"counted by {result.protocol.name} {result.protocol.version}",
        "data": f"data set {data.name}",
        "data fingerprint": "other files of the same data set (fingerprint)",
        "split": f"{data.split} split",
        **dict.fromkeys(("n", "limit"), size),
        "pixels": "saw pixels" if data.saw_pixels else "saw no pixels: ranked by MNER",
        "text": "was given the gold text" if _given_text(result) else "read the text itself",
    }
    mine, theirs = conditions(result), conditions(first)
    differ = {key: reasons[key] for key in mine if mine[key] != theirs[key]}
    if "data" in differ:
        differ.pop("data fingerprint", None)
    return tuple(dict.fromkeys(differ.values()))


def marks_of(result: RunResult) -> tuple[str, ...]:
    """What sets a finished run apart from an uninterrupted one."""
    known = {
        "disk": "lost a checkpoint to a full disk",
        "nan": "left out a training step that was not finite",
    }
    exact = () if result.exact_resume else ("went on with other digits (exact_resume: false)",)
    return (*exact, *(known.get(cause, f"went on without {cause}") for cause in result.degraded))


def method_overrides(result: RunResult) -> tuple[str, ...]:
    """The overrides of a run that make its method, under today's keys, sorted."""
    return of_the_method(_overrides(result))


def of_the_method(overrides: Iterable[str]) -> tuple[str, ...]:
    """Those among ``overrides`` that make the method, sorted; of a key given twice the last.

    Which keys tell one row from another is declared by the marks of the settings.
    """
    from gmbench.config.schema import Counts, counts  # here: it starts Hydra

    last = {_key(override): override for override in overrides}
    return tuple(sorted(override for key, override in last.items() if counts(key) & Counts.ROW))


def _overrides(result: RunResult) -> list[str]:
    from gmbench.config.renames import current_override

    return [current_override(override, result.config.model) for override in result.config.overrides]


def _groups(
    runs: Sequence[Entry], by: Sequence[str], shared: Sequence[str], lines: list[str]
) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for label, entry in _labelled(runs, by, shared):
        group = groups.setdefault(label, [])
        seed, sha = entry.result.config.seed, entry.result.config.sha
        twin = next((e for e in group if e.result.config.seed == seed), None)
        if twin is None:
            group.append(entry)
        elif twin.result.config.sha == sha:
            lines.append(f"{entry.folder}: the same run as {twin.folder}")
        else:
            lines.append(
                f"{entry.folder}: seed {seed} again, with the overrides of {twin.folder} but "
                "another configuration: defaults have changed between them"
            )
    return groups


def _labelled(
    runs: Sequence[Entry], by: Sequence[str], shared: Sequence[str]
) -> Iterator[tuple[str, Entry]]:
    """Yield each run with its row's label, which names the candidates where runs differ in them."""
    labels = _labels(runs, by) if by else [_label(entry.result, shared) for entry in runs]
    known: dict[str, set[str]] = {}
    for label, entry in zip(labels, runs, strict=True):
        known.setdefault(label, set()).update(filter(None, [entry.result.data.candidates]))
    for label, entry in zip(labels, runs, strict=True):
        if len(known[label]) < 2:
            yield label, entry
        else:
            candidates = entry.result.data.candidates
            yield f"{label} candidates={candidates[:8] if candidates else 'not recorded'}", entry


def _row(label: str, entries: Sequence[Entry]) -> BoardRow:
    entries = sorted(entries, key=lambda e: (e.result.config.seed, str(e.folder)))
    results = [entry.result for entry in entries]
    speeds = [s for r in results if (s := r.cost.samples_per_second) is not None]
    cpu = [c for r in results if (c := r.cost.cpu_seconds) is not None]
    memory = [m for r in results if (m := r.cost.peak_memory_mib) is not None]
    return BoardRow(
        label=label,
        entries=tuple(entries),
        figures={name: _summary(results, name) for name in TASKS},
        interval=None,
        versus=None,
        parameters=sum(part.total for part in results[0].parameters),
        trainable=sum(part.trainable for part in results[0].parameters),
        samples_per_second=math.fsum(speeds) / len(speeds) if speeds else None,
        memory_mib=max(memory, default=None),
        minutes=math.fsum(r.cost.seconds for r in results) / len(results) / 60,
        cpu_minutes=math.fsum(cpu) / len(cpu) / 60 if len(cpu) == len(results) else None,
    )


def _tested(rows: Sequence[BoardRow], task: Task) -> list[BoardRow]:
    """The rows with intervals and tests against the best, where runs kept counts per example."""
    tables = [tables_of(row.entries, task) for row in rows]
    best = tables[0] if tables else []
    compared = [bool(best and mine and place) for place, mine in enumerate(tables)]
    tests = iter(
        versus([compare_methods(t, best) for t, is_ in zip(tables, compared, strict=True) if is_])
    )
    return [
        replace(row, interval=_interval(counts), versus=next(tests) if is_ else None)
        for row, counts, is_ in zip(rows, tables, compared, strict=True)
    ]


# Counts by example, one table per run.
def tables_of(entries: Sequence[Entry], task: Task) -> list[Ints]:
    """The counts by example of every run; nothing unless all of them have them."""
    try:
        return [getattr(read_scored_run(entry.folder).table, task) for entry in entries]
    except (ValueError, OSError):
        return []


def _interval(tables: Sequence[Ints]) -> Interval | None:
    """Of the mean F1 over the runs when examples are drawn again: noise of the test set alone."""
    if not tables or len(tables[0]) < 2:
        return None
    joint = np.concatenate(tables, axis=1)
    rows, weights = np.unique(joint, axis=0, return_counts=True)
    drawn = resampled_sums(rows, weights, RESAMPLES, np.random.default_rng(0))
    means = f1(drawn.reshape(RESAMPLES, len(tables), 3)).mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float(f1(joint.sum(axis=0).reshape(len(tables), 3)).mean())
    return Interval(value, float(low), float(high))


def _summary(results: Sequence[RunResult], task: Task) -> SeedSummary | None:
    figures = [getattr(result.metrics, task) for result in results]
    values = [f.f1 for f in figures if f is not None]
    return summarise(values) if values else None


def _mean(row: BoardRow, task: Task) -> float:
    summary = row.figures[task]
    return summary.mean if summary else -1.0


def _label(result: RunResult, shared: Sequence[str]) -> str:
    return " ".join(
        (result.config.model, *(o for o in method_overrides(result) if o not in shared))
    )


def _labels(runs: Sequence[Entry], by: Sequence[str]) -> list[str]:
    """The values of ``by``, and what else differs: a row never mixes two methods."""
    results = [entry.result for entry in runs]
    firsts = [
        " ".join(f"{key}={_value(r, key)}" if key != "model" else r.config.model for key in by)
        for r in results
    ]
    methods = [
        [r.config.model, *(o for o in method_overrides(r) if _key(o) not in by)] for r in results
    ]
    common: dict[str, set[str]] = {}
    for first, method in zip(firsts, methods, strict=True):
        common[first] = common.get(first, set(method)) & set(method)
    return [
        " ".join((first, *(part for part in method if part not in common[first])))
        for first, method in zip(firsts, methods, strict=True)
    ]


def _value(result: RunResult, key: str) -> str:
    known = {
        "model": result.config.model,
        "data": result.data.name,
        "device": result.machine.device,
        "precision": result.machine.precision,
        "commit": (result.code.commit or "unknown")[:10],
    }
    if key in known:
        return known[key]
    values = [o.partition("=")[2] for o in _overrides(result) if _key(o) == key]
    return values[-1] if values else "default"


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
